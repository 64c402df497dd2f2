//! The visibility map: two bits per heap block (1 all visible, 2 all frozen), four blocks per
//! byte, after a page header of 24 bytes. Records that clear bits without referencing the map
//! page, and truncation, change the page but not its LSN.

use offshoot_layout::page::SIZE_OF_PAGE_HEADER;
use offshoot_layout::{BLCKSZ, BlockKey, Fork, Page, RelKey};

/// Bit: every tuple of the block is visible to everyone.
pub const VISIBILITYMAP_ALL_VISIBLE: u8 = 1;
/// Bit: every tuple of the block is frozen.
pub const VISIBILITYMAP_ALL_FROZEN: u8 = 2;
/// Heap blocks that one map page describes.
pub const HEAPBLOCKS_PER_PAGE: u32 = (BLCKSZ - SIZE_OF_PAGE_HEADER) as u32 * HEAPBLOCKS_PER_BYTE;

const HEAPBLOCKS_PER_BYTE: u32 = 4;
const BITS_PER_HEAPBLOCK: u32 = 2;

/// Bits of one heap block that a record clears.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VmClear {
    pub heap: BlockKey,
    pub bits: u8,
}

impl VmClear {
    /// The map page that holds the bits.
    #[must_use]
    pub fn map_page(&self) -> BlockKey {
        BlockKey {
            rel: map_fork(self.heap.rel),
            block: self.heap.block / HEAPBLOCKS_PER_PAGE,
        }
    }

    /// Clears the bits on that page.
    pub fn apply(&self, page: &mut Page) {
        let (byte, shift) = place(self.heap.block);
        page[byte] &= !(self.bits << shift);
    }
}

/// What a truncation of the heap to `heap_blocks` does to the map.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VmTruncation {
    /// The page whose bits from `heap_blocks` on are cleared, if some of its bits stay.
    pub tail_page: Option<u32>,
    /// Blocks of the map that stay.
    pub blocks: u32,
}

impl VmTruncation {
    #[must_use]
    pub fn of(heap_blocks: u32) -> VmTruncation {
        let page = heap_blocks / HEAPBLOCKS_PER_PAGE;
        if heap_blocks.is_multiple_of(HEAPBLOCKS_PER_PAGE) {
            return VmTruncation {
                tail_page: None,
                blocks: page,
            };
        }
        VmTruncation {
            tail_page: Some(page),
            blocks: page + 1,
        }
    }
}

/// Clears the bits of `heap_blocks` and all later heap blocks on the page that holds them.
pub fn clear_tail(page: &mut Page, heap_blocks: u32) {
    let (byte, shift) = place(heap_blocks);
    page[byte] &= (1 << shift) - 1;
    page[byte + 1..].fill(0);
}

/// The relation's visibility-map fork.
#[must_use]
pub fn map_fork(rel: RelKey) -> RelKey {
    RelKey {
        fork: Fork::Vm,
        ..rel
    }
}

/// Byte on the page, and the shift in it, of a heap block's bits.
fn place(heap_block: u32) -> (usize, u32) {
    let in_page = heap_block % HEAPBLOCKS_PER_PAGE;
    let byte = SIZE_OF_PAGE_HEADER + (in_page / HEAPBLOCKS_PER_BYTE) as usize;
    (byte, in_page % HEAPBLOCKS_PER_BYTE * BITS_PER_HEAPBLOCK)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heap(block: u32) -> BlockKey {
        BlockKey {
            rel: RelKey {
                spcnode: 1663,
                dbnode: 5,
                relnode: 16384,
                fork: Fork::Main,
            },
            block,
        }
    }

    #[test]
    fn clears_touch_their_bits_only() {
        let cases = [
            (0, 3, 0, 24, 0xFC),
            (1, 2, 0, 24, 0xF7),
            (7, 3, 0, 25, 0x3F),
            (32_671, 3, 0, 8191, 0x3F),
            (32_672, 2, 1, 24, 0xFD),
        ];
        for (block, bits, map_block, byte, left) in cases {
            let clear = VmClear {
                heap: heap(block),
                bits,
            };
            assert_eq!(clear.map_page().block, map_block);
            assert_eq!(clear.map_page().rel.fork, Fork::Vm);
            let mut page = [0xFF; BLCKSZ];
            clear.apply(&mut page);
            let mut expected = [0xFF; BLCKSZ];
            expected[byte] = left;
            assert!(page == expected, "heap block {block}");
        }
    }

    #[test]
    fn truncation_keeps_what_is_before_it() {
        let cases = [
            (0, None, 0),
            (1, Some(0), 1),
            (32_671, Some(0), 1),
            (32_672, None, 1),
            (32_673, Some(1), 2),
            (u32::MAX, Some(131_457), 131_458),
        ];
        for (heap_blocks, tail_page, blocks) in cases {
            assert_eq!(
                VmTruncation::of(heap_blocks),
                VmTruncation { tail_page, blocks }
            );
        }
        let tails = [
            (1, 24, 0x03),
            (6, 25, 0x0F),
            (8, 26, 0x00),
            (32_671, 8191, 0x3F),
        ];
        for (heap_blocks, byte, left) in tails {
            let mut page = [0xFF; BLCKSZ];
            clear_tail(&mut page, heap_blocks);
            assert!(page[..byte].iter().all(|&b| b == 0xFF), "{heap_blocks}");
            assert_eq!(page[byte], left, "{heap_blocks}");
            assert!(page[byte + 1..].iter().all(|&b| b == 0), "{heap_blocks}");
        }
    }
}
