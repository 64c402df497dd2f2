//! Redo of all records but UPDATE on their only block, the heap page.

use offshoot_layout::page::{PD_ALL_VISIBLE, pd_prune_xid, set_pd_prune_xid};
use offshoot_layout::{Page, Tid};

use super::new_tuple::{NewTuple, begin_page, change_flags};
use super::record::{
    Delete, HeapHeader, Insert, Lock, XLH_INSERT_ALL_VISIBLE_CLEARED, parse_offnum,
};
use super::tuple::{MOVED_PARTITIONS, TupleHeader};
use crate::opcode::{BlockChange, Stamp};
use crate::page_items::item_mut;
use crate::payload::Malformed;
use crate::xid;

/// A speculative insertion's token is not logged: its tuple looks like any other.
pub(crate) fn insert(change: &BlockChange<'_>, page: &mut Page) -> Result<Stamp, Malformed> {
    only_block_0(change)?;
    let insert = Insert::parse(change.record.main_data())?;
    begin_page(change, page)?;
    let (header, rest) = HeapHeader::split(change.record.block_data(change.block))?;
    let tuple = NewTuple {
        tid: tid(change, insert.offnum),
        xmin: change.record.xid,
        xmax: 0,
        header,
    };
    tuple.add(page, rest)?;
    if insert.flags & XLH_INSERT_ALL_VISIBLE_CLEARED != 0 {
        change_flags(page, 0, PD_ALL_VISIBLE);
    }
    Ok(Stamp::EndLsn)
}

pub(crate) fn delete(change: &BlockChange<'_>, page: &mut Page) -> Result<Stamp, Malformed> {
    only_block_0(change)?;
    let delete = Delete::parse(change.record.main_data())?;
    let mut tuple = TupleHeader::of(page, delete.offnum)?;
    tuple.set_hot_updated(false);
    tuple.set_infobits(delete.infobits);
    match delete.is_super() {
        true => tuple.set_xmin(0),
        false => tuple.set_xmax(delete.xmax),
    }
    tuple.forget_cmax();
    tuple.set_ctid(match delete.is_partition_move() {
        true => MOVED_PARTITIONS,
        false => tid(change, delete.offnum),
    });
    set_prunable(page, change.record.xid);
    if delete.clears_all_visible() {
        change_flags(page, 0, PD_ALL_VISIBLE);
    }
    Ok(Stamp::EndLsn)
}

pub(crate) fn confirm(change: &BlockChange<'_>, page: &mut Page) -> Result<Stamp, Malformed> {
    only_block_0(change)?;
    let offnum = parse_offnum(change.record.main_data())?;
    TupleHeader::of(page, offnum)?.set_ctid(tid(change, offnum));
    Ok(Stamp::EndLsn)
}

/// A tuple whose updater is gone ends its chain: what the update linked to is cut off.
pub(crate) fn lock(change: &BlockChange<'_>, page: &mut Page) -> Result<Stamp, Malformed> {
    only_block_0(change)?;
    let lock = Lock::parse(change.record.main_data())?;
    let mut tuple = TupleHeader::of(page, lock.offnum)?;
    tuple.set_infobits(lock.infobits);
    if tuple.is_locked_only() {
        tuple.set_hot_updated(false);
        tuple.set_ctid(tid(change, lock.offnum));
    }
    tuple.set_xmax(lock.xmax);
    tuple.forget_cmax();
    Ok(Stamp::EndLsn)
}

/// New user data of the same length; the header stays.
pub(crate) fn inplace(change: &BlockChange<'_>, page: &mut Page) -> Result<Stamp, Malformed> {
    only_block_0(change)?;
    let offnum = parse_offnum(change.record.main_data())?;
    let hoff = TupleHeader::of(page, offnum)?.hoff();
    let user_data = item_mut(page, offnum)?.get_mut(hoff..);
    let data = change.record.block_data(change.block);
    let user_data = user_data.filter(|user_data| user_data.len() == data.len());
    user_data
        .ok_or(Malformed("the tuple's length is another"))?
        .copy_from_slice(data);
    Ok(Stamp::EndLsn)
}

/// Where the tuple of this number on the block is.
pub(super) fn tid(change: &BlockChange<'_>, offset: u16) -> Tid {
    let block = change.block.key.block;
    Tid { block, offset }
}

/// There may be something to prune once this transaction is old (PageSetPrunable).
pub(super) fn set_prunable(page: &mut Page, xid: u32) {
    let before = pd_prune_xid(page);
    if before == 0 || xid::precedes(xid, before) {
        set_pd_prune_xid(page, xid);
    }
}

/// Refuses block references that the record types with one block do not have.
pub(crate) fn only_block_0(change: &BlockChange<'_>) -> Result<(), Malformed> {
    match change.block.id {
        0 => Ok(()),
        _ => Err(Malformed("more blocks than the record type has")),
    }
}
