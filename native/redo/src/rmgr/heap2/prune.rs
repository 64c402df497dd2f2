//! PRUNE and VACUUM: line pointers of tuples that nobody sees any more.

use offshoot_layout::Page;
use offshoot_layout::item::{
    ItemId, LP_DEAD, LP_REDIRECT, LP_UNUSED, SIZE_OF_ITEM_ID, max_offset_number,
};
use offshoot_layout::page::{PD_HAS_FREE_LINES, pd_lower, set_pd_lower};

use super::record::{Prune, parse_vacuum};
use crate::opcode::{BlockChange, Stamp};
use crate::page_items::{check_bounds, compact, existing_item_id, put_item_id};
use crate::payload::Malformed;
use crate::rmgr::heap::{change_flags, only_block_0};

/// The hint when to prune again is not logged and stays as it is.
pub(crate) fn prune(change: &BlockChange<'_>, page: &mut Page) -> Result<Stamp, Malformed> {
    only_block_0(change)?;
    let record = change.record;
    let prune = Prune::parse(record.main_data(), record.block_data(change.block))?;
    for (from, to) in prune.redirected() {
        existing_item_id(page, to)?;
        put_item_id(page, from, without_storage(LP_REDIRECT, to))?;
    }
    for offset in prune.dead() {
        put_item_id(page, offset, without_storage(LP_DEAD, 0))?;
    }
    for offset in prune.unused() {
        put_item_id(page, offset, ItemId::default())?;
    }
    repair_fragmentation(page)?;
    Ok(Stamp::EndLsn)
}

/// The second pass over the heap, after the indexes: the line pointers were dead.
pub(crate) fn vacuum(change: &BlockChange<'_>, page: &mut Page) -> Result<Stamp, Malformed> {
    only_block_0(change)?;
    let record = change.record;
    for offset in parse_vacuum(record.main_data(), record.block_data(change.block))? {
        put_item_id(page, offset, ItemId::default())?;
    }
    truncate_line_pointer_array(page)?;
    Ok(Stamp::EndLsn)
}

const fn without_storage(flags: u8, offset: u16) -> ItemId {
    ItemId {
        offset,
        flags,
        length: 0,
    }
}

/// Closes the gaps that tuples left, and cuts unused line pointers off the end of the array
/// (PageRepairFragmentation).
fn repair_fragmentation(page: &mut Page) -> Result<(), Malformed> {
    check_bounds(page)?;
    let (mut unused, mut last_used) = (0, 0);
    for offset in 1..=max_offset_number(page) {
        if is_used(page, offset)? {
            last_used = offset;
        } else {
            put_item_id(page, offset, ItemId::default())?;
            unused += 1;
        }
    }
    compact(page)?;
    let cut = max_offset_number(page) - last_used;
    cut_line_pointers(page, cut);
    set_has_free_lines(page, unused > cut);
    Ok(())
}

/// Cuts unused line pointers off the end of the array, but never the first
/// (PageTruncateLinePointerArray).
fn truncate_line_pointer_array(page: &mut Page) -> Result<(), Malformed> {
    check_bounds(page)?;
    let count = max_offset_number(page);
    let mut kept = count;
    while kept > 1 && !is_used(page, kept)? {
        kept -= 1;
    }
    cut_line_pointers(page, count - kept);
    let mut free = false;
    for offset in 1..=kept {
        free |= !is_used(page, offset)?;
    }
    set_has_free_lines(page, free);
    Ok(())
}

fn is_used(page: &Page, offset: u16) -> Result<bool, Malformed> {
    existing_item_id(page, offset).map(|id| id.flags != LP_UNUSED)
}

fn cut_line_pointers(page: &mut Page, count: u16) {
    set_pd_lower(page, pd_lower(page) - SIZE_OF_ITEM_ID as u16 * count);
}

fn set_has_free_lines(page: &mut Page, free: bool) {
    match free {
        true => change_flags(page, PD_HAS_FREE_LINES, 0),
        false => change_flags(page, 0, PD_HAS_FREE_LINES),
    }
}
