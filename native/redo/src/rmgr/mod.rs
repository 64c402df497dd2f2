//! One folder per resource manager that has code; the table says which record types use it.

pub mod brin;
pub mod btree;
pub mod clog;
pub mod commit_ts;
pub mod dbase;
pub mod generic;
pub mod gin;
pub mod gist;
pub mod hash;
pub mod heap;
pub mod heap2;
pub mod multixact;
pub mod relmap;
pub mod replorigin;
pub mod seq;
pub mod smgr;
pub mod spgist;
pub mod standby;
pub mod tblspc;
pub mod xact;
pub mod xlog;
