//! Hash (12): redo of the pages of hash indexes. See README.md.

mod bitmap;
mod init;
mod meta_page;
mod overflow;
mod page;
mod record;
mod split;
#[cfg(test)]
mod tests;
mod tuples;

pub(crate) use init::{init_bitmap_page, init_meta_page};
pub(crate) use overflow::{add_ovfl_page, squeeze_page};
pub(crate) use split::{split_allocate_page, split_cleanup, split_complete};
pub(crate) use tuples::{delete, insert, move_page_contents, update_meta_page, vacuum_one_page};
