//! Takes a running cluster in: its base backup as tar archives, then its WAL.

mod backup;
mod backup_label;
mod leftovers;
mod page_filler;
mod route;
mod session;
mod summary;
mod tar_reader;

pub use session::{ImportOptions, ImportSession, Imported, WalProgress};
pub use summary::BackupSummary;

use crate::EngineError;

/// The source is intact, but of a form that we do not serve.
fn unsupported(error: impl std::fmt::Display) -> EngineError {
    EngineError::UnsupportedSource(error.to_string())
}
