//! CommitTs (18): pages of pg_commit_ts, ten bytes per transaction: time i64, origin u16.

mod apply;
mod effects;

use crate::opcode::SlruRedo;

pub(crate) use apply::set;
pub(crate) use effects::{truncate, truncate_state};

pub(crate) const ZEROPAGE_SLRU: SlruRedo = SlruRedo {
    pages: apply::zero_pages,
    apply: crate::slru::no_apply,
    excerpts: None,
};
