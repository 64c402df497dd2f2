//! Adding, deleting and replacing items of a page, as the page functions that redo calls do it:
//! the same order of items and line pointers, so that pages come out the same. Bytes of the hole
//! between `pd_lower` and `pd_upper` mean nothing and may differ.

use std::ops::Range;

use offshoot_layout::item::{
    ItemId, LP_NORMAL, LP_UNUSED, SIZE_OF_ITEM_ID, item_id, item_id_at, max_align,
    max_offset_number, set_item_id,
};
use offshoot_layout::page::{
    PD_HAS_FREE_LINES, SIZE_OF_PAGE_HEADER, pd_flags, pd_lower, pd_special, pd_upper, set_pd_lower,
    set_pd_upper,
};
use offshoot_layout::{BLCKSZ, Page};

use crate::payload::Malformed;

const NO_ITEM: Malformed = Malformed("the page has no such item");
const BAD_HEADER: Malformed = Malformed("the page's header contradicts itself");
const BAD_ITEM: Malformed = Malformed("an item reaches out of the page");
const NO_ROOM: Malformed = Malformed("the page has no room for the item");

/// Where a new item goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// At this offset number; those from it on move up by one.
    Insert(u16),
    /// At this offset number, which is free or the next one (PAI_OVERWRITE).
    Overwrite(u16),
    /// At the first free line pointer if the page's flag says that there are such, else at the
    /// next one (InvalidOffsetNumber).
    Free,
}

/// Whether the header's three bounds fit each other.
///
/// # Errors
/// [`Malformed`] if they do not.
pub fn check_bounds(page: &Page) -> Result<(), Malformed> {
    let (lower, upper, special) = (pd_lower(page), pd_upper(page), pd_special(page));
    let fits = usize::from(lower) >= SIZE_OF_PAGE_HEADER
        && lower <= upper
        && upper <= special
        && usize::from(special) <= BLCKSZ
        && usize::from(special) == max_align(usize::from(special));
    fits.then_some(()).ok_or(BAD_HEADER)
}

/// The line pointer of an offset number that the page has.
///
/// # Errors
/// [`Malformed`] if it has not.
pub fn existing_item_id(page: &Page, offset: u16) -> Result<ItemId, Malformed> {
    if offset > max_offset_number(page) {
        return Err(NO_ITEM);
    }
    item_id(page, offset).ok_or(NO_ITEM)
}

/// Bytes of the page that an item takes, its line pointer's flags whatever they are.
///
/// # Errors
/// [`Malformed`] if the page has no such offset number, or the item is not within the page.
pub fn item_range(page: &Page, offset: u16) -> Result<Range<usize>, Malformed> {
    storage(existing_item_id(page, offset)?)
}

/// The bytes of an item.
///
/// # Errors
/// As [`item_range`].
pub fn item(page: &Page, offset: u16) -> Result<&[u8], Malformed> {
    page.get(item_range(page, offset)?).ok_or(BAD_ITEM)
}

/// The bytes of an item, to change.
///
/// # Errors
/// As [`item_range`].
pub fn item_mut(page: &mut Page, offset: u16) -> Result<&mut [u8], Malformed> {
    let range = item_range(page, offset)?;
    page.get_mut(range).ok_or(BAD_ITEM)
}

/// Changes the line pointer of an offset number that the page has.
///
/// # Errors
/// [`Malformed`] if it has not.
pub fn put_item_id(page: &mut Page, offset: u16, item: ItemId) -> Result<(), Malformed> {
    existing_item_id(page, offset)?;
    set_item_id(page, offset, item).ok_or(NO_ITEM)
}

fn storage(id: ItemId) -> Result<Range<usize>, Malformed> {
    let start = usize::from(id.offset);
    let end = start + usize::from(id.length);
    if end > BLCKSZ {
        return Err(BAD_ITEM);
    }
    Ok(start..end)
}

/// Adds an item (PageAddItem) and gives its offset number.
///
/// # Errors
/// [`Malformed`] if the place is taken, or not adjacent to those in use, or there is no room.
pub fn add_item(page: &mut Page, bytes: &[u8], place: Place) -> Result<u16, Malformed> {
    let at = begin_item(page, bytes.len(), place)?;
    item_mut(page, at)?.copy_from_slice(bytes);
    Ok(at)
}

/// Makes room for an item of `length` bytes and gives its offset number; its bytes are yet to be
/// written.
///
/// # Errors
/// As [`add_item`].
pub fn begin_item(page: &mut Page, length: usize, place: Place) -> Result<u16, Malformed> {
    check_bounds(page)?;
    let next = max_offset_number(page) + 1;
    let at = match place {
        Place::Insert(at) => at,
        Place::Overwrite(at) if at < next => {
            let id = existing_item_id(page, at)?;
            if id.flags != LP_UNUSED || id.has_storage() {
                return Err(Malformed("the item's place is taken"));
            }
            at
        }
        Place::Overwrite(at) => at,
        Place::Free => free_line(page).unwrap_or(next),
    };
    if at == 0 || at > next {
        return Err(Malformed("the item would leave a gap of line pointers"));
    }
    let shifts = matches!(place, Place::Insert(_)) && at < next;
    let grown = if at == next || shifts {
        SIZE_OF_ITEM_ID
    } else {
        0
    };
    let lower = usize::from(pd_lower(page)) + grown;
    let upper = usize::from(pd_upper(page)).checked_sub(max_align(length));
    let upper = upper.filter(|upper| lower <= *upper).ok_or(NO_ROOM)?;
    if shifts {
        let first = item_id_at(page, at).ok_or(NO_ITEM)?;
        page.copy_within(first..lower - SIZE_OF_ITEM_ID, first + SIZE_OF_ITEM_ID);
    }
    let id = ItemId {
        offset: upper as u16,
        flags: LP_NORMAL,
        length: length as u16,
    };
    set_item_id(page, at, id).ok_or(NO_ITEM)?;
    set_pd_lower(page, lower as u16);
    set_pd_upper(page, upper as u16);
    Ok(at)
}

fn free_line(page: &Page) -> Option<u16> {
    if pd_flags(page) & PD_HAS_FREE_LINES == 0 {
        return None;
    }
    let free = |id: ItemId| id.flags == LP_UNUSED && !id.has_storage();
    (1..=max_offset_number(page)).find(|&offset| item_id(page, offset).is_some_and(free))
}

/// An item's bytes checked against the page's bounds: where they start, and how many there are with
/// the filling up to a multiple of 8.
fn deletable(page: &Page, id: ItemId) -> Result<(usize, usize), Malformed> {
    let (start, length) = (usize::from(id.offset), usize::from(id.length));
    let within =
        start >= usize::from(pd_upper(page)) && start + length <= usize::from(pd_special(page));
    if !within || start != max_align(start) {
        return Err(BAD_ITEM);
    }
    Ok((start, max_align(length)))
}

/// Takes the bytes at `start` out, moving those between `pd_upper` and them up.
fn close_gap(page: &mut Page, start: usize, size: usize) {
    let upper = usize::from(pd_upper(page));
    page.copy_within(upper..start, upper + size);
    set_pd_upper(page, (upper + size) as u16);
}

/// Adds `by` to where items start that lie at or below `start`, of those that `moves` picks.
fn shift_items(page: &mut Page, start: usize, by: isize, moves: fn(ItemId) -> bool) {
    for offset in 1..=max_offset_number(page) {
        if let Some(id) = item_id(page, offset)
            && usize::from(id.offset) <= start
            && moves(id)
        {
            let offset_bytes = (isize::from(id.offset as i16) + by) as u16;
            let moved = ItemId {
                offset: offset_bytes,
                ..id
            };
            let _ = set_item_id(page, offset, moved);
        }
    }
}

/// Deletes an item and its line pointer; those behind move down by one (PageIndexTupleDelete).
///
/// # Errors
/// [`Malformed`] if there is no such item, or the page contradicts itself.
pub fn delete_item(page: &mut Page, offset: u16) -> Result<(), Malformed> {
    check_bounds(page)?;
    let (start, size) = deletable(page, existing_item_id(page, offset)?)?;
    let at = item_id_at(page, offset).ok_or(NO_ITEM)?;
    let lower = usize::from(pd_lower(page));
    page.copy_within(at + SIZE_OF_ITEM_ID..lower, at);
    set_pd_lower(page, (lower - SIZE_OF_ITEM_ID) as u16);
    close_gap(page, start, size);
    shift_items(page, start, size as isize, |_| true);
    Ok(())
}

/// Deletes items, whose offset numbers ascend, and their line pointers (PageIndexMultiDelete).
///
/// # Errors
/// [`Malformed`] if one does not exist, they do not ascend, or the page contradicts itself.
pub fn delete_items(page: &mut Page, offsets: &[u16]) -> Result<(), Malformed> {
    check_bounds(page)?;
    if !offsets.is_sorted_by(|a, b| a < b) {
        return Err(Malformed("offset numbers do not ascend"));
    }
    // Not only quicker for few: it leaves the items in another order than compacting all.
    if let ..=2 = offsets.len() {
        return offsets
            .iter()
            .rev()
            .try_for_each(|&offset| delete_item(page, offset));
    }
    let count = max_offset_number(page);
    let mut gone = offsets.iter().copied().peekable();
    let mut kept = Vec::with_capacity(usize::from(count));
    for offset in 1..=count {
        if gone.next_if_eq(&offset).is_none() {
            let id = existing_item_id(page, offset)?;
            deletable(page, id)?;
            kept.push(id);
        }
    }
    if gone.next().is_some() {
        return Err(NO_ITEM);
    }
    for (offset, id) in (1..).zip(&kept) {
        set_item_id(page, offset, *id).ok_or(NO_ITEM)?;
    }
    set_pd_lower(
        page,
        (SIZE_OF_PAGE_HEADER + SIZE_OF_ITEM_ID * kept.len()) as u16,
    );
    compact(page)
}

/// Packs the items that have bytes towards the special space, in the order of their line pointers
/// (compactify_tuples); `pd_upper` follows.
///
/// # Errors
/// [`Malformed`] if the items do not fit the page.
pub fn compact(page: &mut Page) -> Result<(), Malformed> {
    check_bounds(page)?;
    let before = *page;
    let lower = usize::from(pd_lower(page));
    let mut upper = usize::from(pd_special(page));
    for offset in 1..=max_offset_number(page) {
        let id = existing_item_id(page, offset)?;
        if !id.has_storage() {
            continue;
        }
        let size = max_align(usize::from(id.length));
        let start = usize::from(id.offset);
        let bytes = before.get(start..start + size).ok_or(BAD_ITEM)?;
        upper = upper.checked_sub(size).ok_or(NO_ROOM)?;
        if upper < lower {
            return Err(NO_ROOM);
        }
        page[upper..upper + size].copy_from_slice(bytes);
        let moved = ItemId {
            offset: upper as u16,
            ..id
        };
        set_item_id(page, offset, moved).ok_or(NO_ITEM)?;
    }
    set_pd_upper(page, upper as u16);
    Ok(())
}

/// Deletes an item's bytes and leaves its line pointer unused, unless it is the last one
/// (PageIndexTupleDeleteNoCompact).
///
/// # Errors
/// [`Malformed`] if there is no such item, or the page contradicts itself.
pub fn delete_item_not_its_line(page: &mut Page, offset: u16) -> Result<(), Malformed> {
    check_bounds(page)?;
    let (start, size) = deletable(page, existing_item_id(page, offset)?)?;
    if offset < max_offset_number(page) {
        put_item_id(page, offset, ItemId::default())?;
    } else {
        set_pd_lower(page, pd_lower(page) - SIZE_OF_ITEM_ID as u16);
    }
    close_gap(page, start, size);
    shift_items(page, start, size as isize, ItemId::has_storage);
    Ok(())
}

/// Replaces an item's bytes, of whatever length, in place (PageIndexTupleOverwrite).
///
/// # Errors
/// [`Malformed`] if there is no such item, no room, or the page contradicts itself.
pub fn overwrite_item(page: &mut Page, offset: u16, bytes: &[u8]) -> Result<(), Malformed> {
    check_bounds(page)?;
    let id = existing_item_id(page, offset)?;
    let (start, old) = deletable(page, id)?;
    let new = max_align(bytes.len());
    let (lower, upper) = (usize::from(pd_lower(page)), usize::from(pd_upper(page)));
    if new > old + (upper - lower) {
        return Err(NO_ROOM);
    }
    if new != old {
        let moved_upper = upper + old - new;
        page.copy_within(upper..start, moved_upper);
        set_pd_upper(page, moved_upper as u16);
        let by = old as isize - new as isize;
        shift_items(page, start, by, ItemId::has_storage);
    }
    let placed = ItemId {
        offset: (start + old - new) as u16,
        length: bytes.len() as u16,
        ..id
    };
    put_item_id(page, offset, placed)?;
    item_mut(page, offset)?.copy_from_slice(bytes);
    Ok(())
}

#[cfg(test)]
mod tests {
    use offshoot_layout::page;

    use super::*;

    /// An empty page with 16 special bytes, then these items.
    fn page_of(items: &[&[u8]]) -> Page {
        let mut made = [0; BLCKSZ];
        page::init(&mut made, 16);
        for (at, bytes) in (1..).zip(items) {
            assert_eq!(add_item(&mut made, bytes, Place::Insert(at)), Ok(at));
        }
        made
    }

    fn items(page: &Page) -> Vec<&[u8]> {
        let all = 1..=max_offset_number(page);
        all.map(|at| item(page, at).unwrap()).collect()
    }

    /// No two items overlap, all lie between `pd_upper` and the special space, which is full.
    fn check(page: &Page) {
        let mut ranges: Vec<_> = (1..=max_offset_number(page))
            .map(|at| item_range(page, at).unwrap())
            .filter(|range| !range.is_empty())
            .collect();
        ranges.sort_by_key(|range| range.start);
        let mut at = usize::from(pd_upper(page));
        for range in ranges {
            assert_eq!(range.start, at);
            at += max_align(range.len());
        }
        assert_eq!(at, usize::from(pd_special(page)));
    }

    const A: &[u8] = &[1; 5];
    const B: &[u8] = &[2; 16];
    const C: &[u8] = &[3; 24];
    const D: &[u8] = &[4; 1];
    const E: &[u8] = &[5; 40];

    #[test]
    fn items_go_where_they_are_put() {
        let mut page = page_of(&[A, B]);
        assert_eq!(add_item(&mut page, C, Place::Insert(1)), Ok(1));
        assert_eq!(items(&page), [C, A, B]);
        assert_eq!(add_item(&mut page, D, Place::Overwrite(4)), Ok(4));
        assert_eq!(items(&page), [C, A, B, D]);
        put_item_id(&mut page, 2, ItemId::default()).unwrap();
        assert_eq!(add_item(&mut page, E, Place::Overwrite(2)), Ok(2));
        assert_eq!(items(&page), [C, E, B, D]);
        put_item_id(&mut page, 3, ItemId::default()).unwrap();
        assert_eq!(add_item(&mut page, A, Place::Free), Ok(5));
        page::set_pd_flags(&mut page, PD_HAS_FREE_LINES);
        assert_eq!(add_item(&mut page, D, Place::Free), Ok(3));
        assert_eq!(items(&page), [C, E, D, D, A]);
    }

    #[test]
    fn places_that_cannot_be_are_refused() {
        let mut page = page_of(&[A, B]);
        for place in [
            Place::Insert(0),
            Place::Insert(4),
            Place::Overwrite(0),
            Place::Overwrite(1),
            Place::Overwrite(4),
        ] {
            assert!(add_item(&mut page, C, place).is_err(), "{place:?}");
        }
        let free = pd_upper(&page) - pd_lower(&page) - 4;
        let big = vec![7; usize::from(free) + 1];
        assert_eq!(add_item(&mut page, &big, Place::Insert(1)), Err(NO_ROOM));
        assert_eq!(items(&page), [A, B]);
    }

    #[test]
    fn any_items_can_be_deleted() {
        for picked in 0..32u32 {
            let all = [A, B, C, D, E];
            let (gone, left): (Vec<u16>, Vec<u16>) = (1..=5).partition(|at| picked >> at & 1 == 1);
            let mut page = page_of(&all);
            delete_items(&mut page, &gone).unwrap();
            let expected: Vec<_> = left.iter().map(|at| all[usize::from(*at) - 1]).collect();
            assert_eq!(items(&page), expected);
            check(&page);
        }
    }

    #[test]
    fn item_deleted_without_its_line_leaves_it_unused() {
        let mut page = page_of(&[A, B, C]);
        delete_item_not_its_line(&mut page, 2).unwrap();
        assert_eq!(items(&page), [A, &[], C]);
        check(&page);
        delete_item_not_its_line(&mut page, 3).unwrap();
        assert_eq!(items(&page), [A, &[]]);
        check(&page);
    }

    #[test]
    fn items_can_be_replaced_by_longer_and_shorter_ones() {
        for new in [A, B, C, D, E] {
            for at in 1..=3 {
                let mut page = page_of(&[A, B, C]);
                overwrite_item(&mut page, at, new).unwrap();
                let mut expected = [A, B, C];
                expected[usize::from(at) - 1] = new;
                assert_eq!(items(&page), expected);
                check(&page);
            }
        }
    }

    #[test]
    fn what_is_not_there_is_refused() {
        let mut page = page_of(&[A, B, C, D]);
        for offset in [0, 5, u16::MAX] {
            assert_eq!(delete_item(&mut page, offset), Err(NO_ITEM));
            assert_eq!(delete_item_not_its_line(&mut page, offset), Err(NO_ITEM));
            assert_eq!(overwrite_item(&mut page, offset, A), Err(NO_ITEM));
            assert_eq!(item(&page, offset), Err(NO_ITEM));
        }
        assert_eq!(delete_items(&mut page, &[1, 2, 7]), Err(NO_ITEM));
        assert!(delete_items(&mut page, &[2, 1, 3]).is_err());
        assert_eq!(items(&page), [A, B, C, D]);
    }

    #[test]
    fn pages_of_any_bytes_give_errors_at_worst() {
        let mut seed = 1u64;
        for _ in 0..20_000 {
            let mut page = page_of(&[A, B, C, D, E]);
            for _ in 0..3 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let at = 10 + (seed >> 33) as usize % 40;
                page[at] = (seed >> 50) as u8;
            }
            for change in 0..6 {
                let mut page = page;
                let _ = match change {
                    0 => delete_item(&mut page, 2),
                    1 => delete_items(&mut page, &[1, 3, 4]),
                    2 => delete_item_not_its_line(&mut page, 2),
                    3 => overwrite_item(&mut page, 3, E),
                    4 => compact(&mut page),
                    _ => add_item(&mut page, C, Place::Insert(2)).map(|_| ()),
                };
            }
        }
    }
}
