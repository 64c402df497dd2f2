//! What records do to heap pages; the records are as Postgres writes them.

use offshoot_layout::item::{ItemId, item_id};
use offshoot_layout::page::{PD_ALL_VISIBLE, pd_flags, pd_lower, pd_lsn, pd_prune_xid, set_pd_lsn};
use offshoot_layout::{BLCKSZ, Lsn, Page};
use offshoot_wal::generate::RecordDraft;

use super::new_tuple::change_flags;
use crate::page_items::item;
use crate::test_record::{CONTEXT, END, block, draft, parse};
use crate::{RedoError, Target, redo};

const RM_HEAP: u8 = 10;
const BLOCK: u32 = 0x0001_0002;
const XID: [u8; 4] = [0xBC, 2, 0, 0];
/// infomask2 3 attributes, infomask XMAX_INVALID and what must be lost (COMBOCID), hoff 24.
const HEADER: [u8; 5] = [3, 0, 0x22, 0x08, 24];

fn heap(info: u8, main: &[u8], data: &[u8]) -> RecordDraft {
    let mut draft = draft(RM_HEAP, info, main);
    let mut block = block(0, BLOCK);
    block.will_init = info & 0x80 != 0;
    block.data = data.to_vec();
    draft.blocks = vec![block];
    draft
}

fn apply_to(page: &mut Page, draft: &RecordDraft, block_id: u8) -> Result<(), String> {
    let result = redo(&parse(draft), Target::Block(block_id), page, &CONTEXT);
    let stamped = pd_lsn(page) == END;
    // The next record on the page is a later one.
    set_pd_lsn(page, Lsn(8));
    match result {
        Ok(_) if stamped => Ok(()),
        Ok(_) => Err("not stamped".to_owned()),
        Err(RedoError::Malformed { reason, .. }) => Err(reason.to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn apply(page: &mut Page, draft: &RecordDraft) {
    apply_to(page, draft, 0).unwrap();
}

fn insert(info: u8, offnum: u8, flags: u8, user_data: &[u8]) -> RecordDraft {
    let data = [&HEADER, &[0xEE][..], user_data].concat();
    heap(info, &[offnum, 0, flags], &data)
}

/// Two tuples, "all visible".
fn some_page() -> Page {
    let mut page = [7; BLCKSZ];
    apply(&mut page, &insert(0x80, 1, 0, b"abcdefgh"));
    apply(&mut page, &insert(0x00, 2, 0, b"ABCDEFGHIJ"));
    change_flags(&mut page, PD_ALL_VISIBLE, 0);
    page
}

/// A tuple's xmin, xmax, field3, ctid, infomask2, infomask, and the bytes from hoff's.
type Tuple<'a> = (&'a [u8], &'a [u8], &'a [u8], &'a [u8], u16, u16, &'a [u8]);

fn tuple(page: &Page, offnum: u16) -> Tuple<'_> {
    let bytes = item(page, offnum).unwrap();
    let u16 = |at| offshoot_layout::le::u16_at(bytes, at).unwrap();
    (
        &bytes[..4],
        &bytes[4..8],
        &bytes[8..12],
        &bytes[12..18],
        u16(18),
        u16(20),
        &bytes[22..],
    )
}

const NONE: &[u8] = &[0; 4];
const SELF_1: &[u8] = &[1, 0, 2, 0, 1, 0];
const SELF_2: &[u8] = &[1, 0, 2, 0, 2, 0];

#[test]
fn inserted_tuples_get_their_header() {
    let page = some_page();
    let first = (XID.as_slice(), NONE, NONE, SELF_1, 3, 0x0802);
    let expected = [&[24, 0xEE][..], b"abcdefgh"].concat();
    let (a, b, c, d, e, f, rest) = tuple(&page, 1);
    assert_eq!(((a, b, c, d, e, f), rest), (first, &expected[..]));
    let expected = [&[24, 0xEE][..], b"ABCDEFGHIJ"].concat();
    assert_eq!(tuple(&page, 2).3, SELF_2);
    assert_eq!(tuple(&page, 2).6, expected);
    let line = |offset, length| ItemId {
        offset,
        flags: 1,
        length,
    };
    assert_eq!(item_id(&page, 1), Some(line(8160, 32)));
    assert_eq!(item_id(&page, 2), Some(line(8120, 34)));
    assert_eq!(pd_lower(&page), 32);
}

#[test]
fn all_visible_is_cleared_if_the_record_says_so() {
    let delete = |flags| heap(0x10, &[9, 0, 0, 0, 1, 0, 0, flags], &[]);
    for (record, visible) in [
        (insert(0, 3, 0, b""), true),
        (insert(0, 3, 1, b""), false),
        (delete(0), true),
        (delete(1), false),
    ] {
        let mut page = some_page();
        apply(&mut page, &record);
        assert_eq!(pd_flags(&page) & PD_ALL_VISIBLE != 0, visible);
    }
}

#[test]
fn delete_marks_the_tuple() {
    const MOVED: &[u8] = &[0xFF, 0xFF, 0xFF, 0xFF, 0xFD, 0xFF];
    let nine: &[u8] = &[9, 0, 0, 0];
    let cases = [
        (0x00, 0x10, (&XID[..], nine, SELF_2, 0x2003, 0x0002)),
        (0x10, 0x05, (&XID[..], nine, MOVED, 3, 0x1042)),
        (0x08, 0x00, (NONE, NONE, SELF_2, 3, 0x0002)),
    ];
    for (flags, infobits, expected) in cases {
        let mut page = some_page();
        let record = heap(0x10, &[9, 0, 0, 0, 2, 0, infobits, flags], &[]);
        apply(&mut page, &record);
        let (xmin, xmax, _, ctid, infomask2, infomask, _) = tuple(&page, 2);
        assert_eq!((xmin, xmax, ctid, infomask2, infomask), expected);
        assert_eq!(pd_prune_xid(&page), 700);
    }
}

fn update_main(flags: u8, old: u8, new: u8) -> Vec<u8> {
    vec![9, 0, 0, 0, old, 0, 0x10, flags, 8, 0, 0, 0, new, 0]
}

#[test]
fn update_takes_what_is_left_out_from_the_old_tuple() {
    let logged = |lengths: &[u8], body: &[u8]| [lengths, &HEADER, &[0xDD], body].concat();
    let cases = [
        (0x00, logged(&[], b"xyz"), &b"xyz"[..]),
        (0x20, logged(&[3, 0], b"xyz"), b"ABCxyz"),
        (0x40, logged(&[4, 0], b"xyz"), b"xyzGHIJ"),
        (0x60, logged(&[10, 0, 0, 0], b""), b"ABCDEFGHIJ"),
        (0x60, logged(&[1, 0, 2, 0], b"xyz"), b"AxyzIJ"),
    ];
    for (flags, data, user_data) in cases {
        for (info, hot) in [(0x20, 0), (0x40, 0x4000)] {
            let mut page = some_page();
            apply(&mut page, &heap(info, &update_main(flags, 2, 3), &data));
            let (xmin, xmax, _, ctid, infomask2, ..) = tuple(&page, 2);
            assert_eq!((xmin, xmax), (&XID[..], &[9, 0, 0, 0][..]));
            assert_eq!((ctid, infomask2), (&[1, 0, 2, 0, 3, 0][..], 0x2003 | hot));
            let (xmin, xmax, _, ctid, infomask2, infomask, rest) = tuple(&page, 3);
            assert_eq!((xmin, xmax), (&XID[..], &[8, 0, 0, 0][..]));
            assert_eq!((ctid, infomask2), (&[1, 0, 2, 0, 3, 0][..], 3));
            assert_eq!(infomask, 0x0802);
            assert_eq!(rest, [&[24, 0xDD][..], user_data].concat());
        }
    }
}

#[test]
fn update_can_move_to_another_page() {
    let data = [&HEADER, &[0xDD][..], b"xyz"].concat();
    let mut record = heap(0x20, &update_main(0x03, 2, 3), &data);
    record.blocks.push(block(1, 7));
    let (mut old, mut new) = (some_page(), some_page());
    apply_to(&mut old, &record, 1).unwrap();
    apply_to(&mut new, &record, 0).unwrap();
    assert_eq!(tuple(&old, 2).3, [1, 0, 2, 0, 3, 0]);
    assert_eq!((pd_lower(&old), pd_prune_xid(&old)), (32, 700));
    assert_eq!(tuple(&new, 2).1, NONE);
    assert_eq!(tuple(&new, 3).6[2..], *b"xyz");
    assert_eq!(pd_prune_xid(&new), 0);
    for page in [&old, &new] {
        assert_eq!(pd_flags(page) & PD_ALL_VISIBLE, 0);
    }
    // There is no old tuple on that page.
    let data = [&[1, 0][..], &data].concat();
    record.blocks[0].data = data;
    record.main = update_main(0x20, 2, 3);
    assert!(apply_to(&mut some_page(), &record, 0).is_err());
}

#[test]
fn lock_cuts_the_chain_if_nobody_updates() {
    let mut updated = some_page();
    let data = [&HEADER, &[0xDD][..]].concat();
    apply(&mut updated, &heap(0x40, &update_main(0, 2, 3), &data));
    let next: &[u8] = &[1, 0, 2, 0, 3, 0];
    for (infobits, infomask, hot, ctid) in [
        (0x06, 0x00C2, 0, SELF_2),
        (0x04, 0x0042, 0, SELF_2),
        (0x0C, 0x0052, 0x4000, next),
        (0x05, 0x1042, 0x4000, next),
        (0x03, 0x1082, 0, SELF_2),
    ] {
        let mut page = updated;
        apply(
            &mut page,
            &heap(0x60, &[6, 0, 0, 0, 2, 0, infobits, 0], &[]),
        );
        let found = tuple(&page, 2);
        assert_eq!((found.1, found.3), (&[6, 0, 0, 0][..], ctid));
        assert_eq!((found.4, found.5), (3 | hot, infomask), "{infobits}");
    }
}

#[test]
fn confirm_and_inplace() {
    let mut page = some_page();
    apply(&mut page, &heap(0x50, &[2, 0], &[]));
    assert!(page == some_page());
    apply(&mut page, &heap(0x70, &[2, 0], b"0123456789"));
    assert_eq!(tuple(&page, 2).6[2..], *b"0123456789");
    assert_eq!(
        apply_to(&mut page, &heap(0x70, &[2, 0], b"012345678"), 0),
        Err("the tuple's length is another".to_owned())
    );
}

#[test]
fn what_cannot_be_is_refused() {
    let tuple_data = [&HEADER[..], &[0; 9]].concat();
    let mut not_init = heap(0x80, &[1, 0, 0], &tuple_data);
    not_init.blocks[0].will_init = false;
    let mut init = heap(0x00, &[1, 0, 0], &tuple_data);
    init.blocks[0].will_init = true;
    let mut bad_hoff = update_main(0x20, 2, 3);
    bad_hoff[12] = 3;
    for record in [
        not_init,
        init,
        insert(0, 1, 0, b""),
        insert(0, 4, 0, b""),
        insert(0, 0, 0, b""),
        insert(0, 3, 0, &[0; 9000]),
        heap(0x00, &[3, 0, 0], &HEADER[..4]),
        heap(0x10, &[9, 0, 0, 0, 3, 0, 0, 0], &[]),
        heap(0x10, &[9, 0, 0, 0, 0, 0, 0, 0], &[]),
        heap(0x10, &[9, 0, 0, 0, 1], &[]),
        heap(0x20, &update_main(0x20, 2, 3), &[11, 0, 3, 0, 2, 8, 24, 0]),
        heap(0x20, &update_main(0x40, 2, 3), &[11, 0, 3, 0, 2, 8, 24, 0]),
        heap(0x20, &bad_hoff, &[1, 0, 3, 0, 2, 8, 22, 0]),
        heap(0x60, &[6, 0, 0, 0, 9, 0, 0, 0], &[]),
    ] {
        let result = apply_to(&mut some_page(), &record, 0);
        assert!(result.is_err(), "{record:?}");
    }
}

#[test]
fn any_bytes_give_errors_at_worst() {
    let mut seed = 1u64;
    let mut random = move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) as usize
    };
    let infos = [0x00, 0x80, 0x10, 0x20, 0xA0, 0x40, 0xC0, 0x50, 0x60, 0x70];
    for _ in 0..30_000 {
        let mut page = some_page();
        for _ in 0..random() % 4 {
            page[10 + random() % 22] = random() as u8;
        }
        let main: Vec<u8> = (0..random() % 16).map(|_| random() as u8 % 4).collect();
        let data: Vec<u8> = (0..random() % 40).map(|_| random() as u8).collect();
        let mut record = heap(infos[random() % infos.len()], &main, &data);
        record.blocks[0].data[..]
            .iter_mut()
            .take(4)
            .for_each(|byte| *byte &= 31);
        let _ = apply_to(&mut page, &record, 0);
    }
}
