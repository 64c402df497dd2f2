//! Relation files of a data directory, and its pg_control.

use std::fs;
use std::path::Path;

use offshoot_layout::{BLCKSZ, BlockKey, ControlFile, Page, RelFile};

use crate::error::OracleError;

const MAJOR: u32 = 15;

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
    walk(data, "", &mut |relative| {
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

fn walk(
    data: &Path,
    relative: &str,
    take: &mut impl FnMut(&str) -> Result<(), OracleError>,
) -> Result<(), OracleError> {
    let directory = data.join(relative);
    let entries = fs::read_dir(&directory).map_err(OracleError::io(&directory))?;
    for entry in entries {
        let entry = entry.map_err(OracleError::io(&directory))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let below = if relative.is_empty() {
            name
        } else {
            format!("{relative}/{name}")
        };
        // Follows the links in pg_tblspc.
        let path = entry.path();
        let kind = fs::metadata(&path).map_err(OracleError::io(&path))?;
        if kind.is_file() {
            take(&below)?;
        } else if kind.is_dir() && holds_relations(&below) {
            walk(data, &below, take)?;
        }
    }
    Ok(())
}

fn holds_relations(relative: &str) -> bool {
    let top = relative.split('/').next();
    matches!(top, Some("base" | "global" | "pg_tblspc"))
}
