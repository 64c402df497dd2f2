//! What redo and page serving have to know of the cluster that a tenant is.

use crate::EngineError;
use offshoot_layout::ControlFile;

/// Whether pages carry checksums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checksums {
    On,
    Off,
}

/// Fixed for as long as we follow the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cluster {
    pub major: u32,
    pub checksums: Checksums,
}

impl Cluster {
    /// Reads it from pg_control.
    ///
    /// # Errors
    /// `Damaged` when the bytes are no pg_control that we know.
    pub fn from_control(bytes: &[u8]) -> Result<Cluster, EngineError> {
        let damaged = |reason: String| EngineError::damaged("pg_control", reason);
        let control = ControlFile::parse(bytes).map_err(|error| damaged(error.to_string()))?;
        let unknown = || damaged(format!("catalog version {}", control.catalog_version_no));
        Ok(Cluster {
            major: control.major().ok_or_else(unknown)?,
            checksums: match control.data_checksum_version {
                0 => Checksums::Off,
                _ => Checksums::On,
            },
        })
    }
}
