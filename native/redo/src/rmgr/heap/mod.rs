//! Heap (10): rows of tables. What its records do to their heap page, and which bits of the
//! visibility map they clear without referencing the map. See README.md.

mod apply;
mod new_tuple;
#[cfg(test)]
mod page_tests;
mod record;
#[cfg(test)]
mod tests;
mod tuple;
mod update;
mod vm_clears;

pub(crate) use apply::{confirm, delete, inplace, insert, lock, only_block_0};
pub(crate) use new_tuple::{NewTuple, begin_page, change_flags};
pub(crate) use record::{HeapHeader, Lock};
pub(crate) use tuple::TupleHeader;
pub(crate) use update::update;
pub(crate) use vm_clears::{clear, delete_clears, insert_clears, lock_clears, update_clears};
