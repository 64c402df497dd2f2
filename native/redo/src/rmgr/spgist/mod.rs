//! SPGist (16): redo of its pages.

mod inner;
mod leaf;
mod offsets;
mod page;
mod pick_split;
mod record;
#[cfg(test)]
mod tests;
mod tuple;
mod vacuum;

pub(crate) use inner::{add_node, split_tuple};
pub(crate) use leaf::{add_leaf, move_leafs};
pub(crate) use pick_split::pick_split;
pub(crate) use vacuum::{vacuum_leaf, vacuum_redirect, vacuum_root};
