//! VISIBLE: block 0 is the page of the visibility map, block 1 the heap page it speaks of.

use offshoot_layout::page::{PD_ALL_VISIBLE, SIZE_OF_PAGE_HEADER, init, is_new};
use offshoot_layout::{Fork, Page};

use super::record::parse_visible;
use crate::opcode::{BlockChange, Stamp};
use crate::payload::Malformed;
use crate::rmgr::heap::change_flags;
use crate::visibility_map::HEAPBLOCKS_PER_PAGE;

const MAP_BLOCK: u8 = 0;
const HEAP_BLOCK: u8 = 1;

const HEAPBLOCKS_PER_BYTE: u32 = 4;
const BITS_PER_HEAPBLOCK: u32 = 2;
const BITS_OF_HEAPBLOCK: u8 = 3;

pub(crate) fn visible(change: &BlockChange<'_>, page: &mut Page) -> Result<Stamp, Malformed> {
    let bits = parse_visible(change.record.main_data())?;
    match change.block.id {
        MAP_BLOCK => set_bits(page, heap_block(change)?, bits),
        HEAP_BLOCK => Ok(mark_heap_page(change, page)),
        _ => Err(Malformed("more blocks than the record type has")),
    }
}

/// "All visible" is a hint bit as others: its change is stamped only where those are logged.
fn mark_heap_page(change: &BlockChange<'_>, page: &mut Page) -> Stamp {
    change_flags(page, PD_ALL_VISIBLE, 0);
    match change.context.checksums || change.context.wal_log_hints {
        true => Stamp::EndLsn,
        false => Stamp::Unchanged,
    }
}

fn heap_block(change: &BlockChange<'_>) -> Result<u32, Malformed> {
    let heap = change.record.block(HEAP_BLOCK);
    let heap = heap.ok_or(Malformed("no heap block referenced"))?.key;
    let map = change.block.key;
    if map.rel.fork != Fork::Vm || map.block != heap.block / HEAPBLOCKS_PER_PAGE {
        return Err(Malformed("another page of the map than the heap block's"));
    }
    Ok(heap.block)
}

/// Adds the bits to those that the heap block has. A map page comes into being as zeros.
fn set_bits(page: &mut Page, heap_block: u32, bits: u8) -> Result<Stamp, Malformed> {
    if is_new(page) {
        init(page, 0);
    }
    let in_page = heap_block % HEAPBLOCKS_PER_PAGE;
    let shift = in_page % HEAPBLOCKS_PER_BYTE * BITS_PER_HEAPBLOCK;
    let byte = SIZE_OF_PAGE_HEADER + (in_page / HEAPBLOCKS_PER_BYTE) as usize;
    let byte = page.get_mut(byte).ok_or(Malformed("past the map"))?;
    if *byte >> shift & BITS_OF_HEAPBLOCK == bits {
        return Ok(Stamp::Unchanged);
    }
    *byte |= bits << shift;
    Ok(Stamp::EndLsn)
}
