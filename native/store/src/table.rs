//! The four named databases of a store.

/// Longest key that LMDB takes.
pub const KEY_BYTES_MAX: usize = 511;

/// One ordered table of the store; keys sort as bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Table {
    Versions = 0,
    Sizes = 1,
    Files = 2,
    Extents = 3,
}

impl Table {
    pub const ALL: [Table; 4] = [Table::Versions, Table::Sizes, Table::Files, Table::Extents];

    pub(crate) fn name(self) -> &'static str {
        ["versions", "sizes", "files", "extents"][self as usize]
    }
}

/// The LMDB handles, by `Table`.
pub(crate) type Databases =
    [heed::Database<'static, heed::types::Bytes, heed::types::Bytes>; Table::ALL.len()];
