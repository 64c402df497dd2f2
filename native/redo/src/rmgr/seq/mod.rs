//! Sequence (15): the one page of a sequence. See README.md.

mod apply;
#[cfg(test)]
mod tests;

pub(crate) use apply::log;
