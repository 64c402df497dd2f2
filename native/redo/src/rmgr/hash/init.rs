//! INIT_META_PAGE and INIT_BITMAP_PAGE: the first pages of an index.

use offshoot_layout::Page;

use super::page::NO_SUCH_BLOCK;
use super::record::InitMetaPage;
use super::{bitmap, meta_page};
use crate::opcode::{BlockChange, Stamp};
use crate::payload::{Malformed, Payload};

pub(crate) fn init_meta_page(
    change: &BlockChange<'_>,
    page: &mut Page,
) -> Result<Stamp, Malformed> {
    match change.block.id {
        0 => meta_page::init_meta(page, &InitMetaPage::parse(change.record.main_data())?)?,
        _ => return Err(NO_SUCH_BLOCK),
    }
    Ok(Stamp::EndLsn)
}

/// Where the bitmap page lies follows from the number of buckets; block reference 0 has that place
/// too.
pub(crate) fn init_bitmap_page(
    change: &BlockChange<'_>,
    page: &mut Page,
) -> Result<Stamp, Malformed> {
    match change.block.id {
        0 => bitmap::init_bitmap(page, Payload::new(change.record.main_data()).u16()?)?,
        1 => {
            meta_page::check(page)?;
            let block = meta_page::maxbucket(page).wrapping_add(2);
            meta_page::add_bitmap_page(page, block)?;
        }
        _ => return Err(NO_SUCH_BLOCK),
    }
    Ok(Stamp::EndLsn)
}
