//! Appends received WAL to the log, and puts it on disk.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use offshoot_layout::Lsn;

use crate::{FollowError, LogDir};

/// How far the WAL has come that can be indexed; of a log, what is on disk.
#[derive(Default)]
pub struct LogPosition(AtomicU64);

impl LogPosition {
    pub(crate) fn at(lsn: Lsn) -> LogPosition {
        LogPosition(AtomicU64::new(lsn.0))
    }

    #[must_use]
    pub fn flushed(&self) -> Lsn {
        Lsn(self.0.load(Ordering::Acquire))
    }

    pub(crate) fn set(&self, lsn: Lsn) {
        self.0.store(lsn.0, Ordering::Release);
    }
}

/// The log's only writer.
pub struct LogWriter {
    dir: LogDir,
    position: Arc<LogPosition>,
    /// The next byte.
    at: Lsn,
    segment: Option<(u64, File)>,
    /// Whether `segment` has bytes that may not be on disk.
    unflushed: bool,
    /// After a failed flush nobody knows what is on disk, and the next one would not tell.
    broken: bool,
}

impl LogWriter {
    /// Goes on at `at`; everything before it is on disk.
    #[must_use]
    pub fn new(dir: LogDir, at: Lsn) -> LogWriter {
        LogWriter {
            dir,
            position: Arc::new(LogPosition::at(at)),
            at,
            segment: None,
            unflushed: false,
            broken: false,
        }
    }

    #[must_use]
    pub fn position(&self) -> &Arc<LogPosition> {
        &self.position
    }

    /// The next byte to be appended.
    #[must_use]
    pub fn at(&self) -> Lsn {
        self.at
    }

    /// Whether nothing more can be appended.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// Goes back to the last flush: what was appended since is to come again.
    pub fn abandon(&mut self) {
        self.at = self.position.flushed();
    }

    /// Appends what follows at `start`; on disk after `flush`.
    ///
    /// # Errors
    /// `Gap`, with nothing written; `Io`; `Closed` when a flush failed before.
    pub fn append(&mut self, start: Lsn, mut bytes: &[u8]) -> Result<(), FollowError> {
        if self.broken {
            return Err(FollowError::Closed);
        }
        if start != self.at {
            return Err(FollowError::Gap {
                sent: start,
                expected: self.at,
            });
        }
        while !bytes.is_empty() {
            let offset = self.at.0 % self.dir.segment_bytes();
            let left = (self.dir.segment_bytes() - offset) as usize;
            let (part, rest) = bytes.split_at(bytes.len().min(left));
            let file = self.segment_at()?;
            let written = file.write_all_at(part, offset);
            written.map_err(FollowError::io(
                "write",
                self.dir.path_of(self.at).as_path(),
            ))?;
            self.unflushed = true;
            self.at = Lsn(self.at.0 + part.len() as u64);
            bytes = rest;
        }
        Ok(())
    }

    /// Puts on disk what was appended.
    ///
    /// # Errors
    /// `Io`: nobody knows then what is on disk, and this writer is at its end. `Closed` from then on.
    pub fn flush(&mut self) -> Result<Lsn, FollowError> {
        if self.broken {
            return Err(FollowError::Closed);
        }
        self.flush_segment()?;
        self.position.set(self.at);
        Ok(self.at)
    }

    fn flush_segment(&mut self) -> Result<(), FollowError> {
        if let Some((number, file)) = &self.segment
            && std::mem::take(&mut self.unflushed)
        {
            let path = self.dir.path(*number);
            let flushed = file.sync_data();
            self.broken = flushed.is_err();
            flushed.map_err(FollowError::io("flush", &path))?;
        }
        Ok(())
    }

    fn segment_at(&mut self) -> Result<&File, FollowError> {
        let number = self.dir.number(self.at);
        if self
            .segment
            .as_ref()
            .is_none_or(|(open, _)| *open != number)
        {
            self.flush_segment()?;
            self.segment = None;
            let file = self.dir.open_segment(number)?;
            return Ok(&self.segment.insert((number, file)).1);
        }
        match &self.segment {
            Some((_, file)) => Ok(file),
            None => Err(FollowError::Closed),
        }
    }
}
