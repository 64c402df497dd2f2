//! BRIN (brin_mask). Special space, 8 bytes: flags at 4, page type at 6.

use offshoot_layout::Page;
use offshoot_layout::page::{SIZE_OF_PAGE_HEADER, pd_lower};

use super::{BadPage, primitives};

const SIZE_OF_SPECIAL: usize = 8;
const FLAGS: usize = 4;
const TYPE: usize = 6;
const BRIN_PAGETYPE_META: u16 = 0xF091;
const BRIN_PAGETYPE_REGULAR: u16 = 0xF093;
const BRIN_EVACUATE_PAGE: u16 = 0x0001;

/// As Postgres masks BRIN pages.
///
/// # Errors
/// [`BadPage`].
pub fn mask(page: &Page, _block: u32) -> Result<Page, BadPage> {
    let mut page = *page;
    primitives::lsn_and_checksum(&mut page);
    primitives::hint_bits(&mut page);
    let special = primitives::special(&page, SIZE_OF_SPECIAL)?;
    let lower = usize::from(pd_lower(&page));
    match primitives::u16_at(&page, special + TYPE) {
        BRIN_PAGETYPE_REGULAR => primitives::unused_space(&mut page)?,
        // Old ones do not say in pd_lower how long they are.
        BRIN_PAGETYPE_META if lower > SIZE_OF_PAGE_HEADER => primitives::unused_space(&mut page)?,
        _ => {}
    }
    primitives::clear(&mut page, special + FLAGS, BRIN_EVACUATE_PAGE);
    Ok(page)
}
