//! A bucket is split: allocate, then copies of tuples in whole pages (SPLIT_PAGE, images only),
//! complete, and much later the cleanup of the old bucket.

use offshoot_layout::Page;

use super::meta_page;
use super::page::{
    LH_BUCKET_NEEDS_SPLIT_CLEANUP, NO_SUCH_BLOCK, clear_flags, init_page, set_flag, set_prevblkno,
};
use super::record::SplitAllocatePage;
use crate::opcode::{BlockChange, Stamp};
use crate::payload::{Malformed, Payload};

/// Block reference 0 is the old bucket's page, changed even if an image of it was restored;
/// 1 the new bucket's, 2 the metapage.
pub(crate) fn split_allocate_page(
    change: &BlockChange<'_>,
    page: &mut Page,
) -> Result<Stamp, Malformed> {
    let split = SplitAllocatePage::parse(change.record.main_data())?;
    let bucket = split.new_bucket;
    match change.block.id {
        0 => {
            set_flag(page, split.old_bucket_flag)?;
            set_prevblkno(page, bucket)?;
        }
        1 => init_page(page, bucket, bucket, split.new_bucket_flag),
        2 => grow(change, page, &split)?,
        _ => return Err(NO_SUCH_BLOCK),
    }
    Ok(Stamp::EndLsn)
}

/// The metapage's data: lowmask and highmask if they change, then the splitpoint and the number of
/// overflow pages before it if a new one begins.
fn grow(
    change: &BlockChange<'_>,
    page: &mut Page,
    split: &SplitAllocatePage,
) -> Result<(), Malformed> {
    meta_page::check(page)?;
    meta_page::set_maxbucket(page, split.new_bucket);
    let mut data = Payload::new(change.record.block_data(change.block));
    if split.has_masks() {
        meta_page::set_masks(page, data.u32()?, data.u32()?);
    }
    if split.has_splitpoint() {
        meta_page::set_splitpoint(page, data.u32()?, data.u32()?)?;
    }
    Ok(())
}

/// Block reference 0 is the old bucket's page, 1 the new one's, both changed even if an image was
/// restored.
pub(crate) fn split_complete(
    change: &BlockChange<'_>,
    page: &mut Page,
) -> Result<Stamp, Malformed> {
    let mut payload = Payload::new(change.record.main_data());
    let flags = [payload.u16()?, payload.u16()?];
    let flag = flags.get(usize::from(change.block.id));
    set_flag(page, *flag.ok_or(NO_SUCH_BLOCK)?)?;
    Ok(Stamp::EndLsn)
}

pub(crate) fn split_cleanup(change: &BlockChange<'_>, page: &mut Page) -> Result<Stamp, Malformed> {
    if change.block.id != 0 {
        return Err(NO_SUCH_BLOCK);
    }
    clear_flags(page, LH_BUCKET_NEEDS_SPLIT_CLEANUP)?;
    Ok(Stamp::EndLsn)
}
