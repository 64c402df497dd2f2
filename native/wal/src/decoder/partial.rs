//! A record whose bytes are still arriving.

use offshoot_layout::wal_page::XLOG_BLCKSZ;
use offshoot_layout::{Lsn, le};

use super::Input;
use crate::WalError;
use crate::header::{RecordHeader, SIZE_OF_RECORD_HEADER};

/// The length field; always on the page where the record begins.
const SIZE_OF_LENGTH: usize = 4;

pub(super) struct Partial {
    start: Lsn,
    bytes: Vec<u8>,
}

impl Partial {
    pub(super) fn begin(start: Lsn) -> Partial {
        Partial {
            start,
            bytes: Vec::new(),
        }
    }

    pub(super) fn start(&self) -> Lsn {
        self.start
    }

    pub(super) fn into_parts(self) -> (Lsn, Vec<u8>) {
        (self.start, self.bytes)
    }

    /// The record's length, once its field is there.
    fn total_len(&self) -> Option<usize> {
        le::u32_at(&self.bytes, 0).map(|len| len as usize)
    }

    /// Bytes of the record still to come; `None` while the length is unknown.
    pub(super) fn missing(&self) -> Option<usize> {
        self.total_len()
            .map(|len| len.saturating_sub(self.bytes.len()))
    }

    pub(super) fn is_complete(&self) -> bool {
        self.bytes.len() >= SIZE_OF_RECORD_HEADER && self.missing() == Some(0)
    }

    /// Takes bytes up to the next point worth a check, the page's or the input's end; false if
    /// there were none.
    pub(super) fn gather(&mut self, input: &mut Input) -> bool {
        let goal = match (self.bytes.len(), self.total_len()) {
            (..SIZE_OF_LENGTH, _) | (_, None) => SIZE_OF_LENGTH,
            (..SIZE_OF_RECORD_HEADER, _) => SIZE_OF_RECORD_HEADER,
            (_, Some(total_len)) => total_len,
        };
        let left_on_page = XLOG_BLCKSZ - (input.at().0 % XLOG_BLCKSZ as u64) as usize;
        let wanted = goal.saturating_sub(self.bytes.len()).min(left_on_page);
        let taken = input.take(wanted);
        self.bytes.extend_from_slice(taken);
        !taken.is_empty()
    }

    /// Checks the header as far as it is there, before any more is gathered by its word.
    pub(super) fn check(
        &self,
        major: u32,
        prev: Option<Lsn>,
        record_bytes_max: u32,
    ) -> Result<(), WalError> {
        let lsn = self.start;
        match self.bytes.len() {
            SIZE_OF_LENGTH => self.check_length(record_bytes_max),
            SIZE_OF_RECORD_HEADER => match RecordHeader::parse(&self.bytes) {
                Some(header) => check_link(lsn, &header, prev, major),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn check_length(&self, record_bytes_max: u32) -> Result<(), WalError> {
        let lsn = self.start;
        let reason = match self.total_len() {
            Some(0) => return Err(WalError::EndOfWal { lsn }),
            Some(len) if len < SIZE_OF_RECORD_HEADER => {
                format!("length {len}; the header alone has {SIZE_OF_RECORD_HEADER} bytes")
            }
            Some(len) if len > record_bytes_max as usize => {
                format!("length {len} is above the limit of {record_bytes_max} bytes")
            }
            _ => return Ok(()),
        };
        Err(WalError::InvalidRecord { lsn, reason })
    }
}

fn check_link(
    lsn: Lsn,
    header: &RecordHeader,
    prev: Option<Lsn>,
    major: u32,
) -> Result<(), WalError> {
    let found = header.prev;
    let reason = match prev {
        Some(prev) if prev != found => {
            format!("it follows a record at {found}, but the one before is at {prev}")
        }
        None if found >= lsn => format!("it follows a record at {found}, which is not before it"),
        _ if !header.has_known_rmid(major) => {
            format!(
                "resource manager {} does not exist in Postgres {major}",
                header.rmid
            )
        }
        _ => return Ok(()),
    };
    Err(WalError::InvalidRecord { lsn, reason })
}
