//! Sequence (seq_mask).

use offshoot_layout::item::item_id;
use offshoot_layout::{BLCKSZ, Page};

use super::{BadPage, primitives};

/// Where a tuple without nulls has its columns: last_value, log_cnt, is_called.
const COLUMNS: std::ops::Range<usize> = 24..41;

/// As Postgres masks sequences.
///
/// # Errors
/// [`BadPage`].
pub fn mask(page: &Page, _block: u32) -> Result<Page, BadPage> {
    let mut page = *page;
    primitives::lsn_and_checksum(&mut page);
    primitives::unused_space(&mut page)?;
    Ok(page)
}

/// For a cluster that was shut down: values are logged ahead, so that they may differ at any time.
///
/// # Errors
/// [`BadPage`].
pub fn mask_values(page: &Page, block: u32) -> Result<Page, BadPage> {
    let mut page = mask(page, block)?;
    let id = item_id(&page, 1).ok_or(BadPage("no line pointer"))?;
    let start = usize::from(id.offset);
    if start + COLUMNS.end > BLCKSZ {
        return Err(BadPage("the tuple lies outside"));
    }
    page[start + COLUMNS.start..start + COLUMNS.end].fill(0);
    Ok(page)
}
