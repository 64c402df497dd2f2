//! Page headers within the stream.

use offshoot_layout::wal_page::{
    self, WalPageHeader, XLOG_BLCKSZ, XLP_ALL_FLAGS, XLP_FIRST_IS_CONTRECORD,
    XLP_FIRST_IS_OVERWRITE_CONTRECORD,
};
use offshoot_layout::{Lsn, le, wal_segment};

use super::{Overwritten, State, WalDecoder};
use crate::WalError;

impl WalDecoder {
    /// Consumes the header at a page boundary; false if it is not all there yet.
    pub(super) fn enter_page(&mut self) -> Result<bool, WalError> {
        let lsn = self.input.at();
        let size = wal_page::header_size_at(lsn, self.params.seg_size);
        let mut header = [0; wal_page::SIZE_OF_LONG_HEADER];
        let Some((bytes, copy)) = self.input.peek().get(..size).zip(header.get_mut(..size)) else {
            return Ok(false);
        };
        copy.copy_from_slice(bytes);
        if !self.begins_zeros(lsn, copy) {
            self.check_page(lsn, copy)
                .and_then(|header| self.check_continuation(&header).map(|()| header))
                .map(|header| self.page_tli = header.tli)
                .map_err(|reason| WalError::InvalidPage { lsn, reason })?;
        }
        self.input.take(size);
        Ok(true)
    }

    fn check_page(&self, lsn: Lsn, bytes: &[u8]) -> Result<WalPageHeader, String> {
        let magic = le::u16_at(bytes, 0).unwrap_or_default();
        if magic != self.magic {
            let (expected, major) = (self.magic, self.params.major);
            return Err(format!(
                "magic {magic:04X}; Postgres {major} has {expected:04X}"
            ));
        }
        // Parsing fails where the header claims the long form without room for it.
        let header = WalPageHeader::parse(bytes)
            .map_err(|_| "a long header where no segment begins".to_owned())?;
        if header.pageaddr != lsn {
            return Err(format!("it says it is the page at {}", header.pageaddr));
        }
        if header.info & !XLP_ALL_FLAGS != 0 {
            return Err(format!("unknown flags {:04X}", header.info));
        }
        if header.tli < self.page_tli || header.tli > self.params.tli {
            let (tli, seen, read) = (header.tli, self.page_tli, self.params.tli);
            return Err(format!(
                "timeline {tli} after {seen} in the WAL of timeline {read}"
            ));
        }
        self.check_long_part(lsn, &header)?;
        Ok(header)
    }

    fn check_long_part(&self, lsn: Lsn, header: &WalPageHeader) -> Result<(), String> {
        let begins_segment = wal_segment::start_of(lsn, self.params.seg_size) == lsn;
        let long = match (header.long, begins_segment) {
            (None, false) => return Ok(()),
            (Some(_), false) => return Err("a long header where no segment begins".to_owned()),
            (None, true) => return Err("a segment begins without a long header".to_owned()),
            (Some(long), true) => long,
        };
        let params = &self.params;
        if long.system_id != params.system_id {
            let (found, expected) = (long.system_id, params.system_id);
            return Err(format!("it belongs to system {found}, not {expected}"));
        }
        if long.seg_size != params.seg_size {
            let (found, expected) = (long.seg_size, params.seg_size);
            return Err(format!("segment size {found}, not {expected}"));
        }
        if long.xlog_blcksz as usize != XLOG_BLCKSZ {
            return Err(format!(
                "WAL block size {}; supported: {XLOG_BLCKSZ}",
                long.xlog_blcksz
            ));
        }
        Ok(())
    }

    /// The page must go on exactly where the one before stopped, or say that it does not.
    fn check_continuation(&mut self, header: &WalPageHeader) -> Result<(), String> {
        let continues = header.info & XLP_FIRST_IS_CONTRECORD != 0;
        let overwrites = header.info & XLP_FIRST_IS_OVERWRITE_CONTRECORD != 0;
        if continues && overwrites {
            return Err("a record both continues and was abandoned here".to_owned());
        }
        let rem_len = continues.then_some(header.rem_len);
        let open = match &self.state {
            State::InRecord(partial) => Some((partial.start(), partial.missing())),
            State::InEarlierRecord(missing) => {
                return self.continue_earlier_record(*missing, rem_len, overwrites);
            }
            State::Resuming if !overwrites => return self.resume_on_page(rem_len),
            _ => None,
        };
        match (open, continues, overwrites) {
            (Some((start, _)), false, true) => {
                self.state = State::BetweenRecords;
                self.overwritten = Overwritten::Began(start);
                Ok(())
            }
            (None, false, true) => {
                self.state = State::BetweenRecords;
                self.overwritten = Overwritten::Unknown;
                Ok(())
            }
            (None, false, false) => Ok(()),
            (None, true, _) => Err("a record continues here that did not begin".to_owned()),
            (Some((start, _)), false, false) => {
                Err(format!("the record at {start} does not continue here"))
            }
            (Some((start, missing)), true, _) => check_rem_len(start, missing, header.rem_len),
        }
    }
}

fn check_rem_len(start: Lsn, missing: Option<usize>, rem_len: u32) -> Result<(), String> {
    match missing {
        Some(missing) if missing > 0 && missing == rem_len as usize => Ok(()),
        _ => Err(format!(
            "{rem_len} bytes continue here, but the record at {start} lacks {}",
            missing.unwrap_or_default()
        )),
    }
}
