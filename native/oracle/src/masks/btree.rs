//! Btree (btree_mask). Special space, 16 bytes: btpo_flags at 12, btpo_cycleid at 14.

use offshoot_layout::Page;

use super::{BadPage, primitives};

const SIZE_OF_SPECIAL: usize = 16;
const FLAGS: usize = 12;
const CYCLE_ID: usize = 14;
const BTP_LEAF: u16 = 0x0001;
const BTP_SPLIT_END: u16 = 0x0020;
const BTP_HAS_GARBAGE: u16 = 0x0040;

/// As Postgres masks B-tree pages.
///
/// # Errors
/// [`BadPage`].
pub fn mask(page: &Page, _block: u32) -> Result<Page, BadPage> {
    let mut page = *page;
    primitives::lsn_and_checksum(&mut page);
    primitives::hint_bits(&mut page);
    primitives::unused_space(&mut page)?;
    let special = primitives::special(&page, SIZE_OF_SPECIAL)?;
    if primitives::u16_at(&page, special + FLAGS) & BTP_LEAF != 0 {
        primitives::line_pointer_flags(&mut page);
    }
    primitives::clear(&mut page, special + FLAGS, BTP_HAS_GARBAGE | BTP_SPLIT_END);
    page[special + CYCLE_ID..special + CYCLE_ID + 2].fill(0);
    Ok(page)
}
