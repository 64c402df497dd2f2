//! Tuples of a leaf page are deleted, or some rows of posting list tuples.

use offshoot_layout::item::SIZE_OF_ITEM_ID;
use offshoot_layout::page::SIZE_OF_PAGE_HEADER;
use offshoot_layout::tid::SIZE_OF_TID;
use offshoot_layout::{BLCKSZ, Page};

use super::opaque::{self, BTP_HAS_GARBAGE, SPECIAL};
use super::record::Deletion;
use super::{NO_SUCH_BLOCK, check_end, tuple};
use crate::opcode::{BlockChange, Stamp};
use crate::page_items::{delete_items, item, overwrite_item};
use crate::payload::{Malformed, Payload};

/// Line pointers that fit a page.
const MAX_OFFSET_NUMBERS: usize = (SPECIAL - SIZE_OF_PAGE_HEADER) / SIZE_OF_ITEM_ID;

/// By an insertion that needs room.
pub(crate) fn delete(change: &BlockChange<'_>, page: &mut Page) -> Result<Stamp, Malformed> {
    let deletion = Deletion::parse_delete(change.record.main_data())?;
    apply(change, &deletion, page)
}

/// By VACUUM.
pub(crate) fn vacuum(change: &BlockChange<'_>, page: &mut Page) -> Result<Stamp, Malformed> {
    let deletion = Deletion::parse_vacuum(change.record.main_data())?;
    apply(change, &deletion, page)
}

/// Data of block 0: offset numbers of the deleted tuples, offset numbers of the updated ones, and
/// for each updated one:
///
/// | field | offset | width |
/// |---|---|---|
/// | ndeletedtids | 0 | 2 |
/// | indexes in the posting list, ascending | 2 | 2 each |
fn apply(
    change: &BlockChange<'_>,
    deletion: &Deletion,
    page: &mut Page,
) -> Result<Stamp, Malformed> {
    if change.block.id != 0 {
        return Err(NO_SUCH_BLOCK);
    }
    opaque::check(page)?;
    let mut data = Payload::new(change.record.block_data(change.block));
    let deleted = data.take(size_of::<u16>() * deletion.ndeleted)?;
    let mut updated = Payload::new(data.take(size_of::<u16>() * deletion.nupdated)?);
    // Updated tuples first: offset numbers are those before the deletion.
    let mut buffer = [0; BLCKSZ];
    for _ in 0..deletion.nupdated {
        let offset = updated.u16()?;
        let count = usize::from(data.u16()?);
        let gone = data.take(size_of::<u16>() * count)?;
        let new = without_rows(item(page, offset)?, gone, &mut buffer)?;
        overwrite_item(page, offset, new)?;
    }
    check_end(data)?;
    delete_tuples(page, deleted)?;
    opaque::change(page, |opaque| opaque.flags &= !BTP_HAS_GARBAGE)
}

fn delete_tuples(page: &mut Page, deleted: &[u8]) -> Result<(), Malformed> {
    let (deleted, _) = deleted.as_chunks();
    let mut offsets = [0; MAX_OFFSET_NUMBERS];
    let offsets = offsets
        .get_mut(..deleted.len())
        .ok_or(Malformed("more deleted tuples than a page has"))?;
    for (offset, bytes) in offsets.iter_mut().zip(deleted) {
        *offset = u16::from_le_bytes(*bytes);
    }
    delete_items(page, offsets)
}

/// Builds the tuple that is left of a posting list tuple (_bt_update_posting).
fn without_rows<'a>(
    old: &[u8],
    gone: &[u8],
    buffer: &'a mut [u8; BLCKSZ],
) -> Result<&'a [u8], Malformed> {
    let head = tuple::header_and_key(old)?;
    let (rows, _) = tuple::rows(old)?.as_chunks::<SIZE_OF_TID>();
    let (gone, _) = gone.as_chunks();
    let left = rows.len().saturating_sub(gone.len());
    if left == 0 {
        return Err(Malformed("no row is left in an updated tuple"));
    }
    let new = buffer
        .get_mut(..tuple::size_of(head.len(), left))
        .ok_or(Malformed("an updated tuple is longer than a page"))?;
    new.fill(0);
    new.get_mut(..head.len())
        .ok_or(Malformed("an updated tuple is shorter than its key"))?
        .copy_from_slice(head);
    tuple::set_header(new, head.len(), left)?;
    // The row of a plain tuple is its t_tid.
    let start = if left == 1 { 0 } else { head.len() };
    let (places, _) = new.get_mut(start..).unwrap_or_default().as_chunks_mut();
    copy_kept_rows(rows, gone, places.get_mut(..left).unwrap_or_default())?;
    Ok(new)
}

/// Copies the rows whose index is not in `gone`.
fn copy_kept_rows(
    rows: &[[u8; SIZE_OF_TID]],
    gone: &[[u8; 2]],
    places: &mut [[u8; SIZE_OF_TID]],
) -> Result<(), Malformed> {
    let bad = Malformed("rows to delete out of order, or not in the posting list");
    let mut gone = gone
        .iter()
        .map(|bytes| u16::from_le_bytes(*bytes))
        .peekable();
    let mut places = places.iter_mut();
    for (index, row) in (0..).zip(rows) {
        if gone.next_if_eq(&index).is_none() {
            *places.next().ok_or(bad)? = *row;
        }
    }
    if gone.next().is_some() || places.next().is_some() {
        return Err(bad);
    }
    Ok(())
}
