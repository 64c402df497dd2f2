//! INSERT in either tree, and SPLIT.

use offshoot_layout::Page;

use super::page::{DATA, INCOMPLETE_SPLIT, LEAF, check_kind, flags, set_flags};
use super::posting_tree::insert_posting_item;
use super::recompress::recompress;
use super::record::{Insert, InsertDataInternal, InsertEntry, InsertFlags, block_id, split_flags};
use crate::opcode::{BlockChange, Stamp};
use crate::page_items::{Place, add_item, delete_item, item_mut};
use crate::payload::Malformed;

/// Block 0 gets the insertion; block 1, of internal pages, is the child whose split is complete now.
pub(crate) fn insert(change: &BlockChange<'_>, page: &mut Page) -> Result<Stamp, Malformed> {
    let insert = Insert::parse(change.record.main_data())?;
    match (change.block.id, insert.right_child) {
        (0, _) => insert_at(&insert, change.record.block_data(change.block), page),
        (1, Some(_)) => complete_split(page),
        _ => Err(Malformed("a block that INSERT does not have")),
    }
}

/// Blocks 0 to 2 are images; block 3, of internal pages, is the child whose split is complete now.
pub(crate) fn split(change: &BlockChange<'_>, page: &mut Page) -> Result<Stamp, Malformed> {
    let of_leaf = split_flags(change.record.main_data())?.is_leaf;
    match change.block.id {
        0..=2 => Err(Malformed("block without its image")),
        3 if !of_leaf => complete_split(page),
        _ => Err(Malformed("a block that SPLIT does not have")),
    }
}

fn complete_split(page: &mut Page) -> Result<Stamp, Malformed> {
    check_kind(page, 0, 0)?;
    let complete = flags(page) & !INCOMPLETE_SPLIT;
    set_flags(page, complete);
    Ok(Stamp::EndLsn)
}

fn insert_at(insert: &Insert, data: &[u8], page: &mut Page) -> Result<Stamp, Malformed> {
    check_kind(page, DATA | LEAF, kind(insert.flags))?;
    match (insert.flags.is_data, insert.right_child) {
        (false, right_child) => insert_entry(&InsertEntry::parse(data)?, right_child, page)?,
        (true, None) => recompress(page, data)?,
        (true, Some(right_child)) => {
            let insert = InsertDataInternal::parse(data)?;
            insert_posting_item(page, insert.offset, insert.new_item, right_child)?;
        }
    }
    Ok(Stamp::EndLsn)
}

fn kind(flags: InsertFlags) -> u16 {
    let data = if flags.is_data { DATA } else { 0 };
    let leaf = if flags.is_leaf { LEAF } else { 0 };
    data | leaf
}

fn insert_entry(
    insert: &InsertEntry<'_>,
    right_child: Option<u32>,
    page: &mut Page,
) -> Result<(), Malformed> {
    if let Some(right_child) = right_child {
        set_downlink(page, insert.offset, right_child)?;
    }
    if insert.is_delete {
        delete_item(page, insert.offset)?;
    }
    add_item(page, insert.tuple, Place::Insert(insert.offset))?;
    Ok(())
}

/// A downlink is a tuple identifier with offset number 0.
fn set_downlink(page: &mut Page, offset: u16, child: u32) -> Result<(), Malformed> {
    let tuple = item_mut(page, offset)?;
    let downlink = tuple.first_chunk_mut::<6>();
    let [block @ .., low, high] = downlink.ok_or(Malformed("index tuple without its header"))?;
    *block = block_id(child);
    (*low, *high) = (0, 0);
    Ok(())
}
