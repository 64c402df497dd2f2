//! Fragments on pages.

use offshoot_layout::page::{init, pd_lsn, set_pd_lower, set_pd_upper};
use offshoot_layout::{BLCKSZ, Page};

use crate::test_record::{CONTEXT, END, block, draft, parse};
use crate::{Target, redo};

fn some_page() -> Page {
    let mut page = [7; BLCKSZ];
    init(&mut page, 8);
    page[24..8184].fill(7);
    set_pd_lower(&mut page, 100);
    set_pd_upper(&mut page, 200);
    page
}

fn apply(page: &mut Page, id: u8, data: &[u8]) -> bool {
    let mut draft = draft(20, 0, &[]);
    let mut reference = block(id, 9);
    reference.data = data.to_vec();
    draft.blocks = vec![reference];
    redo(&parse(&draft), Target::Block(id), page, &CONTEXT).is_ok()
}

#[test]
fn fragments_are_written_and_the_hole_is_cleared() {
    let mut page = some_page();
    let fragments = [40, 0, 2, 0, 1, 2, 0xFE, 0x1F, 1, 0, 3];
    assert!(apply(&mut page, 3, &fragments));
    let mut expected = some_page();
    expected[40..42].copy_from_slice(&[1, 2]);
    expected[0x1FFE] = 3;
    expected[100..200].fill(0);
    assert_eq!(pd_lsn(&page), END);
    assert_eq!(page[8..], expected[8..]);
}

/// The hole is where the fragments say that it is.
#[test]
fn fragments_can_change_the_header() {
    let mut page = some_page();
    assert!(apply(&mut page, 0, &[12, 0, 2, 0, 90, 0]));
    assert_eq!(page[89..101], [7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn fragments_that_do_not_fit_are_refused() {
    for fragments in [
        &[0xFF, 0x1F, 2, 0, 1, 2][..],
        &[0xFF, 0xFF, 0, 0],
        &[40, 0, 3, 0, 1, 2],
        &[40, 0, 1],
        &[12, 0, 2, 0, 0xFF, 0xFF],
    ] {
        assert!(!apply(&mut some_page(), 0, fragments), "{fragments:?}");
    }
    assert!(!apply(&mut some_page(), 4, &[40, 0, 1, 0, 1]));
}
