//! How much a store holds.

/// Counts and bytes of one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Bytes of the pages in use; what deletions freed inside the file is not counted.
    pub used_bytes: u64,
    /// Bytes of the file. What is neither in use nor LMDB's own is room that deletions have left.
    pub file_bytes: u64,
    /// Bytes of the map: how far the file can grow before the map does.
    pub map_bytes: u64,
    /// Entries, by `Table`.
    pub entries: [u64; crate::Table::ALL.len()],
}
