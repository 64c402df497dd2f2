//! ADD_NODE and SPLIT_TUPLE: an inner tuple is replaced by a bigger one or by two.

use offshoot_layout::Page;
use offshoot_layout::tid::Tid;

use super::leaf::NO_ROLE;
use super::page::{self, add_or_replace, prepare, prepare_old};
use super::record::{AddNode, SplitTuple, block_number};
use crate::opcode::{BlockChange, Stamp};
use crate::payload::Malformed;

/// An inner tuple gets one more node. On block 0 it stays where it is, if there is no block 1;
/// else it moves there. The parent is on one of these, or on block 2.
pub(crate) fn add_node(change: &BlockChange<'_>, page: &mut Page) -> Result<Stamp, Malformed> {
    let add = AddNode::parse(change.record.main_data())?;
    if change.record.block(1).is_none() {
        if change.block.id != 0 {
            return Err(NO_ROLE);
        }
        prepare_old(change, page)?;
        page::replace(page, add.tuple, add.offnum)?;
        return Ok(Stamp::EndLsn);
    }
    let moved_to = Tid {
        block: block_number(change.record, 1)?,
        offset: add.offnum_new,
    };
    // Neither of these records is used in the tree of nulls.
    prepare(change, page, change.block.id == 1 && add.new_page, 0)?;
    match change.block.id {
        0 => {
            let left = add.state.moved_to(moved_to);
            page::replace(page, &left.to_bytes(), add.offnum)?;
            page::count_dead(page, left);
        }
        1 => add_or_replace(page, add.tuple, add.offnum_new)?,
        2 if add.parent_blk == 2 => {}
        _ => return Err(NO_ROLE),
    }
    if add.parent_blk == change.block.id {
        page::link(page, add.downlink, moved_to)?;
    }
    Ok(Stamp::EndLsn)
}

/// An inner tuple is split into a prefix, which takes its place on block 0, and a postfix on
/// block 1, or on block 0 if that is the same.
pub(crate) fn split_tuple(change: &BlockChange<'_>, page: &mut Page) -> Result<Stamp, Malformed> {
    let split = SplitTuple::parse(change.record.main_data())?;
    match change.block.id {
        0 => {
            prepare_old(change, page)?;
            page::replace(page, split.prefix, split.offnum_prefix)?;
            if split.postfix_blk_same {
                add_or_replace(page, split.postfix, split.offnum_postfix)?;
            }
        }
        1 if !split.postfix_blk_same => {
            prepare(change, page, split.new_page, 0)?;
            add_or_replace(page, split.postfix, split.offnum_postfix)?;
        }
        _ => return Err(NO_ROLE),
    }
    Ok(Stamp::EndLsn)
}
