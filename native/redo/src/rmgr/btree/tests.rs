//! Pages by hand; the oracle compares with those of Postgres.

use offshoot_layout::item::max_offset_number;
use offshoot_layout::page::{self, pd_lower, pd_lsn, pd_upper};
use offshoot_layout::{BLCKSZ, Lsn, Page, Tid};
use offshoot_wal::generate::BlockDraft;

use super::opaque::{
    self, BTP_DELETED, BTP_HALF_DEAD, BTP_HAS_FULLXID, BTP_HAS_GARBAGE, BTP_INCOMPLETE_SPLIT,
    BTP_LEAF, BTP_META, BTP_ROOT, Opaque,
};
use super::{tuple, tuple_space};
use crate::page_items::item;
use crate::test_record::{CONTEXT, END, block, draft, parse, u32s};
use crate::{Outcome, RedoError, Target, redo};

const RM_BTREE: u8 = 11;
const NONE: u32 = 0xFFFF_FFFF;

fn u16s(values: &[u16]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

fn tid(number: u16) -> [u8; 6] {
    let block = u32::from(number) / 10;
    let offset = number % 10 + 1;
    Tid { block, offset }.to_bytes()
}

/// 16 bytes: a key of 8 bytes and one row.
fn leaf(key: u8, row: u16) -> Vec<u8> {
    [&tid(row)[..], &16u16.to_le_bytes(), &[key; 8]].concat()
}

/// The same with several rows.
fn posting(key: u8, rows: &[u16]) -> Vec<u8> {
    let mut tuple = [0, 0, 16, 0].to_vec();
    tuple.extend(u16s(&[rows.len() as u16 | 0x2000]));
    let size = (16 + 6 * rows.len()).next_multiple_of(8);
    tuple.extend(u16s(&[size as u16 | 0x2000]));
    tuple.extend([key; 8]);
    tuple.extend(rows.iter().flat_map(|row| tid(*row)));
    tuple.resize(size, 0);
    tuple
}

/// A downlink, or a high key.
fn pivot(key: u8, child: u32) -> Vec<u8> {
    let mut tuple = Tid {
        block: child,
        offset: 1,
    }
    .to_bytes()
    .to_vec();
    tuple.extend(u16s(&[16 | 0x2000]));
    tuple.extend([key; 8]);
    tuple
}

fn page_of(opaque: Opaque, tuples: &[Vec<u8>]) -> Page {
    let mut page = [0; BLCKSZ];
    opaque::init(&mut page, &opaque);
    for tuple in tuples {
        tuple_space::append(&mut page, tuple).unwrap();
    }
    page
}

const LAST_LEAF: Opaque = Opaque {
    prev: 3,
    next: 0,
    level: 0,
    flags: BTP_LEAF | BTP_HAS_GARBAGE,
    cycleid: 7,
};
const LEAF: Opaque = Opaque {
    next: 9,
    ..LAST_LEAF
};

fn items(page: &Page) -> Vec<Vec<u8>> {
    let all = 1..=max_offset_number(page);
    all.map(|at| item(page, at).unwrap().to_vec()).collect()
}

fn data(id: u8, number: u32, data: Vec<u8>) -> BlockDraft {
    BlockDraft {
        data,
        ..block(id, number)
    }
}

fn init(block: BlockDraft) -> BlockDraft {
    BlockDraft {
        will_init: true,
        ..block
    }
}

fn try_redo(
    info: u8,
    main: &[u8],
    blocks: &[BlockDraft],
    id: u8,
    page: &mut Page,
) -> Result<Outcome, RedoError> {
    let mut draft = draft(RM_BTREE, info, main);
    draft.blocks = blocks.to_vec();
    redo(&parse(&draft), Target::Block(id), page, &CONTEXT)
}

/// The page after the record, stamped.
fn redone(info: u8, main: &[u8], blocks: &[BlockDraft], id: u8, before: &Page) -> Page {
    let mut page = *before;
    let outcome = try_redo(info, main, blocks, id, &mut page).unwrap();
    assert_eq!(outcome, Outcome::Applied);
    assert_eq!(pd_lsn(&page), END);
    page
}

fn opaque_of(page: &Page) -> Opaque {
    Opaque::read(page).unwrap()
}

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

fn split_main(level: u32, firstright: u16, newitem: u16, posting: u16) -> Vec<u8> {
    [u32s(&[level]), u16s(&[firstright, newitem, posting])].concat()
}

const HALVED: Opaque = Opaque {
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

fn meta_data() -> Vec<u8> {
    [u32s(&[4, 11, 3, 12, 2, 13]), vec![1, 0, 0, 0]].concat()
}

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
    let page = redone(0xA0, &u32s(&[3, 1]), &blocks, 1, &page_of(HALVED, &[]));
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

/// Every record type on every block, with bytes of page, main data and block data changed.
#[test]
fn any_bytes_give_errors_at_worst() {
    let mut seed = 1u64;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) as usize % below
    };
    let tuples = [
        pivot(9, 1),
        posting(1, &[1, 5, 9]),
        leaf(2, 1),
        leaf(2, 2),
        posting(3, &[1, 2]),
    ];
    let datas = [
        leaf(1, 6),
        [leaf(1, 6), pivot(9, 0)].concat(),
        [u16s(&[1]), leaf(1, 3)].concat(),
        u16s(&[2, 2, 4, 2]),
        u16s(&[3, 2, 1, 1]),
        meta_data(),
        tuples.concat(),
    ];
    for _ in 0..60_000 {
        let mut page = page_of(LEAF, &tuples);
        page::set_pd_lsn(&mut page, Lsn(1));
        for _ in 0..random(4) {
            let at = [10 + random(40), 8040 + random(152)][random(2)];
            page[at] = random(256) as u8;
        }
        let mut main: Vec<u8> = u16s(&[1, 0, 3, 3, 1]);
        main.resize(10 + random(30), 0);
        for _ in 0..random(4) {
            let at = random(main.len());
            main[at] = [random(256), random(5)][random(2)] as u8;
        }
        let mut bytes = datas[random(datas.len())].clone();
        for _ in 0..random(3) {
            let at = random(bytes.len());
            bytes[at] = random(256) as u8;
        }
        bytes.truncate(1 + random(2 * bytes.len()));
        let id = random(5) as u8;
        let mut blocks = vec![block(0, 5), block(1, 6)];
        blocks.retain(|block| block.id != id);
        blocks.push(data(id, 5, bytes));
        blocks.sort_by_key(|block| block.id);
        let _ = try_redo((random(15) as u8) << 4, &main, &blocks, id, &mut page);
    }
}
