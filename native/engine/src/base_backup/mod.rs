//! A data directory as of an LSN, as a tar archive that is made while it is read.
//!
//! Postgres starts from it without recovery: pg_control says "shut down", and its checkpoint record is
//! a fabricated one, behind the LSN, in a WAL segment of its own. These two come last, so that an
//! archive that broke off cannot be started.

mod directories;
mod plan;
mod start;
mod stream;
mod tar_writer;

pub use stream::BaseBackup;

use offshoot_layout::Lsn;

/// What to put into the archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BaseBackupOptions {
    /// The newest when `None`.
    pub lsn: Option<Lsn>,
    pub contents: Contents,
    pub wal: WalSegment,
}

/// Which relation files are in the archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contents {
    /// Only the init forks of unlogged relations, also as their main forks: the rest is fetched.
    Base,
    /// All: a plain Postgres can start from it.
    Full,
}

/// How much of the WAL segment is in the archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WalSegment {
    Whole,
    /// The page with the checkpoint record; the rest is zeros, which whoever unpacks it can add.
    FirstPage,
}
