//! Posting trees: CREATE_PTREE, DELETE_PAGE, VACUUM_DATA_LEAF_PAGE, and items of internal pages.

use offshoot_layout::Page;
use offshoot_layout::page::set_pd_prune_xid;

use super::page::{
    COMPRESSED, DATA, DATA_START, DELETED, LEAF, SPECIAL, check_kind, flags, init, maxoff,
    set_data_size, set_flags, set_maxoff, set_rightlink,
};
use super::recompress::recompress;
use super::record::{DeletePage, SIZE_OF_POSTING_ITEM, block_id, create_ptree_segments};
use crate::opcode::{BlockChange, Stamp};
use crate::payload::Malformed;

const NO_ROOM: Malformed = Malformed("the posting tree page has no room");
const NO_ITEM: Malformed = Malformed("the posting tree page has no such item");

/// Block 0: a posting tree of one leaf.
pub(crate) fn create_ptree(change: &BlockChange<'_>, page: &mut Page) -> Result<Stamp, Malformed> {
    let segments = create_ptree_segments(change.record.main_data())?;
    init(page, DATA | LEAF | COMPRESSED);
    let data = page.get_mut(DATA_START..SPECIAL).ok_or(NO_ROOM)?;
    data.get_mut(..segments.len())
        .ok_or(NO_ROOM)?
        .copy_from_slice(segments);
    set_data_size(page, segments.len());
    Ok(Stamp::EndLsn)
}

/// Block 0: a leaf without the items that were vacuumed away.
pub(crate) fn vacuum_data_leaf_page(
    change: &BlockChange<'_>,
    page: &mut Page,
) -> Result<Stamp, Malformed> {
    recompress(page, change.record.block_data(change.block))?;
    Ok(Stamp::EndLsn)
}

/// Block 0 is deleted, block 1 is its parent, block 2 its left sibling.
pub(crate) fn delete_page(change: &BlockChange<'_>, page: &mut Page) -> Result<Stamp, Malformed> {
    let delete = DeletePage::parse(change.record.main_data())?;
    match change.block.id {
        0 => mark_deleted(page, delete.delete_xid)?,
        1 => delete_posting_item(page, delete.parent_offset)?,
        2 => {
            check_kind(page, DATA, DATA)?;
            set_rightlink(page, delete.right_link);
        }
        _ => return Err(Malformed("a block that DELETE_PAGE does not have")),
    }
    Ok(Stamp::EndLsn)
}

/// A deleted page keeps in the header since when nobody new can find it (GinPageSetDeleteXid).
fn mark_deleted(page: &mut Page, xid: u32) -> Result<(), Malformed> {
    check_kind(page, DATA, DATA)?;
    let deleted = flags(page) | DELETED;
    set_flags(page, deleted);
    set_pd_prune_xid(page, xid);
    Ok(())
}

/// The posting item at `offset` leads to the right half of a split from now on, and `new_item`,
/// which leads to the left half, comes before it.
pub(super) fn insert_posting_item(
    page: &mut Page,
    offset: u16,
    new_item: &[u8],
    right_child: u32,
) -> Result<(), Malformed> {
    check_kind(page, DATA | LEAF, DATA)?;
    let (at, items_end) = posting_item_at(page, offset)?;
    let end = items_end + SIZE_OF_POSTING_ITEM;
    if end > SPECIAL {
        return Err(NO_ROOM);
    }
    page[at..at + 4].copy_from_slice(&block_id(right_child));
    page.copy_within(at..items_end, at + SIZE_OF_POSTING_ITEM);
    page.get_mut(at..at + new_item.len())
        .ok_or(NO_ROOM)?
        .copy_from_slice(new_item);
    let count = maxoff(page) + 1;
    set_posting_items(page, count);
    Ok(())
}

fn delete_posting_item(page: &mut Page, offset: u16) -> Result<(), Malformed> {
    check_kind(page, DATA | LEAF, DATA)?;
    let (at, items_end) = posting_item_at(page, offset)?;
    page.copy_within(at + SIZE_OF_POSTING_ITEM..items_end, at);
    let count = maxoff(page) - 1;
    set_posting_items(page, count);
    Ok(())
}

/// Where the posting item begins that must be there, and where all of them end.
fn posting_item_at(page: &Page, offset: u16) -> Result<(usize, usize), Malformed> {
    let (offset, count) = (usize::from(offset), usize::from(maxoff(page)));
    let items_end = DATA_START + SIZE_OF_POSTING_ITEM * count;
    if offset == 0 || offset > count || items_end > SPECIAL {
        return Err(NO_ITEM);
    }
    let at = DATA_START + SIZE_OF_POSTING_ITEM * (offset - 1);
    Ok((at, items_end))
}

fn set_posting_items(page: &mut Page, count: u16) {
    set_maxoff(page, count);
    set_data_size(page, SIZE_OF_POSTING_ITEM * usize::from(count));
}
