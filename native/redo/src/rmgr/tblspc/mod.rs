//! Tablespace (5): CREATE has the oid and a NUL-terminated path, DROP the oid.

mod effects;

pub(crate) use effects::{create, drop};
