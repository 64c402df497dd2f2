//! One folder per resource manager that has code; the table says which record types use it.

pub mod clog;
pub mod commit_ts;
pub mod dbase;
pub mod heap;
pub mod heap2;
pub mod multixact;
pub mod relmap;
pub mod replorigin;
pub mod smgr;
pub mod standby;
pub mod tblspc;
pub mod xact;
pub mod xlog;
