//! Bitmap pages: a bit for each overflow page, set while it is in use. The words of 32 bits are
//! little-endian with the lowest bit first, so that bytes serve as well.

use offshoot_layout::Page;
use offshoot_layout::page::{SIZE_OF_PAGE_HEADER, set_pd_lower};

use super::page::{INVALID, LH_BITMAP_PAGE, check_type, init_page};
use crate::payload::Malformed;

/// Bytes of bits on a page: the largest power of two that there is room for.
pub(super) const BMSIZE: u16 = 4096;
/// log2 of the bits on a page.
pub(super) const BMSHIFT: u16 = 15;

/// Makes a bitmap page of which all bits are set: the overflow pages do not exist yet.
pub(super) fn init_bitmap(page: &mut Page, bmsize: u16) -> Result<(), Malformed> {
    if bmsize != BMSIZE {
        return Err(Malformed("another size of bitmap than pages have"));
    }
    init_page(page, INVALID, INVALID, LH_BITMAP_PAGE);
    let end = SIZE_OF_PAGE_HEADER + usize::from(BMSIZE);
    page[SIZE_OF_PAGE_HEADER..end].fill(0xFF);
    set_pd_lower(page, end as u16);
    Ok(())
}

pub(super) fn set_bit(page: &mut Page, bit: u32) -> Result<(), Malformed> {
    *byte_of(page, bit)? |= 1 << (bit % 8);
    Ok(())
}

pub(super) fn clear_bit(page: &mut Page, bit: u32) -> Result<(), Malformed> {
    *byte_of(page, bit)? &= !(1 << (bit % 8));
    Ok(())
}

fn byte_of(page: &mut Page, bit: u32) -> Result<&mut u8, Malformed> {
    check_type(page, LH_BITMAP_PAGE)?;
    page[SIZE_OF_PAGE_HEADER..][..usize::from(BMSIZE)]
        .get_mut(bit as usize / 8)
        .ok_or(Malformed("bit past the bitmap's end"))
}
