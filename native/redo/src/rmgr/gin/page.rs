//! What GIN pages have in common: the special space and the layout of posting tree pages.
//!
//! Special space, eight bytes at 8184:
//!
//! | field | offset | width |
//! |---|---|---|
//! | rightlink | 0 | 4 |
//! | maxoff | 4 | 2 |
//! | flags | 6 | 2 |
//!
//! `maxoff` counts the items of an internal posting tree page (and of a leaf of before 9.4), the
//! heap tuples of a page of the pending list, and is 0 elsewhere.
//!
//! Pages of a posting tree (DATA) have no line pointers: the right bound is a tuple identifier at
//! 24, what they hold is from 32 up to `pd_lower`, and `pd_upper` stays at the special space.

use offshoot_layout::page::{self, pd_special};
use offshoot_layout::{BLCKSZ, Page};

use crate::payload::Malformed;

pub(super) const INVALID_BLOCK: u32 = u32::MAX;

/// Of a posting tree.
pub(super) const DATA: u16 = 0x01;
pub(super) const LEAF: u16 = 0x02;
pub(super) const DELETED: u16 = 0x04;
pub(super) const META: u16 = 0x08;
/// Of the pending list.
pub(super) const LIST: u16 = 0x10;
/// The list page begins with a heap tuple's first entry.
pub(super) const LIST_FULLROW: u16 = 0x20;
/// The right half of a split is not yet in the parent.
pub(super) const INCOMPLETE_SPLIT: u16 = 0x40;
/// A posting tree's leaf as since 9.4.
pub(super) const COMPRESSED: u16 = 0x80;

const SIZE_OF_SPECIAL: usize = 8;
/// Where the special space begins, and items end.
pub(super) const SPECIAL: usize = BLCKSZ - SIZE_OF_SPECIAL;
/// Where what a posting tree page holds begins.
pub(super) const DATA_START: usize = 32;

const RIGHTLINK: usize = SPECIAL;
const MAXOFF: usize = SPECIAL + 4;
const FLAGS: usize = SPECIAL + 6;

/// An empty page with these flags (GinInitPage).
pub(super) fn init(page: &mut Page, flags: u16) {
    page::init(page, SIZE_OF_SPECIAL as u16);
    set_rightlink(page, INVALID_BLOCK);
    set_flags(page, flags);
}

/// Whether the page is a GIN page by its special space, and has just `expected` of the flags in
/// `mask`.
pub(super) fn check_kind(page: &Page, mask: u16, expected: u16) -> Result<(), Malformed> {
    if usize::from(pd_special(page)) != SPECIAL {
        return Err(Malformed("no GIN page"));
    }
    if flags(page) & mask != expected {
        return Err(Malformed("another kind of GIN page"));
    }
    Ok(())
}

pub(super) fn flags(page: &Page) -> u16 {
    u16::from_le_bytes([page[FLAGS], page[FLAGS + 1]])
}

pub(super) fn set_flags(page: &mut Page, flags: u16) {
    page[FLAGS..FLAGS + 2].copy_from_slice(&flags.to_le_bytes());
}

pub(super) fn maxoff(page: &Page) -> u16 {
    u16::from_le_bytes([page[MAXOFF], page[MAXOFF + 1]])
}

pub(super) fn set_maxoff(page: &mut Page, maxoff: u16) {
    page[MAXOFF..MAXOFF + 2].copy_from_slice(&maxoff.to_le_bytes());
}

pub(super) fn set_rightlink(page: &mut Page, block: u32) {
    page[RIGHTLINK..RIGHTLINK + 4].copy_from_slice(&block.to_le_bytes());
}

/// Says how many bytes a posting tree page holds.
pub(super) fn set_data_size(page: &mut Page, size: usize) {
    page::set_pd_lower(page, (DATA_START + size) as u16);
}
