//! FPI and FPI_FOR_HINT are their images. A FPI_FOR_HINT may come without one, when the writer
//! found at the last moment that none was due.

use offshoot_layout::Page;

use crate::opcode::{BlockChange, Stamp};
use crate::payload::Malformed;

/// A hint bit was set, which needs no redo.
pub(crate) fn hint_without_image(_: &BlockChange<'_>, _: &mut Page) -> Result<Stamp, Malformed> {
    Ok(Stamp::Unchanged)
}
