//! Tells a full disk from a broken one.

use crate::StoreError;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// What is written to see whether there is room: one page of the store's file.
const PROBE_BYTES: usize = 4096;

/// LMDB says EIO when a write was cut short, which is how a disk runs full in the middle of one.
/// Whether it did is asked of the disk itself.
pub(crate) fn explain(error: StoreError, data_file: &Path) -> StoreError {
    match &error {
        StoreError::Io(reason) if reason.raw_os_error() == Some(libc::EIO) => {
            probe(data_file).err().map_or(error, StoreError::DiskFull)
        }
        _ => error,
    }
}

/// Writes behind the file's end and takes it back; LMDB never looks there. Only for who holds the
/// store's write lock.
///
/// # Errors
/// The reason why the file cannot grow.
fn probe(data_file: &Path) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(data_file)?;
    let end = file.metadata()?.len();
    let written = file.write_all_at(&[0; PROBE_BYTES], end);
    file.set_len(end)?;
    written
}
