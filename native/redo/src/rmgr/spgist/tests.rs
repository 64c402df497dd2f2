//! Records made by hand, on pages made by hand.

use offshoot_layout::item::max_offset_number;
use offshoot_layout::page::pd_lsn;
use offshoot_layout::tid::Tid;
use offshoot_layout::{BLCKSZ, Page, page};
use offshoot_wal::generate::BlockDraft;

use super::tuple::DeadTuple;
use crate::page_items::{Place, add_item, item};
use crate::test_record::{CONTEXT, END, block, draft, parse};
use crate::{Target, redo};

const ADD_LEAF: u8 = 0x10;
const MOVE_LEAFS: u8 = 0x20;
const ADD_NODE: u8 = 0x30;
const SPLIT_TUPLE: u8 = 0x40;
const PICKSPLIT: u8 = 0x50;
const VACUUM_LEAF: u8 = 0x60;
const VACUUM_ROOT: u8 = 0x70;
const VACUUM_REDIRECT: u8 = 0x80;

const INNER: u8 = 0;
const LEAF: u8 = 4;
const NULLS: u8 = 8;
const XID: u32 = 700;
const PLACEHOLDER: DeadTuple = DeadTuple::Placeholder;

/// A leaf tuple of 24 bytes, of which `fill` tells it from others.
fn leaf(next: u16, fill: u8) -> Vec<u8> {
    let mut bytes = vec![fill; 24];
    bytes[..4].copy_from_slice(&(24u32 << 2).to_le_bytes());
    bytes[4..6].copy_from_slice(&(next | 0x8000).to_le_bytes());
    bytes
}

/// An inner tuple with a prefix of 8 bytes and nodes of 16 that point at these.
fn inner(fill: u8, children: &[Tid]) -> Vec<u8> {
    let mut bytes = vec![fill; 16 + 16 * children.len()];
    let bits = (children.len() as u32) << 3 | 8 << 16;
    let size = bytes.len() as u16;
    bytes[..4].copy_from_slice(&bits.to_le_bytes());
    bytes[4..6].copy_from_slice(&size.to_le_bytes());
    for (node, child) in bytes[16..].chunks_mut(16).zip(children) {
        node[..6].copy_from_slice(&child.to_bytes());
        node[6..8].copy_from_slice(&(0x4000u16 | 16).to_le_bytes());
    }
    bytes
}

fn tid(block: u32, offset: u16) -> Tid {
    Tid { block, offset }
}

fn redirect(block: u32, offset: u16) -> Vec<u8> {
    let to = tid(block, offset);
    DeadTuple::Redirect { to, xid: XID }.to_bytes().to_vec()
}

fn placeholder() -> Vec<u8> {
    PLACEHOLDER.to_bytes().to_vec()
}

/// A page with these counters and tuples.
fn page_of(flags: u8, redirects: u16, placeholders: u16, tuples: &[Vec<u8>]) -> Page {
    let mut made = [0; BLCKSZ];
    page::init(&mut made, 8);
    made[8184] = flags;
    made[8186..8188].copy_from_slice(&redirects.to_le_bytes());
    made[8188..8190].copy_from_slice(&placeholders.to_le_bytes());
    made[8190..].copy_from_slice(&[0x82, 0xFF]);
    for (at, tuple) in (1..).zip(tuples) {
        add_item(&mut made, tuple, Place::Insert(at)).unwrap();
    }
    made
}

fn u16s(values: &[u16]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

fn state(is_build: bool) -> Vec<u8> {
    [&XID.to_le_bytes()[..], &[u8::from(is_build), 0, 0, 0]].concat()
}

fn new(id: u8, number: u32) -> BlockDraft {
    BlockDraft {
        will_init: true,
        ..block(id, number)
    }
}

fn redone(
    info: u8,
    main: &[u8],
    blocks: &[BlockDraft],
    id: u8,
    page: &Page,
) -> Result<Page, String> {
    let mut draft = draft(16, info, main);
    draft.blocks = blocks.to_vec();
    let mut page = *page;
    redo(&parse(&draft), Target::Block(id), &mut page, &CONTEXT)
        .map_err(|error| error.to_string())?;
    assert_eq!(pd_lsn(&page), END);
    Ok(page)
}

/// The page has the flags, counters and tuples of the other.
#[track_caller]
fn assert_same(page: &Page, expected: &Page) {
    let tuples = |page| {
        let all = 1..=max_offset_number(page);
        all.map(|at| item(page, at).unwrap().to_vec())
            .collect::<Vec<_>>()
    };
    assert_eq!(tuples(page), tuples(expected));
    assert_eq!(page[8184..], expected[8184..]);
}

fn add_leaf(new_page: bool, leaf_at: u16, head: u16, parent: u16, tuple: &[u8]) -> Vec<u8> {
    let flags = [u8::from(new_page), u8::from(new_page)];
    let offsets = u16s(&[leaf_at, head, parent, 1]);
    [&flags[..], &offsets, tuple].concat()
}

#[test]
fn leaf_tuple_begins_or_lengthens_a_chain() {
    let tuple = leaf(0, 9);
    let main = add_leaf(true, 1, 0, 2, &tuple);
    let blocks = [new(0, 7), block(1, 3)];
    let made = redone(ADD_LEAF, &main, &blocks, 0, &[1; BLCKSZ]).unwrap();
    assert_same(&made, &page_of(LEAF | NULLS, 0, 0, &[tuple]));

    let old = [inner(1, &[tid(1, 1)]), inner(2, &[tid(2, 2), tid(0, 0)])];
    let parent = page_of(INNER, 0, 0, &old);
    let linked = redone(ADD_LEAF, &main, &blocks, 1, &parent).unwrap();
    let expected = [old[0].clone(), inner(2, &[tid(2, 2), tid(7, 1)])];
    assert_same(&linked, &page_of(INNER, 0, 0, &expected));

    let before = page_of(LEAF, 0, 2, &[leaf(0, 1), placeholder(), placeholder()]);
    let main = add_leaf(false, 2, 1, 0, &leaf(0, 9));
    let after = redone(ADD_LEAF, &main, &[block(0, 7)], 0, &before).unwrap();
    let expected = [leaf(2, 1), leaf(0, 9), placeholder()];
    assert_same(&after, &page_of(LEAF, 0, 1, &expected));
}

#[test]
fn leaf_tuple_replaces_a_dead_one() {
    let dead = DeadTuple::Dead.to_bytes().to_vec();
    let before = page_of(LEAF, 0, 0, &[leaf(0, 1), dead, leaf(0, 3)]);
    let main = add_leaf(false, 2, 2, 0, &leaf(0, 9));
    let after = redone(ADD_LEAF, &main, &[block(0, 7)], 0, &before).unwrap();
    let expected = [leaf(0, 1), leaf(0, 9), leaf(0, 3)];
    assert_same(&after, &page_of(LEAF, 0, 0, &expected));
}

#[test]
fn chain_moves_and_leaves_a_redirect() {
    for is_build in [false, true] {
        // The chain's head is at 3, and its other tuple at 1.
        let main = [
            &u16s(&[2])[..],
            &[1, 0, 0, 0],
            &u16s(&[1, 0, 0]),
            &state(is_build),
            &u16s(&[3, 1]),
            &u16s(&[1, 2, 3]),
            &[leaf(0, 1), leaf(1, 9), leaf(2, 3)].concat(),
        ]
        .concat();
        let blocks = [block(0, 4), new(1, 5), block(2, 3)];
        let source = page_of(LEAF, 0, 0, &[leaf(0, 1), leaf(0, 2), leaf(1, 3)]);
        let after = redone(MOVE_LEAFS, &main, &blocks, 0, &source).unwrap();
        let (left, redirects) = match is_build {
            true => (placeholder(), 0),
            false => (redirect(5, 3), 1),
        };
        let expected = [placeholder(), leaf(0, 2), left];
        assert_same(&after, &page_of(LEAF, redirects, 2 - redirects, &expected));

        let dest = redone(MOVE_LEAFS, &main, &blocks, 1, &[0; BLCKSZ]).unwrap();
        let expected = [leaf(0, 1), leaf(1, 9), leaf(2, 3)];
        assert_same(&dest, &page_of(LEAF, 0, 0, &expected));

        let parent = page_of(INNER, 0, 0, &[inner(1, &[tid(4, 3)])]);
        let linked = redone(MOVE_LEAFS, &main, &blocks, 2, &parent).unwrap();
        assert_same(&linked, &page_of(INNER, 0, 0, &[inner(1, &[tid(5, 3)])]));
    }
}

fn add_node(new_at: u16, new_page: bool, parent_blk: u8, tuple: &[u8]) -> Vec<u8> {
    [
        &u16s(&[2, new_at])[..],
        &[u8::from(new_page), parent_blk],
        &u16s(&[1, 0, 0]),
        &state(false),
        tuple,
    ]
    .concat()
}

#[test]
fn inner_tuple_with_one_more_node_stays_or_moves() {
    let parent = inner(1, &[tid(3, 2)]);
    let linked = inner(1, &[tid(8, 2)]);
    let (small, big) = (inner(2, &[tid(5, 5)]), inner(2, &[tid(5, 5), tid(6, 6)]));
    let before = page_of(INNER, 0, 0, &[parent.clone(), small]);

    let main = add_node(0, false, 0xFF, &big);
    let after = redone(ADD_NODE, &main, &[block(0, 3)], 0, &before).unwrap();
    let expected = [parent.clone(), big.clone()];
    assert_same(&after, &page_of(INNER, 0, 0, &expected));

    let blocks = [block(0, 3), block(1, 8), block(2, 9)];
    for parent_blk in 0..3 {
        let main = add_node(2, false, parent_blk, &big);
        let at = |blk| if parent_blk == blk { &linked } else { &parent };
        let after = redone(ADD_NODE, &main, &blocks, 0, &before).unwrap();
        let expected = [at(0).clone(), redirect(8, 2)];
        assert_same(&after, &page_of(INNER, 1, 0, &expected));

        let target = page_of(INNER, 0, 1, &[parent.clone(), placeholder()]);
        let after = redone(ADD_NODE, &main, &blocks, 1, &target).unwrap();
        let expected = [at(1).clone(), big.clone()];
        assert_same(&after, &page_of(INNER, 0, 0, &expected));

        let third = page_of(INNER, 0, 0, std::slice::from_ref(&parent));
        let after = redone(ADD_NODE, &main, &blocks, 2, &third);
        assert_eq!(after.is_ok(), parent_blk == 2);
        if let Ok(after) = after {
            assert_same(&after, &page_of(INNER, 0, 0, std::slice::from_ref(&linked)));
        }
    }
}

#[test]
fn inner_tuple_is_split_on_one_page_or_two() {
    let (prefix, postfix) = (inner(3, &[tid(8, 1)]), inner(4, &[tid(5, 5), tid(6, 6)]));
    let before = page_of(INNER, 0, 1, &[inner(1, &[tid(5, 5)]), placeholder()]);
    let main = |at: u16, new_page: bool, same: bool| {
        let flags = [u8::from(new_page), u8::from(same)];
        [&u16s(&[1, at])[..], &flags, &prefix, &postfix].concat()
    };
    let same = redone(
        SPLIT_TUPLE,
        &main(2, false, true),
        &[block(0, 3)],
        0,
        &before,
    )
    .unwrap();
    assert_same(
        &same,
        &page_of(INNER, 0, 0, &[prefix.clone(), postfix.clone()]),
    );

    let blocks = [block(0, 3), new(1, 8)];
    let main = main(1, true, false);
    let first = redone(SPLIT_TUPLE, &main, &blocks, 0, &before).unwrap();
    assert_same(
        &first,
        &page_of(INNER, 0, 1, &[prefix.clone(), placeholder()]),
    );
    let second = redone(SPLIT_TUPLE, &main, &blocks, 1, &[0; BLCKSZ]).unwrap();
    assert_same(&second, &page_of(INNER, 0, 0, &[postfix]));
}

/// The second and third of three leaf tuples go to the destination page, which is new.
fn pick_split(root: bool, inner_is_parent: bool, delete: &[u16], tuple: &[u8]) -> Vec<u8> {
    let inner_at = if inner_is_parent { 2 } else { 1 };
    [
        &[u8::from(root), 0][..],
        &u16s(&[delete.len() as u16, 3]),
        &[0, 1],
        &u16s(&[inner_at]),
        &[u8::from(root), 0, u8::from(inner_is_parent), 0],
        &u16s(&[1, 0, 0]),
        &state(false),
        &u16s(delete),
        &u16s(&[1, 1, 2]),
        &[0, 1, 1],
        tuple,
        &[leaf(0, 1), leaf(0, 2), leaf(1, 3)].concat(),
    ]
    .concat()
}

#[test]
fn leaf_tuples_are_divided_among_nodes() {
    let tuple = inner(7, &[tid(4, 1), tid(5, 2)]);
    let main = pick_split(false, true, &[2, 1], &tuple);
    let blocks = [block(0, 4), new(1, 5), block(2, 3)];
    let source = page_of(LEAF, 0, 0, &[leaf(0, 2), leaf(1, 3), leaf(0, 4)]);
    let after = redone(PICKSPLIT, &main, &blocks, 0, &source).unwrap();
    let expected = [leaf(0, 1), redirect(3, 2), leaf(0, 4)];
    assert_same(&after, &page_of(LEAF, 1, 0, &expected));

    let dest = redone(PICKSPLIT, &main, &blocks, 1, &[0; BLCKSZ]).unwrap();
    assert_same(&dest, &page_of(LEAF, 0, 0, &[leaf(0, 2), leaf(1, 3)]));

    let page = page_of(INNER, 0, 0, &[inner(1, &[tid(4, 2)])]);
    let after = redone(PICKSPLIT, &main, &blocks, 2, &page).unwrap();
    let expected = [inner(1, &[tid(3, 2)]), tuple];
    assert_same(&after, &page_of(INNER, 0, 0, &expected));
    assert!(
        redone(
            PICKSPLIT,
            &main,
            &[block(0, 4), block(2, 3), block(4, 9)],
            4,
            &page
        )
        .is_err()
    );
}

#[test]
fn inner_tuple_is_linked_from_another_page() {
    let tuple = inner(7, &[tid(4, 1), tid(5, 2)]);
    let main = pick_split(false, false, &[2, 1], &tuple);
    let blocks = [block(0, 4), new(1, 5), block(2, 8), block(3, 3)];
    let parent = page_of(INNER, 0, 0, &[inner(1, &[tid(4, 2)])]);
    let after = redone(PICKSPLIT, &main, &blocks, 3, &parent).unwrap();
    assert_same(&after, &page_of(INNER, 0, 0, &[inner(1, &[tid(8, 1)])]));
}

#[test]
fn root_becomes_an_inner_page() {
    let tuple = inner(7, &[tid(5, 1), tid(5, 2)]);
    let main = pick_split(true, false, &[], &tuple);
    let blocks = [new(1, 5), new(2, 1)];
    let root = page_of(LEAF, 0, 0, &[leaf(0, 1)]);
    let after = redone(PICKSPLIT, &main, &blocks, 2, &root).unwrap();
    assert_same(&after, &page_of(INNER, 0, 0, &[tuple]));
    let with_source = [block(0, 4), new(1, 5), new(2, 1)];
    assert!(redone(PICKSPLIT, &main, &with_source, 0, &root).is_err());
}

#[test]
fn vacuum_thins_chains_out() {
    let main = [
        &u16s(&[1, 1, 1, 2])[..],
        &state(false),
        &u16s(&[1, 5, 4, 3, 3, 6, 6, 2]),
    ]
    .concat();
    let tuples: Vec<_> = (1..=6).map(|fill| leaf(0, fill)).collect();
    let before = page_of(LEAF, 0, 0, &tuples);
    let after = redone(VACUUM_LEAF, &main, &[block(0, 4)], 0, &before).unwrap();
    let expected = [
        DeadTuple::Dead.to_bytes().to_vec(),
        leaf(0, 2),
        leaf(6, 4),
        placeholder(),
        placeholder(),
        leaf(2, 6),
    ];
    assert_same(&after, &page_of(LEAF, 0, 2, &expected));
}

#[test]
fn vacuum_deletes_from_a_root() {
    let main = [&u16s(&[2, 0])[..], &state(false), &u16s(&[1, 3])].concat();
    let before = page_of(LEAF, 0, 0, &[leaf(0, 1), leaf(0, 2), leaf(0, 3)]);
    let after = redone(VACUUM_ROOT, &main, &[block(0, 1)], 0, &before).unwrap();
    assert_same(&after, &page_of(LEAF, 0, 0, &[leaf(0, 2)]));
}

#[test]
fn redirects_become_placeholders_and_those_at_the_end_go() {
    let main = [&u16s(&[2, 4])[..], &XID.to_le_bytes(), &u16s(&[2, 4])].concat();
    let tuples = [
        redirect(9, 9),
        redirect(9, 8),
        leaf(0, 3),
        redirect(9, 7),
        placeholder(),
    ];
    let before = page_of(LEAF, 3, 1, &tuples);
    let after = redone(VACUUM_REDIRECT, &main, &[block(0, 4)], 0, &before).unwrap();
    let mut emptied = placeholder();
    emptied[12..].copy_from_slice(&XID.to_le_bytes());
    let expected = [redirect(9, 9), emptied, leaf(0, 3)];
    assert_same(&after, &page_of(LEAF, 1, 1, &expected));

    let twice = [&u16s(&[2, 0])[..], &XID.to_le_bytes(), &u16s(&[2, 2])].concat();
    let error = redone(VACUUM_REDIRECT, &twice, &[block(0, 4)], 0, &before).unwrap_err();
    assert!(error.contains("tuple is no redirect"), "{error}");
}

#[test]
fn contradictions_are_refused() {
    let page = page_of(LEAF, 0, 0, &[leaf(0, 1), leaf(0, 2)]);
    let refused = |main: &[u8], reference: BlockDraft, page: &Page| {
        redone(ADD_LEAF, main, &[reference], 0, page).unwrap_err()
    };
    let cases = [
        (
            add_leaf(false, 1, 2, 0, &leaf(0, 9)),
            block(0, 7),
            "no placeholder",
        ),
        (
            add_leaf(true, 1, 0, 0, &leaf(0, 9)),
            block(0, 7),
            "disagree whether",
        ),
        (
            add_leaf(false, 1, 0, 0, &leaf(0, 9)),
            new(0, 7),
            "disagree whether",
        ),
        (
            add_leaf(false, 4, 0, 0, &leaf(0, 9)),
            block(0, 7),
            "gap of line pointers",
        ),
        (
            add_leaf(false, 3, 0, 0, &leaf(0, 9)[..23]),
            block(0, 7),
            "ends early",
        ),
        (
            add_leaf(false, 3, 0, 0, &[leaf(0, 9), vec![0]].concat()),
            block(0, 7),
            "goes on behind",
        ),
        (
            add_leaf(false, 3, 0, 0, &[0; 24]),
            block(0, 7),
            "shorter than its header",
        ),
    ];
    for (main, reference, expected) in cases {
        let error = refused(&main, reference, &page);
        assert!(error.contains(expected), "{error}");
    }
    let mut other = page;
    other[8190] = 0x83;
    let main = add_leaf(false, 3, 0, 0, &leaf(0, 9));
    let error = refused(&main, block(0, 7), &other);
    assert!(error.contains("none of an SP-GiST index"), "{error}");
}

#[test]
fn any_bytes_give_errors_at_worst() {
    let tuple = inner(7, &[tid(4, 1), tid(5, 2)]);
    let records = [
        (ADD_LEAF, add_leaf(false, 2, 1, 2, &leaf(0, 9))),
        (
            MOVE_LEAFS,
            [
                &[2, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0][..],
                &state(false),
                &u16s(&[3, 1, 1, 2, 3]),
                &leaf(0, 1).repeat(3),
            ]
            .concat(),
        ),
        (ADD_NODE, add_node(2, false, 0, &tuple)),
        (
            SPLIT_TUPLE,
            [&u16s(&[1, 2])[..], &[0, 1], &tuple, &tuple].concat(),
        ),
        (PICKSPLIT, pick_split(false, true, &[2, 1], &tuple)),
        (
            VACUUM_LEAF,
            [
                &u16s(&[1, 1, 1, 1])[..],
                &state(false),
                &u16s(&[1, 2, 3, 4, 5, 4]),
            ]
            .concat(),
        ),
        (
            VACUUM_ROOT,
            [&u16s(&[2, 0])[..], &state(false), &u16s(&[1, 3])].concat(),
        ),
        (VACUUM_REDIRECT, u16s(&[1, 3, 9, 0, 2])),
    ];
    let tuples = [tuple, redirect(1, 1), placeholder(), leaf(0, 4), leaf(0, 5)];
    let whole = page_of(INNER, 1, 1, &tuples);
    let blocks: Vec<_> = (0..4).map(|id| block(id, 10 + u32::from(id))).collect();
    let mut seed = 1u64;
    let mut number = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) as usize % below
    };
    for _ in 0..4000 {
        let (info, main) = &records[number(records.len())];
        let (mut main, mut page) = (main.clone(), whole);
        for _ in 0..number(3) {
            let at = number(main.len().min(60));
            main[at] = number(256) as u8;
        }
        for _ in 0..number(3) {
            let at = [12 + number(40), 7900 + number(292)][number(2)];
            page[at] = number(256) as u8;
        }
        main.truncate(main.len() - number(2) * number(8));
        let mut draft = draft(16, *info, &main);
        draft.blocks = blocks.clone();
        let record = parse(&draft);
        for id in 0..4 {
            let _ = redo(&record, Target::Block(id), &mut page.clone(), &CONTEXT);
        }
    }
}
