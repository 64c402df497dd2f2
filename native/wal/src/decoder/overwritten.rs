//! Records whose tail was lost, and the notices that stand for them.

use offshoot_layout::{Lsn, le};

use super::WalDecoder;
use crate::{RM_XLOG_ID, Record, WalError, XLOG_OVERWRITE_CONTRECORD};

/// What the record after an abandoned one must say.
pub(super) enum Overwritten {
    No,
    /// The abandoned record began before the stream did.
    Unknown,
    Began(Lsn),
}

impl WalDecoder {
    /// The first record after an abandoned one must name it.
    pub(super) fn check_overwritten(&mut self, record: &Record) -> Result<(), WalError> {
        if matches!(self.overwritten, Overwritten::No) {
            return Ok(());
        }
        let expected = std::mem::replace(&mut self.overwritten, Overwritten::No);
        let is_notice = record.rmid == RM_XLOG_ID && record.opcode() == XLOG_OVERWRITE_CONTRECORD;
        let named = le::u64_at(record.main_data(), 0)
            .filter(|_| is_notice)
            .map(Lsn);
        let reason = match (expected, named) {
            (Overwritten::No, _) | (Overwritten::Unknown, Some(_)) => return Ok(()),
            (Overwritten::Began(lsn), Some(named)) if named == lsn => return Ok(()),
            (Overwritten::Began(lsn), Some(named)) => {
                format!("it stands for the abandoned record at {named}, but that began at {lsn}")
            }
            (_, None) => "a record was abandoned here, but this one does not say so".to_owned(),
        };
        Err(WalError::InvalidRecord {
            lsn: record.start,
            reason,
        })
    }
}
