//! Writes members of a tar archive into a growing chunk.

use tar::{EntryType, Header};

use crate::EngineError;

const BLOCK: usize = 512;

/// What goes into a member's header besides its path; owner and group are always 0.
#[derive(Clone, Copy)]
pub struct TarWriter {
    /// Modification time of every member, seconds since 1970.
    pub mtime_seconds: u64,
}

impl TarWriter {
    /// Appends the header of a directory (mode 0755).
    ///
    /// # Errors
    /// `Damaged` when the path does not fit into a tar header (100 bytes).
    pub fn directory(self, path: &str, out: &mut Vec<u8>) -> Result<(), EngineError> {
        self.header(path, EntryType::Directory, 0o755, 0, out)
    }

    /// Appends the header of a regular file (mode 0600) of `size` bytes; contents and padding follow.
    ///
    /// # Errors
    /// `Damaged` when the path does not fit into a tar header (100 bytes).
    pub fn file(self, path: &str, size: u64, out: &mut Vec<u8>) -> Result<(), EngineError> {
        self.header(path, EntryType::Regular, 0o600, size, out)
    }

    fn header(
        self,
        path: &str,
        kind: EntryType,
        mode: u32,
        size: u64,
        out: &mut Vec<u8>,
    ) -> Result<(), EngineError> {
        let mut header = Header::new_gnu();
        header
            .set_path(path)
            .map_err(|error| EngineError::damaged(path, error))?;
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(size);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(self.mtime_seconds);
        header.set_cksum();
        out.extend_from_slice(header.as_bytes());
        Ok(())
    }
}

/// Fills the last block of a file of `size` bytes.
pub fn pad(size: u64, out: &mut Vec<u8>) {
    let padding = size.wrapping_neg() % BLOCK as u64;
    out.resize(out.len() + padding as usize, 0);
}

/// Appends the archive's end mark.
pub fn end(out: &mut Vec<u8>) {
    out.resize(out.len() + 2 * BLOCK, 0);
}
