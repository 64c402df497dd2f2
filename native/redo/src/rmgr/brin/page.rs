//! The three kinds of BRIN pages.
//!
//! The special space (BrinSpecialSpace) is the last 8 bytes:
//!
//! | field | offset | width |
//! |---|---|---|
//! | unused | 0 | 4 |
//! | flags (hints) | 4 | 2 |
//! | type | 6 | 2 |
//!
//! Contents of the metapage (BrinMetaPageData), behind the page header:
//!
//! | field | offset | width |
//! |---|---|---|
//! | brinMagic | 0 | 4 |
//! | brinVersion | 4 | 4 |
//! | pagesPerRange | 8 | 4 |
//! | lastRevmapPage | 12 | 4 |
//!
//! A revmap page has 1360 tuple identifiers behind its header: where the tuple of each range is.

use offshoot_layout::page::{self, SIZE_OF_PAGE_HEADER, pd_special, set_pd_lower};
use offshoot_layout::tid::{SIZE_OF_TID, Tid};
use offshoot_layout::{BLCKSZ, Page};

use crate::payload::Malformed;

const SIZE_OF_SPECIAL: usize = 8;
const SPECIAL: usize = BLCKSZ - SIZE_OF_SPECIAL;
const TYPE: usize = SPECIAL + 6;

const BRIN_META_MAGIC: u32 = 0xA810_9CFA;
const META: usize = SIZE_OF_PAGE_HEADER;
const LAST_REVMAP_PAGE: usize = META + 12;
const END_OF_META: usize = META + 16;

const REVMAP_PAGE_MAX_ITEMS: u32 = ((SPECIAL - SIZE_OF_PAGE_HEADER) / SIZE_OF_TID) as u32;

/// What a range without a tuple has in the revmap.
pub(super) const INVALID_TID: Tid = Tid {
    block: u32::MAX,
    offset: 0,
};

/// What a page is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum PageType {
    Meta = 0xF091,
    Revmap = 0xF092,
    Regular = 0xF093,
}

/// Refuses what is not a page of this type.
pub(super) fn check(page: &Page, page_type: PageType) -> Result<(), Malformed> {
    let found = u16::from_le_bytes([page[TYPE], page[TYPE + 1]]);
    let fits = usize::from(pd_special(page)) == SPECIAL && found == page_type as u16;
    fits.then_some(()).ok_or(match page_type {
        PageType::Meta => Malformed("not the metapage of a BRIN index"),
        PageType::Revmap => Malformed("not a revmap page of a BRIN index"),
        PageType::Regular => Malformed("not a regular page of a BRIN index"),
    })
}

/// Makes it an empty page (brin_page_init).
pub(super) fn init(page: &mut Page, page_type: PageType) {
    page::init(page, SIZE_OF_SPECIAL as u16);
    page[TYPE..].copy_from_slice(&(page_type as u16).to_le_bytes());
}

/// Makes it the metapage of an empty index (brin_metapage_init).
pub(super) fn init_meta(page: &mut Page, pages_per_range: u32, version: u16) {
    init(page, PageType::Meta);
    put_u32(page, META, BRIN_META_MAGIC);
    put_u32(page, META + 4, u32::from(version));
    put_u32(page, META + 8, pages_per_range);
    set_last_revmap_page(page, 0);
}

/// Also brings `pd_lower` behind the contents: Postgres before 11 did not.
pub(super) fn set_last_revmap_page(page: &mut Page, block: u32) {
    put_u32(page, LAST_REVMAP_PAGE, block);
    set_pd_lower(page, END_OF_META as u16);
}

/// Says where the tuple of the range is that begins with heap block `heap_block`
/// (brinSetHeapBlockItemptr).
pub(super) fn set_heap_block_tid(
    page: &mut Page,
    pages_per_range: u32,
    heap_block: u32,
    tid: Tid,
) -> Result<(), Malformed> {
    let range = heap_block
        .checked_div(pages_per_range)
        .ok_or(Malformed("ranges of no pages"))?;
    let at = SIZE_OF_PAGE_HEADER + SIZE_OF_TID * (range % REVMAP_PAGE_MAX_ITEMS) as usize;
    page[at..at + SIZE_OF_TID].copy_from_slice(&tid.to_bytes());
    Ok(())
}

fn put_u32(page: &mut Page, at: usize, value: u32) {
    page[at..at + 4].copy_from_slice(&value.to_le_bytes());
}
