//! What can go wrong in a store.

use std::io;

/// Nothing that was committed before is lost with any of these; an uncommitted batch is.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The batch was rolled back; it can be tried again once there is room.
    #[error("no space left for the store: {0}")]
    DiskFull(#[source] io::Error),
    /// The map reached `StoreOptions::map_size_max_bytes`.
    #[error("the store is full: it holds {map_bytes} bytes and its limit is {map_bytes_max}")]
    MapFull {
        map_bytes: usize,
        map_bytes_max: usize,
    },
    /// The map has to grow, and readers that hold it did not let go in `StoreOptions::grow_wait_ms`;
    /// or a reader waited that long for a map that is growing. Trying again is right.
    #[error("waited {waited_ms} ms for readers to let the store's map grow")]
    GrowTimeout { waited_ms: u64 },
    /// More snapshots at once than `StoreOptions::readers_max`.
    #[error("more than {readers_max} snapshots of the store at once")]
    ReadersFull { readers_max: u32 },
    #[error("the store is closed")]
    Closed,
    /// The same directory is already open in this process.
    #[error("the store is already open")]
    AlreadyOpen,
    /// Readers did not let go of the store in `StoreOptions::grow_wait_ms` after it was closed.
    #[error("the store was closed but is still being read")]
    StillRead,
    /// LMDB gave up on its files; they have to be closed and opened again, or are damaged.
    #[error("the store's files are unusable: {0}")]
    Unusable(heed::MdbError),
    /// The key is empty or longer than `KEY_BYTES_MAX`.
    #[error("a key of {0} bytes")]
    KeyLength(usize),
    #[error("the store's files: {0}")]
    Io(#[from] io::Error),
    #[error("the store: {0}")]
    Lmdb(#[source] heed::Error),
    /// Not an outcome: `Store::write` sees it and grows the map.
    #[error("the store's map is full")]
    MapMustGrow,
}

impl From<heed::Error> for StoreError {
    fn from(error: heed::Error) -> StoreError {
        use heed::{Error, MdbError};
        match error {
            Error::Io(error) => from_io(error),
            Error::Mdb(MdbError::MapFull | MdbError::MapResized) => StoreError::MapMustGrow,
            Error::Mdb(
                error @ (MdbError::Panic
                | MdbError::Corrupted
                | MdbError::PageNotFound
                | MdbError::Invalid
                | MdbError::VersionMismatch),
            ) => StoreError::Unusable(error),
            Error::EnvAlreadyOpened => StoreError::AlreadyOpen,
            error => StoreError::Lmdb(error),
        }
    }
}

/// EFBIG is a full disk to us too: the file may not grow (a limit on file sizes).
fn from_io(error: io::Error) -> StoreError {
    match error.raw_os_error() {
        Some(libc::ENOSPC | libc::EDQUOT | libc::EFBIG) => StoreError::DiskFull(error),
        _ => StoreError::Io(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_without_room_has_its_own_error() {
        for (code, full) in [
            (libc::ENOSPC, true),
            (libc::EDQUOT, true),
            (libc::EFBIG, true),
            (libc::EIO, false),
            (libc::EACCES, false),
        ] {
            let error = StoreError::from(heed::Error::Io(io::Error::from_raw_os_error(code)));
            assert_eq!(matches!(error, StoreError::DiskFull(_)), full, "{code}");
        }
    }
}
