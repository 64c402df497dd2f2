//! Gin (13): redo of inverted indexes: the tree of entries, the posting trees of entries with many
//! items, and the list of pending insertions. See README.md.

mod insert;
mod page;
mod pending_list;
mod posting_list;
mod posting_tree;
mod recompress;
mod record;
#[cfg(test)]
mod tests;

pub(crate) use insert::{insert, split};
pub(crate) use pending_list::{delete_listpage, insert_listpage, update_meta_page};
pub(crate) use posting_tree::{create_ptree, delete_page, vacuum_data_leaf_page};
