//! Heap2 (9): rows of tables, continued: pruning, vacuum, freezing, the visibility map, inserts
//! of many rows at once. See README.md.

mod apply;
mod multi_insert;
#[cfg(test)]
mod page_tests;
mod prune;
mod record;
mod visible;
mod vm_clears;

pub(crate) use apply::{freeze_page, lock_updated};
pub(crate) use multi_insert::multi_insert;
pub(crate) use prune::{prune, vacuum};
pub(crate) use visible::visible;
pub(crate) use vm_clears::multi_insert_clears;
