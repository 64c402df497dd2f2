//! Gin (gin_mask). Special space, 8 bytes: flags at 6.

use offshoot_layout::Page;
use offshoot_layout::page::{SIZE_OF_PAGE_HEADER, pd_lower};

use super::{BadPage, primitives};

const SIZE_OF_SPECIAL: usize = 8;
const FLAGS: usize = 6;
const GIN_DELETED: u16 = 0x0004;

/// As Postgres masks pages of GIN indexes.
///
/// # Errors
/// [`BadPage`].
pub fn mask(page: &Page, _block: u32) -> Result<Page, BadPage> {
    let mut page = *page;
    primitives::lsn_and_checksum(&mut page);
    let special = primitives::special(&page, SIZE_OF_SPECIAL)?;
    primitives::hint_bits(&mut page);
    if primitives::u16_at(&page, special + FLAGS) & GIN_DELETED != 0 {
        primitives::content(&mut page);
    } else if usize::from(pd_lower(&page)) > SIZE_OF_PAGE_HEADER {
        primitives::unused_space(&mut page)?;
    }
    Ok(page)
}
