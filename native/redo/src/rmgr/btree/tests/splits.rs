//! Both halves of a split, and its right sibling.

use super::*;

fn split_main(level: u32, firstright: u16, newitem: u16, posting: u16) -> Vec<u8> {
    [u32s(&[level]), u16s(&[firstright, newitem, posting])].concat()
}

pub(super) const HALVED: Opaque = Opaque {
    prev: 3,
    next: 6,
    level: 0,
    flags: BTP_LEAF | BTP_INCOMPLETE_SPLIT,
    cycleid: 0,
};

/// The left half of the page of keys 10, 20, 30, 40 with a high key.
fn left_half(info: u8, main: &[u8], new: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let old = [
        pivot(99, 0),
        leaf(10, 1),
        leaf(20, 2),
        leaf(30, 3),
        leaf(40, 4),
    ];
    let before = page_of(LEAF, &old);
    let blocks = [data(0, 5, new.concat()), init(block(1, 6)), block(2, 9)];
    let page = redone(info, main, &blocks, 0, &before);
    assert_eq!(opaque_of(&page), HALVED);
    items(&page)
}

#[test]
fn left_half_keeps_its_items_under_a_new_high_key() {
    let high = pivot(33, 0);
    let right = left_half(0x40, &split_main(0, 4, 5, 0), std::slice::from_ref(&high));
    assert_eq!(right, [high.clone(), leaf(10, 1), leaf(20, 2)]);
    let new = [leaf(15, 7), high.clone()];
    let left = left_half(0x30, &split_main(0, 4, 3, 0), &new);
    assert_eq!(left, [high.clone(), leaf(10, 1), leaf(15, 7), leaf(20, 2)]);
    let first = left_half(0x30, &split_main(0, 3, 2, 0), &new);
    assert_eq!(first, [high.clone(), leaf(15, 7), leaf(10, 1)]);
    let last = left_half(0x30, &split_main(0, 4, 4, 0), &new);
    assert_eq!(last, [high, leaf(10, 1), leaf(20, 2), leaf(15, 7)]);
}

#[test]
fn split_puts_a_row_into_a_posting_list() {
    let before = page_of(LAST_LEAF, &[posting(1, &[1, 5, 9]), leaf(2, 1), leaf(3, 1)]);
    let high = pivot(9, 0);
    let blocks = [
        data(0, 5, [leaf(1, 6), high.clone()].concat()),
        init(block(1, 6)),
    ];
    // The new tuple stays left, or is the right half's first.
    for (info, firstright, new) in [(0x30, 3, Some(leaf(1, 9))), (0x40, 2, None)] {
        let page = redone(info, &split_main(0, firstright, 2, 2), &blocks, 0, &before);
        let mut expected = vec![high.clone(), posting(1, &[1, 5, 6])];
        expected.extend(new);
        if firstright == 3 {
            expected.push(leaf(2, 1));
        }
        assert_eq!(items(&page), expected);
        assert_eq!(opaque_of(&page), HALVED);
    }
}

#[test]
fn places_outside_the_left_half_are_refused() {
    let before = page_of(LAST_LEAF, &[posting(1, &[1, 5, 9]), leaf(2, 1), leaf(3, 1)]);
    let new = [leaf(1, 6), pivot(9, 0)].concat();
    let blocks = [data(0, 5, new), init(block(1, 6))];
    for (firstright, newitem, postingoff) in [(2, 3, 0), (2, 0, 0), (2, 3, 1), (9, 2, 0), (2, 2, 3)]
    {
        let main = split_main(0, firstright, newitem, postingoff);
        let refused = try_redo(0x30, &main, &blocks, 0, &mut { before });
        assert!(refused.is_err(), "{firstright} {newitem} {postingoff}");
    }
}

#[test]
fn right_half_is_built_from_its_tuple_space() {
    let expected = [pivot(99, 0), leaf(30, 3), posting(40, &[4, 5])];
    let space = [
        expected[2].clone(),
        expected[1].clone(),
        expected[0].clone(),
    ]
    .concat();
    let blocks = |level| {
        [
            block(0, 5),
            init(data(1, 6, space.clone())),
            block(2, level),
        ]
    };
    let main = |level| split_main(level, 4, 5, 0);
    let page = redone(0x40, &main(0), &blocks(9), 1, &[7; BLCKSZ]);
    assert_eq!(items(&page), expected);
    assert!(page[24..][..12] == page_of(LEAF, &expected)[24..][..12]);
    let right = Opaque {
        prev: 5,
        flags: BTP_LEAF,
        cycleid: 0,
        ..LEAF
    };
    assert_eq!(opaque_of(&page), right);
    let page = redone(0x30, &main(2), &blocks(9), 1, &[7; BLCKSZ]);
    assert_eq!(
        opaque_of(&page),
        Opaque {
            level: 2,
            flags: 0,
            ..right
        }
    );
    let sibling = page_of(LAST_LEAF, &[leaf(50, 1)]);
    let page = redone(0x30, &main(0), &blocks(9), 2, &sibling);
    assert_eq!(
        opaque_of(&page),
        Opaque {
            prev: 6,
            ..LAST_LEAF
        }
    );
}
