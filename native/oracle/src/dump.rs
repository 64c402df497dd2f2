//! Pages of a difference as files, to look at with other tools.

use std::fs;
use std::path::Path;

use offshoot_layout::Page;

use crate::error::OracleError;

/// Writes `NNN.before`, `NNN.ours`, `NNN.theirs`, `NNN.record` and `NNN.txt`.
///
/// # Errors
/// [`OracleError::Io`].
pub fn dump(
    directory: &Path,
    number: usize,
    pages: (Option<&Page>, &Page, &Page),
    record: &[u8],
    text: &str,
) -> Result<(), OracleError> {
    fs::create_dir_all(directory).map_err(OracleError::io(directory))?;
    let write = |extension: &str, bytes: &[u8]| {
        let path = directory.join(format!("{number:03}.{extension}"));
        fs::write(&path, bytes).map_err(OracleError::io(&path))
    };
    if let Some(before) = pages.0 {
        write("before", before)?;
    }
    write("ours", pages.1)?;
    write("theirs", pages.2)?;
    write("record", record)?;
    write("txt", text.as_bytes())
}
