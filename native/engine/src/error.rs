//! What can go wrong in the engine.

use offshoot_layout::{Lsn, RelKey};
use offshoot_store::StoreError;

/// Outcomes that a caller answers (unknown, missing, out of range) and a broken world (store, damage).
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("timeline {0} is not attached")]
    UnknownTimeline(u32),
    /// Attached already, with another parent.
    #[error("timeline {0} is attached with another parent")]
    TimelineConflict(u32),
    /// Whose data is to be removed, and which somebody may still read.
    #[error("timeline {0} is attached, and its data cannot be removed")]
    StillAttached(u32),
    #[error("relation {rel} does not exist at {lsn}")]
    MissingRelation { rel: RelKey, lsn: Lsn },
    #[error("segment {segno:04X} of {directory} does not exist at {lsn}")]
    MissingSlruSegment {
        directory: &'static str,
        segno: u32,
        lsn: Lsn,
    },
    /// The LSN is outside what the timeline keeps, or keeps yet.
    #[error("LSN {lsn} cannot be read; readable are {readable_from} to {last_record_lsn}")]
    NotReadable {
        lsn: Lsn,
        readable_from: Lsn,
        last_record_lsn: Lsn,
    },
    /// A record in the store is not one.
    #[error(transparent)]
    Wal(#[from] offshoot_wal::WalError),
    /// A record cannot be applied, or is not what its type promises.
    #[error(transparent)]
    Redo(#[from] offshoot_redo::RedoError),
    /// A request that no state of the data could satisfy.
    #[error("{0}")]
    BadRequest(String),
    /// Bytes in the store are not what was written there.
    #[error("damaged {what}: {reason}")]
    Damaged { what: String, reason: String },
    /// The store was written by a version of this program that had other formats.
    #[error(
        "the tenant's store is of format {found}, this version reads format {readable}; delete the \
         tenant and import it again"
    )]
    OtherFormat { found: String, readable: u32 },
    /// A tar archive of a base backup is malformed or broken off.
    #[error("base backup, byte {offset} of the archive: {reason}")]
    Archive { offset: u64, reason: String },
    /// A base backup, or the WAL after it, is incomplete or contradicts itself.
    #[error("{0}")]
    BadSource(String),
    /// The source cluster is of a form that cannot be served.
    #[error("{0}")]
    UnsupportedSource(String),
}

impl EngineError {
    pub(crate) fn damaged(what: impl ToString, reason: impl ToString) -> EngineError {
        EngineError::Damaged {
            what: what.to_string(),
            reason: reason.to_string(),
        }
    }
}
