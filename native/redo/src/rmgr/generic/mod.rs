//! Generic (20): pages of extensions, changed byte by byte. See README.md.

mod apply;
#[cfg(test)]
mod tests;

pub(crate) use apply::apply;
