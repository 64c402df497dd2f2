//! CLOG (3): pages of pg_xact, two bits per transaction, lowest bits first.

mod apply;
mod effects;

use crate::opcode::SlruRedo;

pub(crate) use apply::{TransactionStatus, set_status};
pub(crate) use effects::truncate;

pub(crate) const ZEROPAGE_SLRU: SlruRedo = SlruRedo {
    pages: apply::zero_pages,
    apply: crate::slru::no_apply,
    excerpts: None,
};
