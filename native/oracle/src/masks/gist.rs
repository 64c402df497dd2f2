//! Gist (gist_mask). Special space, 16 bytes: nsn at 0, flags at 12.

use offshoot_layout::Page;

use super::{BadPage, primitives};

const SIZE_OF_SPECIAL: usize = 16;
const NSN: usize = 0;
const FLAGS: usize = 12;
const F_LEAF: u16 = 0x0001;
const F_TUPLES_DELETED: u16 = 0x0004;
const F_FOLLOW_RIGHT: u16 = 0x0008;
const F_HAS_GARBAGE: u16 = 0x0010;

/// As Postgres masks GiST pages.
///
/// # Errors
/// [`BadPage`].
pub fn mask(page: &Page, _block: u32) -> Result<Page, BadPage> {
    let mut page = *page;
    primitives::lsn_and_checksum(&mut page);
    primitives::hint_bits(&mut page);
    primitives::unused_space(&mut page)?;
    let special = primitives::special(&page, SIZE_OF_SPECIAL)?;
    page[special + NSN..special + NSN + 8].fill(0);
    if primitives::u16_at(&page, special + FLAGS) & F_LEAF != 0 {
        primitives::line_pointer_flags(&mut page);
    }
    primitives::clear(&mut page, special + FLAGS, F_FOLLOW_RIGHT | F_HAS_GARBAGE);
    Ok(page)
}

/// Whether all that differs under the mask is a flag that Postgres' own redo of GiST DELETE sets
/// and production does not: with wal_consistency_checking it refuses its own WAL there.
#[must_use]
pub fn differs_only_in_tuples_deleted(ours: &Page, theirs: &Page) -> bool {
    let (Ok(ours), Ok(mut theirs)) = (mask(ours, 0), mask(theirs, 0)) else {
        return false;
    };
    let (Ok(at), Ok(_)) = (
        primitives::special(&ours, SIZE_OF_SPECIAL),
        primitives::special(&theirs, SIZE_OF_SPECIAL),
    ) else {
        return false;
    };
    let differs = primitives::u16_at(&ours, at + FLAGS) & F_TUPLES_DELETED != 0
        && primitives::u16_at(&theirs, at + FLAGS) & F_TUPLES_DELETED == 0;
    theirs[at + FLAGS] |= F_TUPLES_DELETED as u8;
    differs && ours == theirs
}
