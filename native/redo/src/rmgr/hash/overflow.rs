//! ADD_OVFL_PAGE and SQUEEZE_PAGE: overflow pages join and leave the chain of a bucket.

use offshoot_layout::Page;
use offshoot_wal::Record;

use super::page::{
    INVALID, LH_OVERFLOW_PAGE, LH_UNUSED_PAGE, NO_SUCH_BLOCK, init_page, set_nextblkno,
    set_prevblkno,
};
use super::record::{AddOvflPage, SqueezePage};
use super::{bitmap, meta_page, tuples};
use crate::opcode::{BlockChange, Stamp};
use crate::payload::{Malformed, Payload};

/// The block number of another block reference.
fn block_number(record: &Record, id: u8) -> Result<u32, Malformed> {
    let block = record.block(id).ok_or(Malformed("a block is missing"))?;
    Ok(block.key.block)
}

/// The block reference's data is one number.
fn data_u32(change: &BlockChange<'_>) -> Result<u32, Malformed> {
    Payload::new(change.record.block_data(change.block)).u32()
}

/// | block reference | page | data |
/// |---|---|---|
/// | 0 | the new page | bucket |
/// | 1 | the last page of the chain until now | |
/// | 2, if the new page had been freed before | bitmap | bit |
/// | 3, if the bitmaps have no room for its bit | new bitmap | |
/// | 4 | metapage | first bit that may be free |
pub(crate) fn add_ovfl_page(change: &BlockChange<'_>, page: &mut Page) -> Result<Stamp, Malformed> {
    let record = change.record;
    match change.block.id {
        0 => {
            let prevblkno = block_number(record, 1)?;
            init_page(page, prevblkno, data_u32(change)?, LH_OVERFLOW_PAGE);
        }
        1 => set_nextblkno(page, block_number(record, 0)?)?,
        2 => bitmap::set_bit(page, data_u32(change)?)?,
        3 => bitmap::init_bitmap(page, AddOvflPage::parse(record.main_data())?.bmsize)?,
        4 => count_ovfl_page(change, page)?,
        _ => return Err(NO_SUCH_BLOCK),
    }
    Ok(Stamp::EndLsn)
}

/// A page that had been free before is counted already.
fn count_ovfl_page(change: &BlockChange<'_>, page: &mut Page) -> Result<(), Malformed> {
    let add = AddOvflPage::parse(change.record.main_data())?;
    meta_page::check(page)?;
    meta_page::set_firstfree(page, data_u32(change)?);
    if add.bmpage_found {
        return Ok(());
    }
    let new_bitmap = change.record.block(3).map(|block| block.key.block);
    if let Some(block) = new_bitmap {
        meta_page::add_bitmap_page(page, block)?;
    }
    meta_page::add_spares(page, if new_bitmap.is_some() { 2 } else { 1 })
}

/// | block reference | page | data |
/// |---|---|---|
/// | 0, if not 1 | primary bucket page, to lock | |
/// | 1 | where the tuples go | as MOVE_PAGE_CONTENTS |
/// | 2 | the page that becomes free | |
/// | 3, if not 1 | the page before it | |
/// | 4, if there is one | the page behind it | |
/// | 5 | bitmap | bit |
/// | 6, if it changes | metapage | first bit that may be free |
pub(crate) fn squeeze_page(change: &BlockChange<'_>, page: &mut Page) -> Result<Stamp, Malformed> {
    let squeeze = SqueezePage::parse(change.record.main_data())?;
    match change.block.id {
        0 => return Ok(Stamp::Unchanged),
        1 => {
            tuples::add_moved_tuples(change, page, squeeze.ntups)?;
            if squeeze.is_prev_bucket_same_wrt {
                set_nextblkno(page, squeeze.nextblkno)?;
            }
        }
        2 => init_page(page, INVALID, INVALID, LH_UNUSED_PAGE),
        3 => set_nextblkno(page, squeeze.nextblkno)?,
        4 => set_prevblkno(page, squeeze.prevblkno)?,
        5 => bitmap::clear_bit(page, data_u32(change)?)?,
        6 => {
            meta_page::check(page)?;
            meta_page::set_firstfree(page, data_u32(change)?);
        }
        _ => return Err(NO_SUCH_BLOCK),
    }
    Ok(Stamp::EndLsn)
}
