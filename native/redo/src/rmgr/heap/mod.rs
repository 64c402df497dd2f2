//! Heap (10): bits of the visibility map that its records clear without referencing the map.
//! Redo of the heap pages is not there yet; the table says so.

#[cfg(test)]
mod tests;
mod vm_clears;

pub(crate) use vm_clears::{clear, delete_clears, insert_clears, lock_clears, update_clears};
