//! Database (4): databases made, copied and dropped, one tablespace at a time.

mod effects;

pub(crate) use effects::{create_file_copy, create_wal_log, drop};
