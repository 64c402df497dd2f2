//! Storage (2): forks made and cut off, and what that means for the relation's maps.

mod apply;
mod effects;
mod record;
#[cfg(test)]
mod tests;

use crate::opcode::ImplicitRedo;

pub(crate) use effects::{create, truncate};

/// The map pages whose tail a truncation clears.
pub(crate) const TRUNCATE_IMPLICIT: ImplicitRedo = ImplicitRedo::Pages {
    pages: apply::truncate_pages,
    apply: apply::truncate,
};
