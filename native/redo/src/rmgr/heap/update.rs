//! UPDATE and HOT_UPDATE. Block 0 gets the new tuple; the old one is on block 1, or if there is
//! none on block 0 as well. Only then is the new tuple logged without its beginning and end as
//! far as they are the old tuple's.

use std::ops::Range;

use offshoot_layout::page::PD_ALL_VISIBLE;
use offshoot_layout::{Page, Tid};

use super::apply::{set_prunable, tid};
use super::new_tuple::{NewTuple, begin_page, change_flags, write};
use super::record::{Update, UpdatedTuple};
use super::tuple::TupleHeader;
use crate::opcode::{BlockChange, Stamp};
use crate::page_items::item_range;
use crate::payload::Malformed;

const XLOG_HEAP_OPMASK: u8 = 0x70;
const XLOG_HEAP_HOT_UPDATE: u8 = 0x40;

const NEW_BLOCK: u8 = 0;
const OLD_BLOCK: u8 = 1;

pub(crate) fn update(change: &BlockChange<'_>, page: &mut Page) -> Result<Stamp, Malformed> {
    let update = Update::parse(change.record.main_data())?;
    let one_page = change.record.block(OLD_BLOCK).is_none();
    match change.block.id {
        NEW_BLOCK if one_page => {
            let old = change_old(change, &update, page)?;
            add_new(change, &update, page, Some(old))?;
        }
        NEW_BLOCK => {
            begin_page(change, page)?;
            add_new(change, &update, page, None)?;
        }
        OLD_BLOCK => {
            change_old(change, &update, page)?;
        }
        _ => return Err(Malformed("more blocks than the record type has")),
    }
    Ok(Stamp::EndLsn)
}

/// Marks the old tuple as updated; gives where its user data is.
fn change_old(
    change: &BlockChange<'_>,
    update: &Update,
    page: &mut Page,
) -> Result<Range<usize>, Malformed> {
    let hot = change.record.opcode() & XLOG_HEAP_OPMASK == XLOG_HEAP_HOT_UPDATE;
    let mut tuple = TupleHeader::of(page, update.old_offnum)?;
    tuple.set_hot_updated(hot);
    tuple.set_infobits(update.old_infobits);
    tuple.set_xmax(update.old_xmax);
    tuple.forget_cmax();
    tuple.set_ctid(new_tid(change, update)?);
    let hoff = tuple.hoff();
    set_prunable(page, change.record.xid);
    if update.clears_old_all_visible() {
        change_flags(page, 0, PD_ALL_VISIBLE);
    }
    let old = item_range(page, update.old_offnum)?;
    Ok(old.start + hoff..old.end)
}

fn new_tid(change: &BlockChange<'_>, update: &Update) -> Result<Tid, Malformed> {
    let block = change.record.block(NEW_BLOCK);
    Ok(Tid {
        block: block
            .ok_or(Malformed("no block for the new tuple"))?
            .key
            .block,
        offset: update.new_offnum,
    })
}

/// Adds the new tuple, beginning and ending as the old one's user data if that is on this page.
fn add_new(
    change: &BlockChange<'_>,
    update: &Update,
    page: &mut Page,
    old: Option<Range<usize>>,
) -> Result<(), Malformed> {
    let logged = UpdatedTuple::parse(update, change.record.block_data(change.block))?;
    let (prefix, suffix) = shared_with_old(&logged, old)?;
    let tuple = NewTuple {
        tid: tid(change, update.new_offnum),
        xmin: change.record.xid,
        xmax: update.new_xmax,
        header: logged.header,
    };
    let length = logged.bitmap.len() + prefix.len() + logged.body.len() + suffix.len();
    let at = tuple.begin(page, length)?;
    let at = write(page, at, logged.bitmap)?;
    let at = copy(page, at, prefix)?;
    let at = write(page, at, logged.body)?;
    copy(page, at, suffix)?;
    if update.clears_new_all_visible() {
        change_flags(page, 0, PD_ALL_VISIBLE);
    }
    Ok(())
}

/// Which bytes of the page begin and end the new tuple's user data.
fn shared_with_old(
    logged: &UpdatedTuple<'_>,
    old: Option<Range<usize>>,
) -> Result<(Range<usize>, Range<usize>), Malformed> {
    let (prefix, suffix) = (logged.prefix_length, logged.suffix_length);
    if prefix == 0 && suffix == 0 {
        return Ok((0..0, 0..0));
    }
    let old = old.ok_or(Malformed("part of a tuple that is on another page"))?;
    if old.start + prefix > old.end || old.start + suffix > old.end {
        return Err(Malformed("more of the old tuple than it has"));
    }
    Ok((old.start..old.start + prefix, old.end - suffix..old.end))
}

/// Copies bytes of the page to `at`; gives where they end.
fn copy(page: &mut Page, at: usize, from: Range<usize>) -> Result<usize, Malformed> {
    let end = at + from.len();
    if end > page.len() || from.end > page.len() {
        return Err(Malformed("a tuple reaches out of the page"));
    }
    page.copy_within(from, at);
    Ok(end)
}
