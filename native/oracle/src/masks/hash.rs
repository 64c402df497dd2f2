//! Hash (hash_mask). Special space, 16 bytes: hasho_flag at 12.

use offshoot_layout::Page;

use super::{BadPage, primitives};

const SIZE_OF_SPECIAL: usize = 16;
const FLAG: usize = 12;
const PAGE_TYPE: u16 = 0x000F;
const LH_UNUSED_PAGE: u16 = 0;
const LH_OVERFLOW_PAGE: u16 = 1;
const LH_BUCKET_PAGE: u16 = 2;
const LH_PAGE_HAS_DEAD_TUPLES: u16 = 0x0080;

/// As Postgres masks pages of hash indexes.
///
/// # Errors
/// [`BadPage`].
pub fn mask(page: &Page, _block: u32) -> Result<Page, BadPage> {
    let mut page = *page;
    primitives::lsn_and_checksum(&mut page);
    primitives::hint_bits(&mut page);
    primitives::unused_space(&mut page)?;
    let special = primitives::special(&page, SIZE_OF_SPECIAL)?;
    match primitives::u16_at(&page, special + FLAG) & PAGE_TYPE {
        // Freed overflow pages.
        LH_UNUSED_PAGE => primitives::content(&mut page),
        LH_BUCKET_PAGE | LH_OVERFLOW_PAGE => primitives::line_pointer_flags(&mut page),
        _ => {}
    }
    primitives::clear(&mut page, special + FLAG, LH_PAGE_HAS_DEAD_TUPLES);
    Ok(page)
}
