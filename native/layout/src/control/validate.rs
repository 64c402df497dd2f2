//! Which clusters can be taken in, by their pg_control.

use std::fmt::Display;

use super::ControlFile;
use super::control_file::STRUCTURE;
use crate::{BLCKSZ, LayoutError, RELSEG_BLOCKS, version::Version, wal_page, wal_segment};

/// What every packaged little-endian 64-bit Postgres writes into `floatFormat`.
const FLOAT_FORMAT: f64 = 1_234_567.0;

pub(super) fn unsupported(
    field: &'static str,
    found: impl Display,
    supported: impl Display,
) -> LayoutError {
    LayoutError::Unsupported {
        structure: STRUCTURE,
        field,
        found: found.to_string(),
        supported: supported.to_string(),
    }
}

fn expect<T: PartialEq + Display>(
    field: &'static str,
    found: T,
    supported: T,
) -> Result<(), LayoutError> {
    if found == supported {
        Ok(())
    } else {
        Err(unsupported(field, found, supported))
    }
}

impl ControlFile {
    /// The major version that wrote the file, by its catalog version.
    #[must_use]
    pub fn major(&self) -> Option<u32> {
        Version::of_catalog(self.catalog_version_no).map(|version| version.major)
    }

    /// Checks that the cluster is of `major` and built and set as we support it.
    ///
    /// # Errors
    /// [`LayoutError::Unsupported`] names the first field that is not, and what it may be.
    pub fn validate(&self, major: u32) -> Result<(), LayoutError> {
        let version = Version::of_major(major)
            .ok_or_else(|| unsupported("major version", major, "14 to 18"))?;
        expect(
            "pg_control_version",
            self.pg_control_version,
            version.control_version,
        )?;
        expect(
            "catalog_version_no",
            self.catalog_version_no,
            version.catalog_version,
        )?;
        self.validate_build()?;
        self.validate_cluster()
    }

    fn validate_build(&self) -> Result<(), LayoutError> {
        expect("maxAlign", self.max_align, 8)?;
        expect("floatFormat", self.float_format, FLOAT_FORMAT)?;
        expect("blcksz", self.blcksz, BLCKSZ as u32)?;
        expect("relseg_size", self.relseg_size, RELSEG_BLOCKS)?;
        expect(
            "xlog_blcksz",
            self.xlog_blcksz,
            wal_page::XLOG_BLCKSZ as u32,
        )?;
        expect("nameDataLen", self.name_data_len, 64)?;
        expect("indexMaxKeys", self.index_max_keys, 32)?;
        expect("toast_max_chunk_size", self.toast_max_chunk_size, 1996)?;
        expect("loblksize", self.loblksize, 2048)?;
        expect("float8ByVal", self.float8_by_val, true)
    }

    fn validate_cluster(&self) -> Result<(), LayoutError> {
        if !wal_segment::is_valid_size(self.xlog_seg_size) {
            let supported = "a power of two from 1048576 to 1073741824";
            return Err(unsupported("xlog_seg_size", self.xlog_seg_size, supported));
        }
        if self.data_checksum_version > 1 {
            let supported = "0 (off) or 1 (on)";
            return Err(unsupported(
                "data_checksum_version",
                self.data_checksum_version,
                supported,
            ));
        }
        Ok(())
    }
}
