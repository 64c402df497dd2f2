//! Heap2 (9): as Heap, for MULTI_INSERT and LOCK_UPDATED.

mod vm_clears;

pub(crate) use vm_clears::multi_insert_clears;
