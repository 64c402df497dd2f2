//! Records that put tuples on pages and take them off, and count them.

use offshoot_layout::Page;

use super::meta_page;
use super::page::{LH_PAGE_HAS_DEAD_TUPLES, NO_SUCH_BLOCK, clear_flags};
use super::record::{self, OffsetNumbers};
use crate::opcode::{BlockChange, Stamp};
use crate::page_items::{Place, add_item, delete_items};
use crate::payload::{Malformed, Payload};

pub(crate) fn insert(change: &BlockChange<'_>, page: &mut Page) -> Result<Stamp, Malformed> {
    let record = change.record;
    match change.block.id {
        0 => {
            let offset = Payload::new(record.main_data()).u16()?;
            let tuple = record::index_tuple(record.block_data(change.block))?;
            add_item(page, tuple, Place::Insert(offset))?;
        }
        1 => {
            meta_page::check(page)?;
            meta_page::add_ntuples(page, 1.0);
        }
        _ => return Err(NO_SUCH_BLOCK),
    }
    Ok(Stamp::EndLsn)
}

/// Puts the tuples in the block reference's data on the page.
pub(super) fn add_moved_tuples(
    change: &BlockChange<'_>,
    page: &mut Page,
    count: u16,
) -> Result<(), Malformed> {
    let data = change.record.block_data(change.block);
    record::for_each_moved_tuple(data, count, |offset, tuple| {
        add_item(page, tuple, Place::Insert(offset)).map(|_| ())
    })
}

/// Deletes the tuples whose offset numbers are the block reference's data.
fn delete_listed(change: &BlockChange<'_>, page: &mut Page) -> Result<(), Malformed> {
    let offsets = OffsetNumbers::parse(change.record.block_data(change.block))?;
    delete_items(page, offsets.as_slice())
}

/// Tuples go from an overflow page to an earlier page of the chain. Block reference 0 is the
/// primary bucket page, there to be locked, if the other two are overflow pages.
pub(crate) fn move_page_contents(
    change: &BlockChange<'_>,
    page: &mut Page,
) -> Result<Stamp, Malformed> {
    match change.block.id {
        0 => return Ok(Stamp::Unchanged),
        1 => {
            let count = Payload::new(change.record.main_data()).u16()?;
            add_moved_tuples(change, page, count)?;
        }
        2 => delete_listed(change, page)?,
        _ => return Err(NO_SUCH_BLOCK),
    }
    Ok(Stamp::EndLsn)
}

/// Block reference 0 is the primary bucket page, there to be locked, if the other is an overflow
/// page.
pub(crate) fn delete(change: &BlockChange<'_>, page: &mut Page) -> Result<Stamp, Malformed> {
    match change.block.id {
        0 => return Ok(Stamp::Unchanged),
        1 => {
            delete_listed(change, page)?;
            let clear_dead_marking = Payload::new(change.record.main_data()).u8()? != 0;
            if clear_dead_marking {
                clear_flags(page, LH_PAGE_HAS_DEAD_TUPLES)?;
            }
        }
        _ => return Err(NO_SUCH_BLOCK),
    }
    Ok(Stamp::EndLsn)
}

pub(crate) fn vacuum_one_page(
    change: &BlockChange<'_>,
    page: &mut Page,
) -> Result<Stamp, Malformed> {
    let offsets = record::parse_vacuum_one_page(change.record.main_data())?;
    let offsets = offsets.as_slice();
    match change.block.id {
        0 => {
            delete_items(page, offsets)?;
            clear_flags(page, LH_PAGE_HAS_DEAD_TUPLES)?;
        }
        1 => {
            meta_page::check(page)?;
            meta_page::add_ntuples(page, -(offsets.len() as f64));
        }
        _ => return Err(NO_SUCH_BLOCK),
    }
    Ok(Stamp::EndLsn)
}

/// What VACUUM has counted.
pub(crate) fn update_meta_page(
    change: &BlockChange<'_>,
    page: &mut Page,
) -> Result<Stamp, Malformed> {
    if change.block.id != 0 {
        return Err(NO_SUCH_BLOCK);
    }
    meta_page::check(page)?;
    let ntuples = Payload::new(change.record.main_data()).u64()?;
    meta_page::set_ntuples(page, f64::from_bits(ntuples));
    Ok(Stamp::EndLsn)
}
