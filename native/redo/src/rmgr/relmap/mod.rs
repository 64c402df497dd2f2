//! RelMap (7): database, tablespace, length, and the whole new pg_filenode.map.

mod effects;

pub(crate) use effects::update;
