//! What several masks are made of (access/common/bufmask.c). Masked bytes become zeros.

use offshoot_layout::item::{LP_UNUSED, item_id, max_offset_number, set_item_id};
use offshoot_layout::page::{
    PD_ALL_VISIBLE, PD_HAS_FREE_LINES, PD_PAGE_FULL, SIZE_OF_PAGE_HEADER, pd_flags, pd_lower,
    pd_special, pd_upper, set_pd_checksum, set_pd_flags, set_pd_lower, set_pd_lsn,
    set_pd_prune_xid, set_pd_upper,
};
use offshoot_layout::{BLCKSZ, ItemId, Lsn, Page};

use super::BadPage;

pub fn lsn_and_checksum(page: &mut Page) {
    set_pd_lsn(page, Lsn::INVALID);
    set_pd_checksum(page, 0);
}

pub fn hint_bits(page: &mut Page) {
    set_pd_prune_xid(page, 0);
    let hints = PD_HAS_FREE_LINES | PD_PAGE_FULL | PD_ALL_VISIBLE;
    set_pd_flags(page, pd_flags(page) & !hints);
}

/// Between `pd_lower` and `pd_upper`.
pub fn unused_space(page: &mut Page) -> Result<(), BadPage> {
    let (lower, upper) = (usize::from(pd_lower(page)), usize::from(pd_upper(page)));
    let special = usize::from(pd_special(page));
    if lower < SIZE_OF_PAGE_HEADER || lower > upper || upper > special || special > BLCKSZ {
        return Err(BadPage("pd_lower, pd_upper, pd_special"));
    }
    page[lower..upper].fill(0);
    Ok(())
}

/// Line pointers in use all look unused; dead ones are hints in indexes.
pub fn line_pointer_flags(page: &mut Page) {
    for offset in 1..=max_offset_number(page) {
        if let Some(id) = item_id(page, offset) {
            let masked = ItemId {
                flags: LP_UNUSED,
                ..id
            };
            let _ = set_item_id(page, offset, masked);
        }
    }
}

/// All but the header.
pub fn content(page: &mut Page) {
    page[SIZE_OF_PAGE_HEADER..].fill(0);
    set_pd_lower(page, 0);
    set_pd_upper(page, 0);
}

/// Where the special space begins, if it has `size` bytes.
pub fn special(page: &Page, size: usize) -> Result<usize, BadPage> {
    let at = usize::from(pd_special(page));
    if at + size != BLCKSZ {
        return Err(BadPage("size of the special space"));
    }
    Ok(at)
}

pub fn u16_at(page: &Page, at: usize) -> u16 {
    u16::from_le_bytes([page[at], page[at + 1]])
}

/// Clears bits of the 16-bit field at `at`.
pub fn clear(page: &mut Page, at: usize, bits: u16) {
    let value = u16_at(page, at) & !bits;
    page[at..at + 2].copy_from_slice(&value.to_le_bytes());
}
