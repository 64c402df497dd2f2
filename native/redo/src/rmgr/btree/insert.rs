//! A tuple is added to a page that has room for it.

use offshoot_layout::Page;

use super::record::parse_insert;
use super::{NO_SUCH_BLOCK, clear_incomplete_split, meta, opaque, tuple};
use crate::opcode::{BlockChange, Stamp};
use crate::page_items::{Place, add_item, item_mut};
use crate::payload::{Malformed, Payload};

/// Into a leaf page.
pub(crate) fn insert_leaf(change: &BlockChange<'_>, page: &mut Page) -> Result<Stamp, Malformed> {
    match change.block.id {
        0 => insert(change, page),
        _ => Err(NO_SUCH_BLOCK),
    }
}

/// A downlink into an inner page, which completes the split of a child (block 1).
pub(crate) fn insert_upper(change: &BlockChange<'_>, page: &mut Page) -> Result<Stamp, Malformed> {
    match change.block.id {
        0 => insert(change, page),
        1 => clear_incomplete_split(page),
        _ => Err(NO_SUCH_BLOCK),
    }
}

/// As [`insert_upper`]; the page is the new fast root, as the metapage (block 2) says.
pub(crate) fn insert_meta(change: &BlockChange<'_>, page: &mut Page) -> Result<Stamp, Malformed> {
    match change.block.id {
        2 => meta::restore(change, page),
        _ => insert_upper(change, page),
    }
}

fn insert(change: &BlockChange<'_>, page: &mut Page) -> Result<Stamp, Malformed> {
    let offnum = parse_insert(change.record.main_data())?;
    let tuple = change.record.block_data(change.block);
    add_tuple(page, tuple, offnum)?;
    Ok(Stamp::EndLsn)
}

fn add_tuple(page: &mut Page, tuple: &[u8], offnum: u16) -> Result<(), Malformed> {
    opaque::check(page)?;
    if tuple::size(tuple)? != tuple.len() {
        return Err(Malformed("the tuple has another size than it says"));
    }
    add_item(page, tuple, Place::Insert(offnum))?;
    Ok(())
}

/// Into a leaf page, where the row's place is within the posting list before: the row goes there,
/// and the list's last row becomes the new tuple's.
///
/// | data of block 0 | offset | width |
/// |---|---|---|
/// | postingoff | 0 | 2 |
/// | the tuple | 2 | |
pub(crate) fn insert_post(change: &BlockChange<'_>, page: &mut Page) -> Result<Stamp, Malformed> {
    if change.block.id != 0 {
        return Err(NO_SUCH_BLOCK);
    }
    let offnum = parse_insert(change.record.main_data())?;
    let data = change.record.block_data(change.block);
    let postingoff = Payload::new(data).u16()?;
    let tuple = data.get(size_of::<u16>()..).unwrap_or_default();
    let posting = item_mut(page, offnum.saturating_sub(1))?;
    let tid = tuple::swap_posting(posting, tuple::t_tid(tuple)?, postingoff)?;
    add_tuple(page, tuple, offnum)?;
    tuple::set_t_tid(item_mut(page, offnum)?, tid)?;
    Ok(Stamp::EndLsn)
}
