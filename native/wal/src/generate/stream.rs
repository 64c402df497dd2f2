//! Records laid out over pages and segments, as a server would write them.

use offshoot_layout::wal_page::{
    WalPageHeader, XLOG_BLCKSZ, XLP_FIRST_IS_CONTRECORD, XLP_FIRST_IS_OVERWRITE_CONTRECORD,
    header_size_at,
};
use offshoot_layout::{Lsn, wal_segment};

use super::RecordDraft;
use super::checkpoint::long_header;
use crate::{RM_XLOG_ID, WalError, WalParams, XLOG_SWITCH};

/// A growing piece of WAL; its first byte is the one at the start it was made with.
#[derive(Clone, Debug)]
pub struct WalStream {
    params: WalParams,
    magic: u16,
    start: Lsn,
    prev: Lsn,
    bytes: Vec<u8>,
}

impl WalStream {
    /// `start` is a page boundary or a place behind a page header; `prev` is the start of the
    /// record before.
    ///
    /// # Errors
    /// [`WalError::InvalidParams`].
    pub fn new(params: WalParams, start: Lsn, prev: Lsn) -> Result<WalStream, WalError> {
        let magic = params.magic()?;
        params.check_start(start)?;
        let padding = start.align_up().0 - start.0;
        let bytes = vec![0; padding as usize];
        Ok(WalStream {
            params,
            magic,
            start,
            prev,
            bytes,
        })
    }

    /// Everything written, padding after the last record included.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// LSN after the last byte.
    #[must_use]
    pub fn end(&self) -> Lsn {
        Lsn(self.start.0 + self.bytes.len() as u64)
    }

    /// Adds a record; returns its start.
    ///
    /// # Errors
    /// As [`RecordDraft::to_bytes`].
    pub fn append(&mut self, draft: &RecordDraft) -> Result<Lsn, WalError> {
        let record = draft.to_bytes(self.prev, self.params.major)?;
        Ok(self.append_bytes(&record))
    }

    /// Adds a record's bytes as they are; returns its start.
    pub fn append_bytes(&mut self, record: &[u8]) -> Lsn {
        self.begin_page_if_due(0, 0);
        let start = self.end();
        let mut rest = self.fill_page(record);
        while !rest.is_empty() {
            self.begin_page_if_due(XLP_FIRST_IS_CONTRECORD, rest.len());
            rest = self.fill_page(rest);
        }
        self.pad_to(self.end().align_up());
        self.prev = start;
        start
    }

    /// Adds the beginning of a record and then the page on which a restarted server gave it up,
    /// as if its tail had been lost; returns its start. `record` must not fit on the page.
    pub fn append_abandoned(&mut self, record: &[u8]) -> Lsn {
        self.begin_page_if_due(0, 0);
        let start = self.end();
        self.fill_page(record);
        self.begin_page_if_due(XLP_FIRST_IS_OVERWRITE_CONTRECORD, 0);
        start
    }

    /// Adds an XLOG_SWITCH record and leaves the rest of the segment unused.
    ///
    /// # Errors
    /// As [`RecordDraft::to_bytes`].
    pub fn append_switch(&mut self) -> Result<Lsn, WalError> {
        let draft = RecordDraft {
            rmid: RM_XLOG_ID,
            info: XLOG_SWITCH,
            ..RecordDraft::default()
        };
        let start = self.append(&draft)?;
        let segment = wal_segment::start_of(self.end(), self.params.seg_size);
        if self.end() != segment {
            self.pad_to(Lsn(segment.0 + u64::from(self.params.seg_size)));
        }
        Ok(start)
    }

    /// Writes as much as the page holds; returns the rest.
    fn fill_page<'a>(&mut self, record: &'a [u8]) -> &'a [u8] {
        let left = XLOG_BLCKSZ - (self.end().0 % XLOG_BLCKSZ as u64) as usize;
        let (here, rest) = record.split_at(left.min(record.len()));
        self.bytes.extend_from_slice(here);
        rest
    }

    fn begin_page_if_due(&mut self, info: u16, rem_len: usize) {
        let pageaddr = self.end();
        if !pageaddr.0.is_multiple_of(XLOG_BLCKSZ as u64) {
            return;
        }
        let size = header_size_at(pageaddr, self.params.seg_size);
        let header = WalPageHeader {
            magic: self.magic,
            info,
            tli: self.params.tli,
            pageaddr,
            rem_len: rem_len as u32,
            long: long_header(&self.params, size),
        };
        let mut page = [0; XLOG_BLCKSZ];
        header.write(&mut page);
        self.bytes.extend_from_slice(&page[..size]);
    }

    fn pad_to(&mut self, lsn: Lsn) {
        let len = lsn.0.saturating_sub(self.start.0) as usize;
        self.bytes.resize(len.max(self.bytes.len()), 0);
    }
}
