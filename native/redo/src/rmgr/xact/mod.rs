//! Transaction (1): the fate of transactions, in pg_xact and pg_commit_ts; relations dropped
//! with it; prepared transactions; progress of replication origins.

mod apply;
mod check_point;
mod effects;
mod excerpts;
mod prepare;
mod record;
#[cfg(test)]
mod tests;

use crate::opcode::SlruRedo;

pub(crate) use check_point::{commit_state, end_state, prepare_state};
pub(crate) use effects::{end, prepare};
pub use record::{Fate, fate};

/// Commit: status 1 and a timestamp.
pub(crate) const COMMIT_SLRU: SlruRedo = SlruRedo {
    pages: apply::commit_pages,
    apply: apply::commit,
    excerpts: Some(excerpts::excerpts),
};
/// Abort: status 2.
pub(crate) const ABORT_SLRU: SlruRedo = SlruRedo {
    pages: apply::abort_pages,
    apply: apply::abort,
    excerpts: Some(excerpts::excerpts),
};
