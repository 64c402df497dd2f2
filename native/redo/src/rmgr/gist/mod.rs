//! Gist (14): redo of its pages. See README.md.

mod apply;
mod page;
mod record;
mod split;
#[cfg(test)]
mod tests;

pub(crate) use apply::{delete, page_delete, page_update};
pub(crate) use split::page_split;
