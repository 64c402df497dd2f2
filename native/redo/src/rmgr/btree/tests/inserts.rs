//! Tuples that find room.

use super::*;

#[test]
fn tuple_is_inserted_at_its_place() {
    let before = page_of(LAST_LEAF, &[leaf(1, 1), leaf(3, 3)]);
    let blocks = [data(0, 5, leaf(2, 2))];
    let page = redone(0x00, &u16s(&[2]), &blocks, 0, &before);
    assert_eq!(items(&page), [leaf(1, 1), leaf(2, 2), leaf(3, 3)]);
    assert_eq!(opaque_of(&page), LAST_LEAF);
    // Once is enough.
    let mut again = page;
    let outcome = try_redo(0x00, &u16s(&[2]), &blocks, 0, &mut again).unwrap();
    assert_eq!(outcome, Outcome::AlreadyThere);
    assert!(again == page);
}

#[test]
fn downlink_completes_the_split_of_its_child() {
    let blocks = [data(0, 5, pivot(2, 6)), block(1, 4)];
    let inner = Opaque {
        level: 1,
        flags: BTP_ROOT,
        ..LAST_LEAF
    };
    let before = page_of(inner, &[pivot(1, 4)]);
    let page = redone(0x10, &u16s(&[2]), &blocks, 0, &before);
    assert_eq!(items(&page), [pivot(1, 4), pivot(2, 6)]);
    let flags = BTP_LEAF | BTP_INCOMPLETE_SPLIT | BTP_HAS_GARBAGE;
    let child = page_of(Opaque { flags, ..LEAF }, &[leaf(1, 1)]);
    let page = redone(0x10, &u16s(&[2]), &blocks, 1, &child);
    assert_eq!(opaque_of(&page), LEAF);
    assert_eq!(items(&page), [leaf(1, 1)]);
}

#[test]
fn row_goes_into_a_posting_list_and_pushes_the_last_out() {
    let before = page_of(LAST_LEAF, &[posting(1, &[1, 5, 9]), leaf(2, 1)]);
    let tuple = [u16s(&[1]), leaf(1, 3)].concat();
    let page = redone(0x50, &u16s(&[2]), &[data(0, 5, tuple)], 0, &before);
    let expected = [posting(1, &[1, 3, 5]), leaf(1, 9), leaf(2, 1)];
    assert_eq!(items(&page), expected);
    for at in [0, 3, 9] {
        let tuple = [u16s(&[at]), leaf(1, 3)].concat();
        let refused = try_redo(0x50, &u16s(&[2]), &[data(0, 5, tuple)], 0, &mut { before });
        assert!(refused.is_err(), "{at}");
    }
}
