//! Heap and Heap2 (heap_mask, but stricter).
//!
//! | tuple header | offset |
//! |---|---|
//! | t_cid | 8 |
//! | t_ctid: block (two u16, high first), offset number | 12 |
//! | t_infomask2 | 18 |
//! | t_infomask | 20 |

use offshoot_layout::item::{LP_NORMAL, item_id, max_align, max_offset_number};
use offshoot_layout::page::{PD_ALL_VISIBLE, pd_flags, set_pd_flags};
use offshoot_layout::{BLCKSZ, Page};

use super::{BadPage, primitives};

const T_CID: usize = 8;
const T_CTID: usize = 12;
const T_INFOMASK: usize = 20;
const SIZE_OF_TUPLE_HEADER: usize = 23;
/// HEAP_XMIN_COMMITTED | HEAP_XMIN_INVALID: both together mean frozen.
const XMIN_FROZEN: u16 = 0x0300;
/// HEAP_XMAX_COMMITTED | HEAP_XMAX_INVALID.
const XMAX_HINTS: u16 = 0x0C00;
/// HEAP_COMBOCID: t_cid stands for a pair that only the transaction itself knows.
const COMBO_CID: u16 = 0x0020;
/// Offset number of a t_ctid that holds a speculative insertion's token.
const SPECULATIVE_TOKEN: u16 = 0xFFFE;

/// Only what is never logged: Postgres' own mask also hides the flag "all visible" and, unless the
/// tuple is frozen, how its xmax locks.
///
/// # Errors
/// [`BadPage`].
pub fn mask(page: &Page, block: u32) -> Result<Page, BadPage> {
    let all_visible = pd_flags(page) & PD_ALL_VISIBLE;
    let mut page = *page;
    primitives::lsn_and_checksum(&mut page);
    primitives::hint_bits(&mut page);
    let flags = pd_flags(&page) | all_visible;
    set_pd_flags(&mut page, flags);
    primitives::unused_space(&mut page)?;
    each_tuple(&mut page, block)?;
    Ok(page)
}

fn each_tuple(page: &mut Page, block: u32) -> Result<(), BadPage> {
    for offset in 1..=max_offset_number(page) {
        let id = item_id(page, offset).ok_or(BadPage("line pointers"))?;
        let start = usize::from(id.offset);
        if id.flags == LP_NORMAL {
            if start + SIZE_OF_TUPLE_HEADER > BLCKSZ {
                return Err(BadPage("a tuple lies outside"));
            }
            let xmin = primitives::u16_at(page, start + T_INFOMASK) & XMIN_FROZEN;
            let xmin_hints = if xmin == XMIN_FROZEN { 0 } else { XMIN_FROZEN };
            let hints = xmin_hints | XMAX_HINTS | COMBO_CID;
            primitives::clear(page, start + T_INFOMASK, hints);
            page[start + T_CID..start + T_CID + 4].fill(0);
            mask_token(page, start + T_CTID, block, offset);
        }
        if id.has_storage() {
            let end = start + usize::from(id.length);
            let padded = start + max_align(usize::from(id.length));
            let padding = page.get_mut(end..padded);
            padding.ok_or(BadPage("an item lies outside"))?.fill(0);
        }
    }
    Ok(())
}

/// A speculative insertion's token becomes what the tuple id will be: the tuple's own place.
fn mask_token(page: &mut Page, at: usize, block: u32, offset: u16) {
    if primitives::u16_at(page, at + 4) == SPECULATIVE_TOKEN {
        let (high, low) = ((block >> 16) as u16, block as u16);
        for (at, field) in [(at, high), (at + 2, low), (at + 4, offset)] {
            page[at..at + 2].copy_from_slice(&field.to_le_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use offshoot_layout::item::set_item_id;
    use offshoot_layout::{ItemId, page};

    fn tuple(infomask: u16) -> Page {
        let mut made = [0; BLCKSZ];
        page::init(&mut made, 0);
        page::set_pd_lower(&mut made, 28);
        page::set_pd_upper(&mut made, 8160);
        let id = ItemId {
            offset: 8160,
            flags: LP_NORMAL,
            length: 29,
        };
        set_item_id(&mut made, 1, id).unwrap();
        made[8160 + T_INFOMASK..8160 + 22].copy_from_slice(&infomask.to_le_bytes());
        made
    }

    #[test]
    fn hints_do_not_count_but_freezing_does() {
        assert_eq!(mask(&tuple(0x0100), 0), mask(&tuple(0x0800), 0));
        assert_ne!(mask(&tuple(0x0300), 0), mask(&tuple(0x0100), 0));
        assert_ne!(mask(&tuple(0x0040), 0), mask(&tuple(0), 0));
    }

    #[test]
    fn all_visible_counts() {
        let mut visible = tuple(0);
        set_pd_flags(&mut visible, PD_ALL_VISIBLE);
        assert_ne!(mask(&visible, 0), mask(&tuple(0), 0));
    }

    #[test]
    fn padding_command_ids_and_tokens_do_not_count() {
        let mut other = tuple(0);
        other[8160 + 29..8192].fill(9);
        other[8160 + T_CID] = 7;
        other[8160 + T_CTID..8160 + 18].copy_from_slice(&[1, 2, 3, 4, 0xFE, 0xFF]);
        let mut placed = tuple(0);
        placed[8160 + T_CTID..8160 + 18].copy_from_slice(&[1, 0, 2, 0, 1, 0]);
        assert_eq!(mask(&other, 0x1_0002), mask(&placed, 0x1_0002));
        other[8160 + 28] = 1;
        assert_ne!(mask(&other, 0x1_0002), mask(&placed, 0x1_0002));
    }

    #[test]
    fn pages_that_make_no_sense_are_errors() {
        let mut bad = tuple(0);
        page::set_pd_upper(&mut bad, 20);
        assert!(mask(&bad, 0).is_err());
    }
}
