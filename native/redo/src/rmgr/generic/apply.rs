//! A block's data are fragments, one after the other:
//!
//! | field | offset | width |
//! |---|---|---|
//! | where on the page | 0 | 2 |
//! | length | 2 | 2 |
//! | bytes | 4 | length |

use offshoot_layout::Page;
use offshoot_layout::page::{pd_lower, pd_upper};

use crate::opcode::{BlockChange, Stamp};
use crate::payload::{Malformed, Payload};

/// Blocks that a record can have (MAX_GENERIC_XLOG_PAGES).
const MAX_PAGES: u8 = 4;

pub(crate) fn apply(change: &BlockChange<'_>, page: &mut Page) -> Result<Stamp, Malformed> {
    if change.block.id >= MAX_PAGES {
        return Err(Malformed("more blocks than the record type has"));
    }
    let data = change.record.block_data(change.block);
    let (mut fragments, mut left) = (Payload::new(data), data.len());
    while left > 0 {
        let (offset, length) = (usize::from(fragments.u16()?), fragments.u16()?);
        let bytes = fragments.take(usize::from(length))?;
        let place = page.get_mut(offset..offset + bytes.len());
        place
            .ok_or(Malformed("a fragment reaches out of the page"))?
            .copy_from_slice(bytes);
        left -= 4 + bytes.len();
    }
    clear_hole(page)?;
    Ok(Stamp::EndLsn)
}

/// The hole is not logged; the writer cleared it, too.
fn clear_hole(page: &mut Page) -> Result<(), Malformed> {
    let hole = usize::from(pd_lower(page))..usize::from(pd_upper(page));
    let hole = page.get_mut(hole);
    hole.ok_or(Malformed("the page's header contradicts itself"))?
        .fill(0);
    Ok(())
}
