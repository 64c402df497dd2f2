//! Deduplication, DELETE and VACUUM.

use super::*;

#[test]
fn runs_of_one_key_become_posting_lists() {
    let high = pivot(99, 0);
    let old = [
        high.clone(),
        leaf(1, 1),
        leaf(2, 1),
        posting(2, &[2, 3, 4]),
        leaf(2, 5),
        leaf(3, 1),
        leaf(4, 1),
        leaf(4, 2),
    ];
    let before = page_of(LEAF, &old);
    let intervals = u16s(&[3, 3, 7, 2]);
    let page = redone(0x60, &u16s(&[2]), &[data(0, 5, intervals)], 0, &before);
    let merged = [
        high,
        leaf(1, 1),
        posting(2, &[1, 2, 3, 4, 5]),
        leaf(3, 1),
        posting(4, &[1, 2]),
    ];
    assert_eq!(items(&page), merged);
    assert_eq!(
        opaque_of(&page),
        Opaque {
            flags: BTP_LEAF,
            ..LEAF
        }
    );
    assert!(page[24..][..8168] == page_of(opaque_of(&page), &merged)[24..][..8168]);
    for bad in [[1, 2], [3, 1], [3, 0], [8, 2], [9, 2], [3, u16::MAX]] {
        let blocks = [data(0, 5, u16s(&bad))];
        let refused = try_redo(0x60, &u16s(&[1]), &blocks, 0, &mut { before });
        assert!(refused.is_err(), "{bad:?}");
    }
}

#[test]
fn tuples_and_rows_of_posting_lists_go() {
    let old = [
        leaf(1, 1),
        posting(2, &[1, 2, 3, 4, 5]),
        leaf(3, 1),
        posting(4, &[1, 2]),
        leaf(5, 1),
        leaf(6, 1),
    ];
    let before = page_of(LAST_LEAF, &old);
    let changes = u16s(&[1, 3, 6, 2, 4, 2, 0, 3, 1, 1]);
    let left = [posting(2, &[2, 3, 5]), leaf(4, 1), leaf(5, 1)];
    for (info, main) in [(0x70, u16s(&[0, 0, 3, 2])), (0xC0, u16s(&[3, 2]))] {
        let page = redone(info, &main, &[data(0, 5, changes.clone())], 0, &before);
        assert_eq!(items(&page), left);
        assert_eq!(
            opaque_of(&page),
            Opaque {
                flags: BTP_LEAF,
                ..LAST_LEAF
            }
        );
    }
    // All rows, rows that are not there, rows out of order, a tuple with one row, too little data.
    for bad in [
        &[4, 2, 0, 1][..],
        &[4, 1, 2],
        &[2, 2, 1, 0],
        &[2, 2, 1, 1],
        &[1, 1, 0],
        &[2, 2, 1],
        &[2, 1, 1, 1],
    ] {
        let blocks = [data(0, 5, u16s(bad))];
        let refused = try_redo(0xC0, &u16s(&[0, 1]), &blocks, 0, &mut { before });
        assert!(refused.is_err(), "{bad:?}");
    }
}
