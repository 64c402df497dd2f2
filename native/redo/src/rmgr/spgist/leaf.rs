//! ADD_LEAF and MOVE_LEAFS: leaf tuples come to a page, and the node above them is told.

use offshoot_layout::Page;
use offshoot_layout::tid::Tid;

use super::page::{self, add_or_replace, leaf_flags, prepare, prepare_old};
use super::record::{AddLeaf, MoveLeafs, at_end, block_number};
use super::tuple::{self, DeadTuple};
use crate::opcode::{BlockChange, Stamp};
use crate::page_items::item_mut;
use crate::payload::Malformed;

pub(super) const NO_ROLE: Malformed = Malformed("block reference that the record has no use for");

/// A leaf tuple is added to a chain, or begins one. Block 0 is its page, block 1 the parent's.
pub(crate) fn add_leaf(change: &BlockChange<'_>, page: &mut Page) -> Result<Stamp, Malformed> {
    let add = AddLeaf::parse(change.record.main_data())?;
    match change.block.id {
        0 => {
            prepare(change, page, add.new_page, leaf_flags(add.stores_nulls))?;
            put_leaf(&add, page)?;
        }
        1 if add.downlink.parent != 0 => {
            prepare_old(change, page)?;
            let leaf = Tid {
                block: block_number(change.record, 0)?,
                offset: add.offnum_leaf,
            };
            page::link(page, add.downlink, leaf)?;
        }
        _ => return Err(NO_ROLE),
    }
    Ok(Stamp::EndLsn)
}

fn put_leaf(add: &AddLeaf<'_>, page: &mut Page) -> Result<(), Malformed> {
    if add.offnum_leaf == add.offnum_head_leaf {
        return page::replace(page, add.tuple, add.offnum_leaf);
    }
    add_or_replace(page, add.tuple, add.offnum_leaf)?;
    if add.offnum_head_leaf != 0 {
        // The new tuple is the second of its chain.
        let head = item_mut(page, add.offnum_head_leaf)?;
        tuple::set_next_offset(head, add.offnum_leaf)?;
    }
    Ok(())
}

/// A chain of leaf tuples and a new one move to another page. Block 0 is the page it was on,
/// block 1 where it goes, block 2 the parent's.
pub(crate) fn move_leafs(change: &BlockChange<'_>, page: &mut Page) -> Result<Stamp, Malformed> {
    let moved = MoveLeafs::parse(change.record.main_data())?;
    match change.block.id {
        0 => {
            prepare_old(change, page)?;
            let first = moved.state.moved_to(moved.head(change.record)?);
            page::replace_by_dead(page, moved.to_delete, first, DeadTuple::Placeholder)?;
        }
        1 => {
            prepare(change, page, moved.new_page, leaf_flags(moved.stores_nulls))?;
            let mut tuples = moved.tuples;
            for at in moved.to_insert.iter() {
                add_or_replace(page, tuple::take_leaf(&mut tuples)?, at)?;
            }
            at_end(&tuples)?;
        }
        2 => {
            prepare_old(change, page)?;
            page::link(page, moved.downlink, moved.head(change.record)?)?;
        }
        _ => return Err(NO_ROLE),
    }
    Ok(Stamp::EndLsn)
}
