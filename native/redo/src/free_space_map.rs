//! Truncation of the free-space map: three levels of pages, each a binary tree of bytes whose
//! leaves ("slots") are heap blocks on the lowest level and pages of the next level above it.
//!
//! | part of a page | offset | bytes |
//! |---|---|---|
//! | page header | 0 | 24 |
//! | fp_next_slot (hint) | 24 | 4 |
//! | inner nodes | 28 | 4095 |
//! | slots | 4123 | 4069 |
//!
//! The map is never logged as such and its LSN means nothing.

use offshoot_layout::page::{SIZE_OF_PAGE_HEADER, is_new};
use offshoot_layout::{BLCKSZ, Fork, Page, RelKey};

/// Slots of one map page.
pub const SLOTS_PER_FSM_PAGE: u32 = (NODES_PER_PAGE - NON_LEAF_NODES_PER_PAGE) as u32;

const NODES_AT: usize = SIZE_OF_PAGE_HEADER + 4;
const NODES_PER_PAGE: usize = BLCKSZ - NODES_AT;
const NON_LEAF_NODES_PER_PAGE: usize = BLCKSZ / 2 - 1;

/// What a truncation of the heap to `heap_blocks` does to the map.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FsmTruncation {
    /// The page whose slots from `heap_blocks` on are emptied, if some of its slots stay.
    pub tail_page: Option<u32>,
    /// Blocks of the map that stay.
    pub blocks: u32,
}

impl FsmTruncation {
    #[must_use]
    pub fn of(heap_blocks: u32) -> FsmTruncation {
        let page = leaf_page(heap_blocks / SLOTS_PER_FSM_PAGE);
        if heap_blocks.is_multiple_of(SLOTS_PER_FSM_PAGE) {
            return FsmTruncation {
                tail_page: None,
                blocks: page,
            };
        }
        FsmTruncation {
            tail_page: Some(page),
            blocks: page + 1,
        }
    }
}

/// Empties the slots of `heap_blocks` and all later heap blocks on the leaf page that holds
/// them, and brings the inner nodes of that page in line.
pub fn clear_tail(page: &mut Page, heap_blocks: u32) {
    if is_new(page) {
        return;
    }
    let nodes = &mut page[NODES_AT..];
    let first = NON_LEAF_NODES_PER_PAGE + (heap_blocks % SLOTS_PER_FSM_PAGE) as usize;
    nodes[first..].fill(0);
    for node in (0..NON_LEAF_NODES_PER_PAGE).rev() {
        // The lowest inner nodes at the right edge have one child or none.
        let child = |number: usize| nodes.get(number).copied().unwrap_or(0);
        nodes[node] = child(2 * node + 1).max(child(2 * node + 2));
    }
}

/// The relation's free-space-map fork.
#[must_use]
pub fn map_fork(rel: RelKey) -> RelKey {
    RelKey {
        fork: Fork::Fsm,
        ..rel
    }
}

/// Block of the leaf page number `leaf`: pages are laid out depth first, so each leaf comes
/// after its ancestors and theirs.
fn leaf_page(leaf: u32) -> u32 {
    let ancestors = leaf / SLOTS_PER_FSM_PAGE + 1;
    let roots = leaf / SLOTS_PER_FSM_PAGE / SLOTS_PER_FSM_PAGE + 1;
    leaf + ancestors + roots
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn geometry_is_that_of_8_kb_pages() {
        assert_eq!(SLOTS_PER_FSM_PAGE, 4069);
        let cases = [
            (0, None, 2),
            (1, Some(2), 3),
            (4068, Some(2), 3),
            (4069, None, 3),
            (4069 * 4069, None, 4069 + 3),
        ];
        for (heap_blocks, tail_page, blocks) in cases {
            assert_eq!(
                FsmTruncation::of(heap_blocks),
                FsmTruncation { tail_page, blocks }
            );
        }
    }

    #[test]
    fn tail_is_emptied_and_the_root_is_the_maximum_of_the_rest() {
        let mut page = [0; BLCKSZ];
        offshoot_layout::page::set_pd_upper(&mut page, 8192);
        let slot = |number: usize| NODES_AT + NON_LEAF_NODES_PER_PAGE + number;
        page[slot(3)] = 40;
        page[slot(9)] = 200;
        page[slot(4068)] = 255;
        clear_tail(&mut page, 9);
        assert_eq!(page[NODES_AT], 40);
        assert_eq!((page[slot(3)], page[slot(9)], page[slot(4068)]), (40, 0, 0));
        clear_tail(&mut page, 4069 + 3);
        assert_eq!(page[NODES_AT], 0);
    }

    #[test]
    fn new_page_stays_new() {
        let mut page = [0; BLCKSZ];
        clear_tail(&mut page, 1);
        assert!(page == [0; BLCKSZ]);
    }
}
