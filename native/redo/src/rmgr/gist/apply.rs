//! Items of pages changed, and pages deleted.

use offshoot_layout::Page;
use offshoot_layout::item::max_offset_number;
use offshoot_layout::page::{SIZE_OF_PAGE_HEADER, pd_upper, set_pd_lower};

use super::page::{self, F_DELETED, F_FOLLOW_RIGHT, F_HAS_GARBAGE, F_LEAF, F_TUPLES_DELETED};
use super::record::{IndexTuples, PageDelete, PageUpdate, parse_delete};
use crate::opcode::{BlockChange, Stamp};
use crate::page_items::{self, Place};
use crate::payload::Malformed;

pub(super) const NO_SUCH_BLOCK: Malformed = Malformed("more block references than it can have");
/// A deleted page holds the transaction id where line pointers would begin.
const END_OF_DELETE_XID: u16 = SIZE_OF_PAGE_HEADER as u16 + 8;

/// Block 0 is the page, block 1 the left half of a child split whose right half gets its downlink.
pub(crate) fn page_update(change: &BlockChange<'_>, page: &mut Page) -> Result<Stamp, Malformed> {
    page::check(page)?;
    match change.block.id {
        0 => update_items(change, page),
        1 => Ok(clear_follow_right(change, page)),
        _ => Err(NO_SUCH_BLOCK),
    }
}

fn update_items(change: &BlockChange<'_>, page: &mut Page) -> Result<Stamp, Malformed> {
    let data = change.record.block_data(change.block);
    let mut update = PageUpdate::parse(change.record.main_data(), data)?;
    if let Some(offset) = update.replaced() {
        if let Some(tuple) = update.inserted.next() {
            page_items::overwrite_item(page, offset, tuple?)?;
        }
    } else if !update.deleted.as_slice().is_empty() {
        page_items::delete_items(page, update.deleted.as_slice())?;
        if page::flags(page) & F_LEAF != 0 {
            page::set_flags(page, page::flags(page) | F_TUPLES_DELETED);
        }
    }
    append_items(page, update.inserted)?;
    Ok(Stamp::EndLsn)
}

pub(super) fn append_items(page: &mut Page, tuples: IndexTuples<'_>) -> Result<(), Malformed> {
    for tuple in tuples {
        let next = max_offset_number(page) + 1;
        page_items::add_item(page, tuple?, Place::Insert(next))?;
    }
    Ok(())
}

/// The split is complete. Writers change the child only after they have the record's LSN, so that
/// an image in the record is of the page before.
pub(super) fn clear_follow_right(change: &BlockChange<'_>, page: &mut Page) -> Stamp {
    page::set_nsn(page, change.record.end);
    page::set_flags(page, page::flags(page) & !F_FOLLOW_RIGHT);
    Stamp::EndLsn
}

/// Postgres' redo also sets F_TUPLES_DELETED, the writer of the record does not. See README.md.
pub(crate) fn delete(change: &BlockChange<'_>, page: &mut Page) -> Result<Stamp, Malformed> {
    page::check(page)?;
    let deleted = parse_delete(change.record.main_data())?;
    page_items::delete_items(page, deleted.as_slice())?;
    page::set_flags(page, page::flags(page) & !F_HAS_GARBAGE);
    Ok(Stamp::EndLsn)
}

/// Block 0 is the page, block 1 its parent.
pub(crate) fn page_delete(change: &BlockChange<'_>, page: &mut Page) -> Result<Stamp, Malformed> {
    page::check(page)?;
    let record = PageDelete::parse(change.record.main_data())?;
    match change.block.id {
        0 => set_deleted(page, record.delete_xid)?,
        1 => page_items::delete_item(page, record.downlink_offset)?,
        _ => return Err(NO_SUCH_BLOCK),
    }
    Ok(Stamp::EndLsn)
}

/// The page keeps its right link: a scan may still be on its way to it.
fn set_deleted(page: &mut Page, delete_xid: u64) -> Result<(), Malformed> {
    page_items::check_bounds(page)?;
    if max_offset_number(page) != 0 || pd_upper(page) < END_OF_DELETE_XID {
        return Err(Malformed("the deleted page is not empty"));
    }
    page::set_flags(page, page::flags(page) | F_DELETED);
    page[SIZE_OF_PAGE_HEADER..usize::from(END_OF_DELETE_XID)]
        .copy_from_slice(&delete_xid.to_le_bytes());
    set_pd_lower(page, END_OF_DELETE_XID);
    Ok(())
}
