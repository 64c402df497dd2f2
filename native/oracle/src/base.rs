//! Relation files of a data directory, and its pg_control.

use std::fs;
use std::path::Path;

use offshoot_layout::{BLCKSZ, BlockKey, ControlFile, Page, RelFile};

use crate::error::OracleError;

const MAJOR: u32 = 15;
/// Where relation files are.
pub const RELATION_DIRECTORIES: [&str; 3] = ["base", "global", "pg_tblspc"];

/// # Errors
/// [`OracleError::Io`], [`OracleError::Layout`].
pub fn read_control(data: &Path) -> Result<ControlFile, OracleError> {
    let path = data.join("global/pg_control");
    let bytes = fs::read(&path).map_err(OracleError::io(&path))?;
    ControlFile::parse(&bytes).map_err(|source| OracleError::Layout { path, source })
}

/// Calls `take` with every block of every relation file.
///
/// # Errors
/// [`OracleError::Io`].
pub fn each_block(data: &Path, mut take: impl FnMut(BlockKey, &Page)) -> Result<(), OracleError> {
    each_file(data, &RELATION_DIRECTORIES, &mut |relative| {
        let Some(file) = RelFile::parse(relative.as_bytes(), MAJOR) else {
            return Ok(());
        };
        let path = data.join(relative);
        let bytes = fs::read(&path).map_err(OracleError::io(&path))?;
        for (number, chunk) in (file.first_block()..).zip(bytes.chunks_exact(BLCKSZ)) {
            let key = BlockKey {
                rel: file.rel,
                block: number,
            };
            if let Ok(page) = chunk.try_into() {
                take(key, page);
            }
        }
        Ok(())
    })
}

/// Calls `take` with the path, relative to `data`, of every file in or below these directories of it.
///
/// # Errors
/// [`OracleError::Io`], and those of `take`.
pub fn each_file(
    data: &Path,
    directories: &[&str],
    take: &mut impl FnMut(&str) -> Result<(), OracleError>,
) -> Result<(), OracleError> {
    for directory in directories {
        if data.join(directory).exists() {
            walk(data, directory, take)?;
        }
    }
    Ok(())
}

fn walk(
    data: &Path,
    relative: &str,
    take: &mut impl FnMut(&str) -> Result<(), OracleError>,
) -> Result<(), OracleError> {
    let directory = data.join(relative);
    let entries = fs::read_dir(&directory).map_err(OracleError::io(&directory))?;
    for entry in entries {
        let entry = entry.map_err(OracleError::io(&directory))?;
        let below = format!("{relative}/{}", entry.file_name().to_string_lossy());
        // Follows the links in pg_tblspc.
        let path = entry.path();
        let kind = fs::metadata(&path).map_err(OracleError::io(&path))?;
        if kind.is_file() {
            take(&below)?;
        } else if kind.is_dir() {
            walk(data, &below, take)?;
        }
    }
    Ok(())
}
