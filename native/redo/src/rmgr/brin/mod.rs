//! BRIN (17): redo of its pages. See README.md.

mod apply;
mod page;
mod record;
#[cfg(test)]
mod tests;

pub(crate) use apply::{create_index, desummarize, insert, revmap_extend, samepage_update, update};
