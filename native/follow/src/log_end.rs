//! Where a log ends, and whether that is where it was written up to.
//!
//! A process or machine that stops leaves WAL that is not whole, behind what was acknowledged. Where a source has
//! its WAL still, or says that it is gone, the log may be taken to end wherever decoding stops. A compute's log is the only place where its WAL is. There the writer's order tells the end from damage:
//! it puts a segment on disk before it begins the next. So when some later segment was begun, what was decoded
//! was on disk as the source had sent it, and sent it whole.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use offshoot_engine::EngineError;
use offshoot_layout::Lsn;
use offshoot_layout::wal_page::{LongHeader, SIZE_OF_LONG_HEADER, WalPageHeader, XLOG_BLCKSZ};
use offshoot_wal::{WalDecoder, WalError};

use crate::{FollowError, LogDir};

/// Decoded at once.
const SCAN_BYTES: usize = 1 << 20;

/// Why decoding went no further.
struct Stop {
    reason: String,
    /// The segment of the last byte that it depends on.
    segment: u64,
}

impl LogDir {
    /// End of the last whole record from `start` on, which is where a record starts. Whatever is behind it
    /// was never written whole, or is left of an older use of the file.
    ///
    /// # Errors
    /// `Io`; `Damaged`, of a WAL that follows on nothing; `Engine` for an impossible start.
    pub fn end(&self, start: Lsn, prev: Option<Lsn>) -> Result<Lsn, FollowError> {
        let decoder = WalDecoder::new(*self.params(), start, prev);
        let mut decoder = decoder.map_err(EngineError::from)?;
        let stop = self.decode_all(start, &mut decoder)?;
        let lsn = decoder.position();
        if self.start()?.is_none() {
            return Ok(lsn);
        }
        match self.begun_behind(stop.segment)? {
            Some(segment) => Err(FollowError::Damaged {
                dir: self.dir().to_path_buf(),
                lsn,
                written: Lsn(segment * self.segment_bytes()),
                reason: stop.reason,
            }),
            None => Ok(lsn),
        }
    }

    fn decode_all(&self, start: Lsn, decoder: &mut WalDecoder) -> Result<Stop, FollowError> {
        let mut at = start;
        let mut buffer = vec![0; SCAN_BYTES];
        loop {
            // Never of two segments.
            let bytes = self.read(at, &mut buffer)?;
            let segment = self.number(at);
            if bytes == 0 {
                let reason = format!("its file has nothing at {at}");
                return Ok(Stop { reason, segment });
            }
            decoder.feed(&buffer[..bytes]);
            at = Lsn(at.0 + bytes as u64);
            loop {
                match decoder.next() {
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(error) => return Ok(self.stop(&error, segment)),
                }
            }
        }
    }

    /// `segment` is that of the last bytes that were fed, all before them having been in order.
    fn stop(&self, error: &WalError, segment: u64) -> Stop {
        let reason = error.to_string();
        // A segment that was begun has its header whole. If that does not fit what is before it, one of the
        // two is not what was written.
        let segment = match error {
            WalError::InvalidPage { lsn, .. } if lsn.0 == segment * self.segment_bytes() => {
                segment.saturating_sub(1)
            }
            _ => segment,
        };
        Stop { reason, segment }
    }

    /// The first segment behind this one that was written to. The next ones may have been made already, of zeros
    /// or from one that was done with, which has its old address.
    fn begun_behind(&self, segment: u64) -> Result<Option<u64>, FollowError> {
        for (path, number) in self.segments()? {
            if number <= segment {
                continue;
            }
            let mut header = [0; SIZE_OF_LONG_HEADER];
            let read = File::open(&path).and_then(|file| file.read_exact_at(&mut header, 0));
            match read {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
                Err(error) => return Err(FollowError::io("read", &path)(error)),
                Ok(()) if self.is_own(number, &header)? => return Ok(Some(number)),
                Ok(()) => {}
            }
        }
        Ok(None)
    }

    /// Whether this is the header of the segment's first page in this WAL.
    fn is_own(&self, number: u64, header: &[u8]) -> Result<bool, FollowError> {
        let params = self.params();
        let magic = params.magic().map_err(EngineError::from)?;
        let Ok(found) = WalPageHeader::parse(header) else {
            return Ok(false);
        };
        let own = WalPageHeader {
            magic,
            tli: params.tli,
            pageaddr: Lsn(number * self.segment_bytes()),
            long: Some(LongHeader {
                system_id: params.system_id,
                seg_size: params.seg_size,
                xlog_blcksz: XLOG_BLCKSZ as u32,
            }),
            ..found
        };
        Ok(found == own)
    }
}
