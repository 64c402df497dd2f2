//! Metapage, roots and deleted pages.

use super::*;

fn check_meta(page: &Page) {
    let expected = u32s(&[0x5_3162, 4, 11, 3, 12, 2, 13, 0]);
    assert_eq!(page[24..56], expected);
    assert_eq!(page[56..64], (-1.0f64).to_le_bytes());
    assert_eq!(page[64..72], [1, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!((pd_lower(page), pd_upper(page)), (72, 8176));
    let special = Opaque {
        flags: BTP_META,
        ..Opaque::default()
    };
    assert_eq!(opaque_of(page), special);
}

#[test]
fn metapage_is_built_anew() {
    let meta = |id| init(data(id, 0, meta_data()));
    let blocks = [data(0, 5, pivot(2, 6)), block(1, 4), meta(2)];
    check_meta(&redone(0x20, &u16s(&[2]), &blocks, 2, &[7; BLCKSZ]));
    check_meta(&redone(0xA0, &u32s(&[1, 0]), &blocks, 2, &[7; BLCKSZ]));
    check_meta(&redone(0xE0, &[], &[meta(0)], 0, &[7; BLCKSZ]));
    let unlink = unlink_main(0);
    check_meta(&redone(0x90, &unlink, &[meta(4)], 4, &[7; BLCKSZ]));
}

#[test]
fn roots() {
    let root = Opaque {
        flags: BTP_ROOT | BTP_LEAF,
        ..Opaque::default()
    };
    let blocks = [init(block(0, 1)), init(data(2, 0, meta_data()))];
    let page = redone(0xA0, &u32s(&[1, 0]), &blocks, 0, &[7; BLCKSZ]);
    assert_eq!((opaque_of(&page), items(&page)), (root, vec![]));
    let space = [pivot(5, 2), pivot(0, 1)].concat();
    let blocks = [init(data(0, 3, space)), block(1, 1)];
    let page = redone(0xA0, &u32s(&[3, 1]), &blocks, 0, &[7; BLCKSZ]);
    let inner = Opaque {
        level: 1,
        flags: BTP_ROOT,
        ..Opaque::default()
    };
    assert_eq!(opaque_of(&page), inner);
    assert_eq!(items(&page), [pivot(0, 1), pivot(5, 2)]);
    let page = redone(
        0xA0,
        &u32s(&[3, 1]),
        &blocks,
        1,
        &page_of(super::splits::HALVED, &[]),
    );
    assert_eq!(opaque_of(&page).flags, BTP_LEAF);
}

#[test]
fn half_dead_leaf_leaves_its_parent() {
    let main = [u16s(&[2, 0]), u32s(&[5, 3, 9, 8])].concat();
    let blocks = [init(block(0, 5)), block(1, 7)];
    let inner = Opaque {
        level: 1,
        flags: 0,
        ..LAST_LEAF
    };
    let before = page_of(
        inner,
        &[pivot(0, 3), pivot(20, 5), pivot(30, 9), pivot(40, 10)],
    );
    let page = redone(0xB0, &main, &blocks, 1, &before);
    assert_eq!(items(&page), [pivot(0, 3), pivot(20, 9), pivot(40, 10)]);
    let page = redone(0xB0, &main, &blocks, 0, &[7; BLCKSZ]);
    assert_eq!(items(&page), [tuple::pivot_without_key(8)]);
    let flags = BTP_LEAF | BTP_HALF_DEAD;
    assert_eq!(
        opaque_of(&page),
        Opaque {
            flags,
            cycleid: 0,
            ..LEAF
        }
    );
    // The last downlink has no right sibling to give its place to.
    let last = [u16s(&[4, 0]), u32s(&[5, 3, 9, NONE])].concat();
    assert!(try_redo(0xB0, &last, &blocks, 1, &mut { before }).is_err());
}

/// The page between 3 and 9 goes; below it is the half-dead leaf between 13 and 19.
fn unlink_main(level: u32) -> Vec<u8> {
    let safexid = (5u64 << 32 | 700).to_le_bytes();
    let head = u32s(&[3, 9, level, 0xAAAA_AAAA]);
    [head, safexid.to_vec(), u32s(&[13, 19, NONE])].concat()
}

#[test]
fn unlinked_page_leaves_its_siblings() {
    let blocks = [
        init(block(0, 5)),
        block(1, 3),
        block(2, 9),
        init(block(3, 15)),
    ];
    for (level, flag) in [(0, BTP_LEAF), (2, 0)] {
        let page = redone(0x80, &unlink_main(level), &blocks, 0, &[7; BLCKSZ]);
        let flags = BTP_DELETED | BTP_HAS_FULLXID | flag;
        let expected = Opaque {
            prev: 3,
            next: 9,
            level,
            flags,
            cycleid: 0,
        };
        assert_eq!(opaque_of(&page), expected);
        assert_eq!(page[24..32], (5u64 << 32 | 700).to_le_bytes());
        assert_eq!((pd_lower(&page), pd_upper(&page)), (32, 8176));
    }
    let main = unlink_main(1);
    let sibling = page_of(
        Opaque {
            prev: 5,
            next: 5,
            ..LEAF
        },
        &[],
    );
    let left = opaque_of(&redone(0x80, &main, &blocks, 1, &sibling));
    assert_eq!((left.prev, left.next), (5, 9));
    let right = opaque_of(&redone(0x80, &main, &blocks, 2, &sibling));
    assert_eq!((right.prev, right.next), (3, 5));
    let page = redone(0x80, &main, &blocks, 3, &[7; BLCKSZ]);
    let flags = BTP_LEAF | BTP_HALF_DEAD;
    let leaf = Opaque {
        prev: 13,
        next: 19,
        level: 0,
        flags,
        cycleid: 0,
    };
    assert_eq!(opaque_of(&page), leaf);
    assert_eq!(items(&page), [tuple::pivot_without_key(NONE)]);
}
