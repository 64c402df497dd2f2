//! MultiXact (6): which transactions share a row lock. pg_multixact/offsets says for each
//! multixact where its members begin, pg_multixact/members lists them. See README.md.

mod apply;
mod effects;
mod excerpts;
mod record;
#[cfg(test)]
mod tests;

use crate::opcode::SlruRedo;

pub(crate) use effects::{create_id_state, truncate, truncate_state};

pub(crate) const ZERO_OFF_PAGE_SLRU: SlruRedo = SlruRedo {
    pages: apply::zero_offsets_pages,
    apply: apply::zero_offsets,
    excerpts: None,
};
pub(crate) const ZERO_MEM_PAGE_SLRU: SlruRedo = SlruRedo {
    pages: apply::zero_members_pages,
    apply: crate::slru::no_apply,
    excerpts: None,
};
pub(crate) const CREATE_ID_SLRU: SlruRedo = SlruRedo {
    pages: apply::create_id_pages,
    apply: apply::create_id,
    excerpts: Some(excerpts::excerpts),
};
