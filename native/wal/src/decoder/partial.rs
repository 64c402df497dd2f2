//! A record whose bytes are still arriving.

use offshoot_layout::{Lsn, le};

use super::Input;
use super::machine::left_on_page;
use crate::WalError;
use crate::header::{RecordHeader, SIZE_OF_RECORD_HEADER};

/// The length field; always on the page where the record begins.
const SIZE_OF_LENGTH: usize = 4;
/// Room made at once on the word of a length whose CRC is not known yet.
const RESERVED_BYTES_MAX: usize = 64 * 1024;

pub(super) struct Partial {
    start: Lsn,
    bytes: Vec<u8>,
}

impl Partial {
    /// `bytes` is memory to gather in; its content is dropped.
    pub(super) fn begin(start: Lsn, mut bytes: Vec<u8>) -> Partial {
        bytes.clear();
        Partial { start, bytes }
    }

    pub(super) fn start(&self) -> Lsn {
        self.start
    }

    pub(super) fn into_parts(self) -> (Lsn, Vec<u8>) {
        (self.start, self.bytes)
    }

    /// The record's length, once its field is there.
    fn total_len(&self) -> Option<u32> {
        le::u32_at(&self.bytes, 0)
    }

    /// Bytes of the record still to come; `None` while the length is unknown.
    pub(super) fn missing(&self) -> Option<usize> {
        self.total_len()
            .map(|len| (len as usize).saturating_sub(self.bytes.len()))
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
            (_, Some(total_len)) => total_len as usize,
        };
        let missing = goal.saturating_sub(self.bytes.len());
        self.bytes.reserve(missing.min(RESERVED_BYTES_MAX));
        let taken = input.take(missing.min(left_on_page(input.at())));
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
            SIZE_OF_LENGTH => check_length(lsn, self.total_len().unwrap_or(0), record_bytes_max),
            SIZE_OF_RECORD_HEADER => match RecordHeader::parse(&self.bytes) {
                Some(header) => check_link(lsn, &header, prev, major),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

/// Whether a record may have this length.
pub(super) fn check_length(
    lsn: Lsn,
    total_len: u32,
    record_bytes_max: u32,
) -> Result<(), WalError> {
    let reason = if total_len == 0 {
        return Err(WalError::EndOfWal { lsn });
    } else if (total_len as usize) < SIZE_OF_RECORD_HEADER {
        format!("length {total_len}; the header alone has {SIZE_OF_RECORD_HEADER} bytes")
    } else if total_len > record_bytes_max {
        format!("length {total_len} is above the limit of {record_bytes_max} bytes")
    } else {
        return Ok(());
    };
    Err(WalError::InvalidRecord { lsn, reason })
}

/// Whether a record may follow the one before it.
pub(super) fn check_link(
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
