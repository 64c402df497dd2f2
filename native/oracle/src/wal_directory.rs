//! The segment files of a pg_wal directory, one after another.

use std::fs;
use std::path::{Path, PathBuf};

use offshoot_layout::{Lsn, wal_segment};
use offshoot_wal::WalParams;

use crate::error::OracleError;

/// Yields the bytes from an LSN on, up to the end of each segment; ends where a file is missing.
pub struct WalDirectory {
    directory: PathBuf,
    params: WalParams,
    at: Option<Lsn>,
}

impl WalDirectory {
    pub fn new(directory: &Path, params: WalParams, start: Lsn) -> WalDirectory {
        WalDirectory {
            directory: directory.to_path_buf(),
            params,
            at: Some(start),
        }
    }

    /// What is left of the current segment; `None` after the last one.
    ///
    /// # Errors
    /// [`OracleError::Io`].
    pub fn next_part(&mut self) -> Result<Option<Vec<u8>>, OracleError> {
        let Some(at) = self.at else { return Ok(None) };
        let Some(path) = self.segment_file(at) else {
            return Ok(None);
        };
        let mut bytes = fs::read(&path).map_err(OracleError::io(&path))?;
        let begins = wal_segment::start_of(at, self.params.seg_size);
        bytes.drain(..((at.0 - begins.0) as usize).min(bytes.len()));
        self.at = wal_segment::start_of_next(at, self.params.seg_size);
        Ok(Some(bytes))
    }

    /// The newest timeline's file: at a promotion it begins with a copy of what was before.
    fn segment_file(&self, at: Lsn) -> Option<PathBuf> {
        let timelines = (1..=self.params.tli).rev();
        let mut paths = timelines.map(|tli| {
            let name = wal_segment::file_name(tli, at, self.params.seg_size);
            self.directory.join(name)
        });
        paths.find(|path| path.exists())
    }
}
