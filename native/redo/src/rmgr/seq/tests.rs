//! The page of a sequence.

use offshoot_layout::BLCKSZ;
use offshoot_layout::page::{init, pd_lower, pd_lsn, pd_upper};

use crate::page_items::item;
use crate::test_record::{CONTEXT, END, block, draft, parse};
use crate::{Outcome, Target, redo};

#[test]
fn log_builds_the_page() {
    let tuple: Vec<u8> = (1..=41).collect();
    let mut draft = draft(15, 0, &[&[0; 12][..], &tuple].concat());
    let mut reference = block(0, 0);
    reference.will_init = true;
    draft.blocks = vec![reference];
    let mut page = [7; BLCKSZ];
    let outcome = redo(&parse(&draft), Target::Block(0), &mut page, &CONTEXT);
    assert_eq!(outcome.unwrap(), Outcome::Applied);
    assert_eq!((pd_lower(&page), pd_upper(&page)), (28, 8136));
    assert_eq!(item(&page, 1), Ok(&tuple[..]));
    assert_eq!(page[8184..], [0x17, 0x17, 0, 0, 0, 0, 0, 0]);
    assert_eq!(pd_lsn(&page), END);
    draft.main.truncate(11);
    assert!(redo(&parse(&draft), Target::Block(0), &mut page, &CONTEXT).is_err());
}

#[test]
fn log_does_not_change_a_page() {
    let mut draft = draft(15, 0, &[0; 53]);
    draft.blocks = vec![block(0, 0)];
    let mut page = [0; BLCKSZ];
    init(&mut page, 8);
    assert!(redo(&parse(&draft), Target::Block(0), &mut page, &CONTEXT).is_err());
}
