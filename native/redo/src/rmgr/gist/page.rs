//! The special space of a GiST page (GISTPageOpaqueData), its last 16 bytes.
//!
//! | field | offset | width |
//! |---|---|---|
//! | nsn | 0 | 8 (two u32, **high word first**) |
//! | rightlink | 8 | 4 |
//! | flags | 12 | 2 |
//! | gist_page_id | 14 | 2 |

use offshoot_layout::page::{self, pd_special};
use offshoot_layout::{BLCKSZ, Lsn, Page};

use crate::payload::Malformed;

/// The block that is always the root.
pub(super) const GIST_ROOT_BLKNO: u32 = 0;
pub(super) const INVALID_BLOCK: u32 = u32::MAX;

pub(super) const F_LEAF: u16 = 1;
pub(super) const F_DELETED: u16 = 1 << 1;
/// Some tuples were deleted by VACUUM.
pub(super) const F_TUPLES_DELETED: u16 = 1 << 2;
/// The page to the right has no downlink yet.
pub(super) const F_FOLLOW_RIGHT: u16 = 1 << 3;
/// Some tuples are marked dead (hint).
pub(super) const F_HAS_GARBAGE: u16 = 1 << 4;

const GIST_PAGE_ID: u16 = 0xFF81;
const SIZE_OF_OPAQUE: usize = 16;

const SPECIAL: usize = BLCKSZ - SIZE_OF_OPAQUE;
const NSN: usize = SPECIAL;
const RIGHTLINK: usize = SPECIAL + 8;
const FLAGS: usize = SPECIAL + 12;
const PAGE_ID: usize = SPECIAL + 14;

/// Refuses what is not a page of a GiST index.
pub(super) fn check(page: &Page) -> Result<(), Malformed> {
    let is_gist = usize::from(pd_special(page)) == SPECIAL && u16_at(page, PAGE_ID) == GIST_PAGE_ID;
    is_gist
        .then_some(())
        .ok_or(Malformed("not a page of a GiST index"))
}

/// Makes it an empty page (gistinitpage).
pub(super) fn init(page: &mut Page, flags: u16) {
    page::init(page, SIZE_OF_OPAQUE as u16);
    set_rightlink(page, INVALID_BLOCK);
    set_flags(page, flags);
    put(page, PAGE_ID, GIST_PAGE_ID.to_le_bytes());
}

pub(super) fn flags(page: &Page) -> u16 {
    u16_at(page, FLAGS)
}

pub(super) fn set_flags(page: &mut Page, flags: u16) {
    put(page, FLAGS, flags.to_le_bytes());
}

pub(super) fn set_rightlink(page: &mut Page, block: u32) {
    put(page, RIGHTLINK, block.to_le_bytes());
}

/// The node sequence number: the LSN at which the page was last split.
pub(super) fn set_nsn(page: &mut Page, nsn: Lsn) {
    put(page, NSN, ((nsn.0 >> 32) as u32).to_le_bytes());
    put(page, NSN + 4, (nsn.0 as u32).to_le_bytes());
}

fn u16_at(page: &Page, at: usize) -> u16 {
    u16::from_le_bytes([page[at], page[at + 1]])
}

fn put<const N: usize>(page: &mut Page, at: usize, bytes: [u8; N]) {
    page[at..at + N].copy_from_slice(&bytes);
}
