//! Generic (generic_mask).

use offshoot_layout::Page;

use super::{BadPage, primitives};

/// As Postgres masks pages that extensions log with generic records.
///
/// # Errors
/// [`BadPage`].
pub fn mask(page: &Page, _block: u32) -> Result<Page, BadPage> {
    let mut page = *page;
    primitives::lsn_and_checksum(&mut page);
    primitives::unused_space(&mut page)?;
    Ok(page)
}
