//! Special space of a hash index's page, the same for all kinds of pages.
//!
//! | field | offset in the special space | width |
//! |---|---|---|
//! | hasho_prevblkno | 0 | 4 |
//! | hasho_nextblkno | 4 | 4 |
//! | hasho_bucket | 8 | 4 |
//! | hasho_flag | 12 | 2 |
//! | hasho_page_id | 14 | 2 |

use offshoot_layout::Page;
use offshoot_layout::page::{init, pd_special};

use crate::payload::Malformed;

/// `hasho_flag`: the page was freed and is in no chain.
pub(super) const LH_UNUSED_PAGE: u16 = 0;
pub(super) const LH_OVERFLOW_PAGE: u16 = 1;
pub(super) const LH_BITMAP_PAGE: u16 = 4;
pub(super) const LH_META_PAGE: u16 = 8;
/// `hasho_flag`: tuples that a split moved away are still on the bucket's pages.
pub(super) const LH_BUCKET_NEEDS_SPLIT_CLEANUP: u16 = 0x40;
/// `hasho_flag`: there are tuples marked dead (hint).
pub(super) const LH_PAGE_HAS_DEAD_TUPLES: u16 = 0x80;
const LH_PAGE_TYPE: u16 = 0x0F;

const SPECIAL_BYTES: usize = 16;
const PREVBLKNO: usize = 0;
const NEXTBLKNO: usize = 4;
const BUCKET: usize = 8;
const FLAG: usize = 12;
const PAGE_ID: usize = 14;
const HASHO_PAGE_ID: u16 = 0xFF80;

/// A block reference with an id that the record type does not have.
pub(super) const NO_SUCH_BLOCK: Malformed = Malformed("block reference that it should not have");

/// No block, or no bucket.
pub(super) const INVALID: u32 = u32::MAX;

/// Makes an empty page without a next one. A primary bucket page has for `prevblkno` the highest
/// bucket of the index at its last split.
pub(super) fn init_page(page: &mut Page, prevblkno: u32, bucket: u32, flag: u16) {
    init(page, SPECIAL_BYTES as u16);
    let start = page.len() - SPECIAL_BYTES;
    let special = &mut page[start..];
    special[PREVBLKNO..NEXTBLKNO].copy_from_slice(&prevblkno.to_le_bytes());
    special[NEXTBLKNO..BUCKET].copy_from_slice(&INVALID.to_le_bytes());
    special[BUCKET..FLAG].copy_from_slice(&bucket.to_le_bytes());
    special[FLAG..PAGE_ID].copy_from_slice(&flag.to_le_bytes());
    special[PAGE_ID..].copy_from_slice(&HASHO_PAGE_ID.to_le_bytes());
}

fn special(page: &mut Page) -> Result<&mut [u8; SPECIAL_BYTES], Malformed> {
    let start = usize::from(pd_special(page));
    page.get_mut(start..)
        .and_then(|bytes| <&mut [u8; SPECIAL_BYTES]>::try_from(bytes).ok())
        .filter(|special| special[PAGE_ID..] == HASHO_PAGE_ID.to_le_bytes())
        .ok_or(Malformed("not a page of a hash index"))
}

fn flag_of(special: &[u8; SPECIAL_BYTES]) -> u16 {
    u16::from_le_bytes([special[FLAG], special[FLAG + 1]])
}

/// Refuses a page that is not of this type.
pub(super) fn check_type(page: &mut Page, page_type: u16) -> Result<(), Malformed> {
    let found = flag_of(special(page)?) & LH_PAGE_TYPE;
    (found == page_type)
        .then_some(())
        .ok_or(Malformed("another type of hash index page"))
}

pub(super) fn set_prevblkno(page: &mut Page, block: u32) -> Result<(), Malformed> {
    special(page)?[PREVBLKNO..NEXTBLKNO].copy_from_slice(&block.to_le_bytes());
    Ok(())
}

pub(super) fn set_nextblkno(page: &mut Page, block: u32) -> Result<(), Malformed> {
    special(page)?[NEXTBLKNO..BUCKET].copy_from_slice(&block.to_le_bytes());
    Ok(())
}

pub(super) fn set_flag(page: &mut Page, flag: u16) -> Result<(), Malformed> {
    special(page)?[FLAG..PAGE_ID].copy_from_slice(&flag.to_le_bytes());
    Ok(())
}

/// Clears these bits of `hasho_flag`.
pub(super) fn clear_flags(page: &mut Page, bits: u16) -> Result<(), Malformed> {
    let special = special(page)?;
    let flag = flag_of(special) & !bits;
    special[FLAG..PAGE_ID].copy_from_slice(&flag.to_le_bytes());
    Ok(())
}
