//! SPGist (spg_mask).

use offshoot_layout::Page;
use offshoot_layout::page::{SIZE_OF_PAGE_HEADER, pd_lower};

use super::{BadPage, primitives};

/// Block of the metapage; behind its magic number it caches which pages were used last.
const METAPAGE: u32 = 0;
const CACHE: std::ops::Range<usize> = 28..92;

/// As Postgres masks SP-GiST pages.
///
/// # Errors
/// [`BadPage`].
pub fn mask(page: &Page, _block: u32) -> Result<Page, BadPage> {
    let mut page = *page;
    primitives::lsn_and_checksum(&mut page);
    primitives::hint_bits(&mut page);
    if usize::from(pd_lower(&page)) >= SIZE_OF_PAGE_HEADER {
        primitives::unused_space(&mut page)?;
    }
    Ok(page)
}

/// For a cluster that was shut down: the cache in the metapage is never logged.
///
/// # Errors
/// [`BadPage`].
pub fn mask_cache(page: &Page, block: u32) -> Result<Page, BadPage> {
    let mut page = mask(page, block)?;
    if block == METAPAGE {
        page[CACHE].fill(0);
    }
    Ok(page)
}
