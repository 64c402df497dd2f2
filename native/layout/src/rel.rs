//! Which file and block of a cluster a page is.

use std::fmt;

/// A relation's forks, with the numbers that WAL and the wire use.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Fork {
    Main = 0,
    Fsm = 1,
    Vm = 2,
    Init = 3,
}

impl Fork {
    pub const ALL: [Fork; 4] = [Fork::Main, Fork::Fsm, Fork::Vm, Fork::Init];

    #[must_use]
    pub fn from_number(number: u8) -> Option<Fork> {
        Fork::ALL.get(usize::from(number)).copied()
    }

    /// What follows the relfilenode in a file name: nothing, `_fsm`, `_vm`, `_init`.
    #[must_use]
    pub fn suffix(self) -> &'static str {
        ["", "_fsm", "_vm", "_init"][self as usize]
    }
}

/// One fork of one relation: `spcnode/dbnode/relnode` and the fork.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelKey {
    /// Tablespace oid: 1663 is pg_default (`base/`), 1664 pg_global (`global/`).
    pub spcnode: u32,
    /// Database oid; 0 for shared relations.
    pub dbnode: u32,
    /// Relfilenode (the file's name, not the relation's oid).
    pub relnode: u32,
    pub fork: Fork,
}

impl fmt::Display for RelKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RelKey {
            spcnode,
            dbnode,
            relnode,
            fork,
        } = self;
        write!(f, "{spcnode}/{dbnode}/{relnode}{}", fork.suffix())
    }
}

impl fmt::Debug for RelKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One block of one fork; the block number counts across segment files.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockKey {
    pub rel: RelKey,
    pub block: u32,
}

impl fmt::Display for BlockKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} block {}", self.rel, self.block)
    }
}

impl fmt::Debug for BlockKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
