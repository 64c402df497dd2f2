//! The tuples of ranges on regular pages, and where they are in the revmap.

use offshoot_layout::Page;
use offshoot_layout::tid::Tid;

use super::page::{self, INVALID_TID, PageType};
use super::record::{
    CreateIndex, Desummarize, Insert, Update, parse_revmap_extend, parse_samepage_update,
};
use crate::effect::PageBase;
use crate::opcode::{BlockChange, Stamp};
use crate::page_items::{self, Place};
use crate::payload::Malformed;

const NO_SUCH_BLOCK: Malformed = Malformed("more block references than it can have");
const BRIN_INIT_PAGE: u8 = 0x80;

/// Block 0 is the metapage.
pub(crate) fn create_index(change: &BlockChange<'_>, page: &mut Page) -> Result<Stamp, Malformed> {
    if change.block.id != 0 {
        return Err(NO_SUCH_BLOCK);
    }
    check_init(change, true)?;
    let record = CreateIndex::parse(change.record.main_data())?;
    page::init_meta(page, record.pages_per_range, record.version);
    Ok(Stamp::EndLsn)
}

/// Block 0 is the regular page, block 1 the revmap page.
pub(crate) fn insert(change: &BlockChange<'_>, page: &mut Page) -> Result<Stamp, Malformed> {
    let record = Insert::parse(change.record.main_data())?;
    apply_insert(change, &record, page)
}

/// Blocks 0 and 1 are as of INSERT, block 2 the page from which the tuple goes.
pub(crate) fn update(change: &BlockChange<'_>, page: &mut Page) -> Result<Stamp, Malformed> {
    let record = Update::parse(change.record.main_data())?;
    if change.block.id == 2 {
        return remove_tuple(page, record.old_offset);
    }
    apply_insert(change, &record.insert, page)
}

fn apply_insert(
    change: &BlockChange<'_>,
    insert: &Insert,
    page: &mut Page,
) -> Result<Stamp, Malformed> {
    match change.block.id {
        0 => add_tuple(change, insert, page),
        1 => {
            let regular = change
                .record
                .block(0)
                .ok_or(Malformed("the block that gets the tuple is missing"))?;
            let tid = Tid {
                block: regular.key.block,
                offset: insert.offset,
            };
            set_revmap(page, insert.pages_per_range, insert.heap_block, tid)
        }
        _ => Err(NO_SUCH_BLOCK),
    }
}

fn add_tuple(
    change: &BlockChange<'_>,
    insert: &Insert,
    page: &mut Page,
) -> Result<Stamp, Malformed> {
    let init = change.record.opcode() & BRIN_INIT_PAGE != 0;
    check_init(change, init)?;
    if init {
        page::init(page, PageType::Regular);
    }
    page::check(page, PageType::Regular)?;
    let tuple = change.record.block_data(change.block);
    page_items::add_item(page, tuple, Place::Overwrite(insert.offset))?;
    Ok(Stamp::EndLsn)
}

/// Block 0 is the regular page.
pub(crate) fn samepage_update(
    change: &BlockChange<'_>,
    page: &mut Page,
) -> Result<Stamp, Malformed> {
    if change.block.id != 0 {
        return Err(NO_SUCH_BLOCK);
    }
    page::check(page, PageType::Regular)?;
    let offset = parse_samepage_update(change.record.main_data())?;
    let tuple = change.record.block_data(change.block);
    page_items::overwrite_item(page, offset, tuple)?;
    Ok(Stamp::EndLsn)
}

/// Block 0 is the metapage, block 1 the new revmap page.
pub(crate) fn revmap_extend(change: &BlockChange<'_>, page: &mut Page) -> Result<Stamp, Malformed> {
    match change.block.id {
        0 => {
            page::check(page, PageType::Meta)?;
            page::set_last_revmap_page(page, parse_revmap_extend(change.record.main_data())?);
        }
        1 => {
            check_init(change, true)?;
            page::init(page, PageType::Revmap);
        }
        _ => return Err(NO_SUCH_BLOCK),
    }
    Ok(Stamp::EndLsn)
}

/// Block 0 is the revmap page, block 1 the regular page.
pub(crate) fn desummarize(change: &BlockChange<'_>, page: &mut Page) -> Result<Stamp, Malformed> {
    let record = Desummarize::parse(change.record.main_data())?;
    match change.block.id {
        0 => set_revmap(page, record.pages_per_range, record.heap_block, INVALID_TID),
        1 => remove_tuple(page, record.offset),
        _ => Err(NO_SUCH_BLOCK),
    }
}

fn set_revmap(
    page: &mut Page,
    pages_per_range: u32,
    heap_block: u32,
    tid: Tid,
) -> Result<Stamp, Malformed> {
    page::check(page, PageType::Revmap)?;
    page::set_heap_block_tid(page, pages_per_range, heap_block, tid)?;
    Ok(Stamp::EndLsn)
}

/// The line pointers of other tuples stay: the revmap knows them by their numbers.
fn remove_tuple(page: &mut Page, offset: u16) -> Result<Stamp, Malformed> {
    page::check(page, PageType::Regular)?;
    page_items::delete_item_not_its_line(page, offset)?;
    Ok(Stamp::EndLsn)
}

fn check_init(change: &BlockChange<'_>, init: bool) -> Result<(), Malformed> {
    if (change.base == PageBase::Init) == init {
        return Ok(());
    }
    Err(Malformed(
        "record and block differ on whether the page is new",
    ))
}
