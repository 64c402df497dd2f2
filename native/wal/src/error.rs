//! What can be wrong with WAL.

use offshoot_layout::Lsn;

/// Why WAL could not be decoded or generated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WalError {
    /// The caller's parameters describe no WAL.
    #[error("WAL parameters: {reason}")]
    InvalidParams { reason: String },
    /// A page header that does not belong at this place of this stream.
    #[error("invalid WAL page at {lsn}: {reason}")]
    InvalidPage { lsn: Lsn, reason: String },
    /// Zero bytes where a record should begin: as far as was ever written.
    #[error("WAL ends at {lsn}: no record begins there")]
    EndOfWal { lsn: Lsn },
    /// A record that is damaged or does not follow from the one before it.
    #[error("invalid WAL record at {lsn}: {reason}")]
    InvalidRecord { lsn: Lsn, reason: String },
    /// A page image inside an otherwise valid record that cannot be restored.
    #[error("WAL record at {lsn}: image of block reference {block_id}: {reason}")]
    InvalidImage {
        lsn: Lsn,
        block_id: u8,
        reason: String,
    },
}

impl WalError {
    /// The page or record that is at fault; `None` for parameters.
    #[must_use]
    pub fn lsn(&self) -> Option<Lsn> {
        match self {
            WalError::InvalidParams { .. } => None,
            WalError::InvalidPage { lsn, .. }
            | WalError::EndOfWal { lsn }
            | WalError::InvalidRecord { lsn, .. }
            | WalError::InvalidImage { lsn, .. } => Some(*lsn),
        }
    }
}
