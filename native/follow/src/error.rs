//! What can go wrong while WAL is followed.

use std::any::Any;
use std::io;
use std::path::{Path, PathBuf};

use offshoot_engine::EngineError;
use offshoot_layout::Lsn;

/// Why following ended, or a call failed.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The log's files: `action` names what was tried.
    #[error("cannot {action} {path}: {source}", path = path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// The source left bytes out, or sent some twice.
    #[error("the source sent WAL from {sent}, not from {expected}")]
    Gap { sent: Lsn, expected: Lsn },
    /// What the source sent is not what the protocol says.
    #[error("the source broke the replication protocol: {0}")]
    Protocol(String),
    /// The source refused: its own words.
    #[error("{0}")]
    Refused(String),
    /// The connection to the source cannot be made, or broke.
    #[error("connection to the source: {0}")]
    Connection(io::Error),
    /// Decoding or indexing what is in the log.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A new WAL would make the log forget what is in it.
    #[error("the log holds WAL up to {end} that is indexed only up to {indexed}")]
    Unindexed { indexed: Lsn, end: Lsn },
    /// A compute's log, which nothing else has: behind `lsn` something else stands than was written.
    #[error(
        "the WAL log {dir} is damaged behind {lsn}: {reason}; it had been written up to {written}",
        dir = dir.display()
    )]
    Damaged {
        dir: PathBuf,
        /// End of the last whole record before.
        lsn: Lsn,
        /// Up to here, at least, all was on disk.
        written: Lsn,
        reason: String,
    },
    /// A bug: a thread that follows broke off.
    #[error("following broke off: {0}")]
    Panicked(String),
    #[error("following was closed")]
    Closed,
}

impl FollowError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FollowError {
        let path = path.to_path_buf();
        move |source| FollowError::Io {
            action,
            path,
            source,
        }
    }

    /// What a panic said.
    pub(crate) fn of_panic(payload: &(dyn Any + Send)) -> FollowError {
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        FollowError::Panicked(text.unwrap_or("without a message").to_owned())
    }

    /// Whether the disk has no room; then it is worth another try later.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        match self {
            FollowError::Io { source, .. } => source.kind() == io::ErrorKind::StorageFull,
            FollowError::Engine(EngineError::Store(error)) => {
                matches!(error, offshoot_engine::StoreError::DiskFull { .. })
            }
            _ => false,
        }
    }
}
