//! Filling an empty page with tuples.

use offshoot_layout::Page;
use offshoot_layout::item::{ItemId, LP_NORMAL, SIZE_OF_ITEM_ID, max_offset_number, set_item_id};
use offshoot_layout::page::{SIZE_OF_PAGE_HEADER, set_pd_lower, set_pd_upper};

use super::opaque::SPECIAL;
use super::tuple;
use crate::page_items::{Place, add_item, begin_item};
use crate::payload::Malformed;

const NO_ROOM: Malformed = Malformed("more tuples than fit a page");

fn next_place(page: &Page) -> Place {
    Place::Insert(max_offset_number(page).saturating_add(1))
}

/// Adds a tuple behind those there are, and gives its offset number.
pub(super) fn append(page: &mut Page, tuple: &[u8]) -> Result<u16, Malformed> {
    let place = next_place(page);
    add_item(page, tuple, place)
}

/// As [`append`], a tuple of `length` bytes that are yet to be written.
pub(super) fn begin_append(page: &mut Page, length: usize) -> Result<u16, Malformed> {
    let place = next_place(page);
    begin_item(page, length, place)
}

/// Fills an empty page with the tuple space of a page (_bt_restore_page). Tuples were added from
/// the page's end downwards, so that the last one in the bytes is the first item.
pub(super) fn restore(page: &mut Page, tuples: &[u8]) -> Result<(), Malformed> {
    let mut count = 0;
    let mut rest = tuples;
    while !rest.is_empty() {
        (_, rest) = tuple::split_first(rest)?;
        count += 1;
    }
    let lower = SIZE_OF_PAGE_HEADER + SIZE_OF_ITEM_ID * count;
    let upper = SPECIAL.checked_sub(tuples.len()).ok_or(NO_ROOM)?;
    if lower > upper {
        return Err(NO_ROOM);
    }
    page[upper..SPECIAL].copy_from_slice(tuples);
    set_pd_lower(page, lower as u16);
    set_pd_upper(page, upper as u16);
    let mut start = upper;
    rest = tuples;
    for offset in (1..=count as u16).rev() {
        let first;
        (first, rest) = tuple::split_first(rest)?;
        let id = ItemId {
            offset: start as u16,
            flags: LP_NORMAL,
            length: first.len() as u16,
        };
        set_item_id(page, offset, id).ok_or(NO_ROOM)?;
        start += first.len();
    }
    Ok(())
}
