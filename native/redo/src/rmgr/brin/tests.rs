//! Records made by hand, on pages made by hand.

use offshoot_layout::item::{item_id, max_offset_number};
use offshoot_layout::page::{pd_lower, pd_lsn, set_pd_lower};
use offshoot_layout::tid::Tid;
use offshoot_layout::{BLCKSZ, Page};
use offshoot_wal::generate::BlockDraft;

use super::page::{self, INVALID_TID, PageType};
use crate::page_items::{Place, add_item, item};
use crate::test_record::{CONTEXT, END, block, draft, parse, u32s};
use crate::{Outcome, Target, redo};

const RM_BRIN: u8 = 17;
const CREATE_INDEX: u8 = 0x00;
const INSERT: u8 = 0x10;
const UPDATE: u8 = 0x20;
const SAMEPAGE_UPDATE: u8 = 0x30;
const REVMAP_EXTEND: u8 = 0x40;
const DESUMMARIZE: u8 = 0x50;
const INIT_PAGE: u8 = 0x80;

fn empty(page_type: PageType) -> Page {
    let mut made = [0; BLCKSZ];
    page::init(&mut made, page_type);
    made
}

fn regular(tuples: &[&[u8]]) -> Page {
    let mut made = empty(PageType::Regular);
    for (at, bytes) in (1..).zip(tuples) {
        add_item(&mut made, bytes, Place::Overwrite(at)).unwrap();
    }
    made
}

fn items(page: &Page) -> Vec<&[u8]> {
    let all = 1..=max_offset_number(page);
    all.map(|at| item(page, at).unwrap()).collect()
}

fn tid(page: &Page, index: usize) -> Tid {
    Tid::read(page, 24 + 6 * index).unwrap()
}

/// Numbers of 32 bits, then one of 16.
fn main_data(words: &[u32], last: u16) -> Vec<u8> {
    [u32s(words), last.to_le_bytes().to_vec()].concat()
}

fn with_data(block: BlockDraft, data: &[u8]) -> BlockDraft {
    BlockDraft {
        data: data.to_vec(),
        ..block
    }
}

fn new(block: BlockDraft) -> BlockDraft {
    BlockDraft {
        will_init: true,
        ..block
    }
}

/// Redo of one of the blocks.
fn redo_block(
    info: u8,
    main: &[u8],
    blocks: &[BlockDraft],
    id: u8,
    page: &mut Page,
) -> Result<(), String> {
    let mut draft = draft(RM_BRIN, info, main);
    draft.blocks = blocks.to_vec();
    let outcome = redo(&parse(&draft), Target::Block(id), page, &CONTEXT);
    let outcome = outcome.map_err(|error| error.to_string())?;
    assert_eq!((outcome, pd_lsn(page)), (Outcome::Applied, END));
    Ok(())
}

#[test]
fn metapage_is_made_and_told_of_revmap_pages() {
    let mut page = [7; BLCKSZ];
    let main = main_data(&[128], 1);
    redo_block(CREATE_INDEX, &main, &[new(block(0, 0))], 0, &mut page).unwrap();
    assert_eq!(page[24..40], u32s(&[0xA810_9CFA, 1, 128, 0]));
    assert_eq!(
        (pd_lower(&page), &page[8184..]),
        (40, &[0, 0, 0, 0, 0, 0, 0x91, 0xF0][..])
    );
    // As Postgres before 11 left it.
    set_pd_lower(&mut page, 24);
    offshoot_layout::page::set_pd_lsn(&mut page, offshoot_layout::Lsn(8));
    let blocks = [block(0, 0), new(block(1, 2))];
    redo_block(REVMAP_EXTEND, &u32s(&[2]), &blocks, 0, &mut page).unwrap();
    assert_eq!(page[24..40], u32s(&[0xA810_9CFA, 1, 128, 2]));
    assert_eq!(pd_lower(&page), 40);
    let mut revmap = regular(&[b"gone"]);
    redo_block(REVMAP_EXTEND, &u32s(&[2]), &blocks, 1, &mut revmap).unwrap();
    let mut expected = empty(PageType::Revmap);
    offshoot_layout::page::set_pd_lsn(&mut expected, END);
    assert!(revmap == expected);
}

#[test]
fn insert_adds_the_tuple_and_its_place_in_the_revmap() {
    let tuple = b"a tuple of a range".as_slice();
    // The second revmap page: ranges of 4 pages, 1360 to a page.
    let main = main_data(&[4 * 1363, 4], 2);
    let blocks = [with_data(block(0, 0x0002_0003), tuple), block(1, 2)];
    let mut page = regular(&[b"one"]);
    redo_block(INSERT, &main, &blocks, 0, &mut page).unwrap();
    assert_eq!(items(&page), [b"one", tuple]);
    let mut revmap = empty(PageType::Revmap);
    redo_block(INSERT, &main, &blocks, 1, &mut revmap).unwrap();
    let (block_number, offset) = (0x0002_0003, 2);
    assert_eq!(
        tid(&revmap, 3),
        Tid {
            block: block_number,
            offset
        }
    );
    let others = (0..1360).filter(|index| *index != 3);
    assert!(
        others
            .map(|index| tid(&revmap, index))
            .all(|tid| tid.offset == 0)
    );

    let blocks = [new(with_data(block(0, 3), tuple)), block(1, 2)];
    let mut page = [7; BLCKSZ];
    redo_block(
        INSERT | INIT_PAGE,
        &main_data(&[0, 4], 1),
        &blocks,
        0,
        &mut page,
    )
    .unwrap();
    assert_eq!(items(&page), [tuple]);
    assert_eq!(page[8190..], [0x93, 0xF0]);
}

#[test]
fn update_moves_the_tuple() {
    let tuple = b"longer than it was".as_slice();
    let main = [u32s(&[1]), main_data(&[9, 1], 2)].concat();
    let blocks = [with_data(block(0, 5), tuple), block(1, 1), block(2, 4)];
    let mut page = regular(&[b"one"]);
    redo_block(UPDATE, &main, &blocks, 0, &mut page).unwrap();
    assert_eq!(items(&page), [b"one", tuple]);
    let mut revmap = empty(PageType::Revmap);
    redo_block(UPDATE, &main, &blocks, 1, &mut revmap).unwrap();
    assert_eq!(
        tid(&revmap, 9),
        Tid {
            block: 5,
            offset: 2
        }
    );
    let mut old = regular(&[b"was here", b"stays"]);
    redo_block(UPDATE, &main, &blocks, 2, &mut old).unwrap();
    assert_eq!(items(&old), [&b""[..], b"stays"]);
    // The line pointer that is free now is used again.
    offshoot_layout::page::set_pd_lsn(&mut old, offshoot_layout::Lsn(8));
    let blocks = [with_data(block(0, 4), tuple), block(1, 1)];
    redo_block(INSERT, &main_data(&[0, 1], 1), &blocks, 0, &mut old).unwrap();
    assert_eq!(items(&old), [tuple, b"stays"]);
}

#[test]
fn samepage_update_replaces_the_tuple() {
    for tuple in [
        &b"a much longer tuple than before"[..],
        b"less",
        b"the same",
    ] {
        let mut page = regular(&[b"one", b"tuple 2.", b"three"]);
        let blocks = [with_data(block(0, 5), tuple)];
        redo_block(SAMEPAGE_UPDATE, &2u16.to_le_bytes(), &blocks, 0, &mut page).unwrap();
        assert_eq!(items(&page), [b"one", tuple, b"three"]);
    }
}

#[test]
fn desummarize_leaves_the_line_pointers_of_others() {
    let blocks = [block(0, 1), block(1, 5)];
    let mut revmap = empty(PageType::Revmap);
    page::set_heap_block_tid(
        &mut revmap,
        2,
        7,
        Tid {
            block: 5,
            offset: 1,
        },
    )
    .unwrap();
    let main = main_data(&[2, 6], 1);
    redo_block(DESUMMARIZE, &main, &blocks, 0, &mut revmap).unwrap();
    assert_eq!(tid(&revmap, 3), INVALID_TID);
    let mut page = regular(&[b"one", b"two"]);
    redo_block(DESUMMARIZE, &main, &blocks, 1, &mut page).unwrap();
    assert_eq!(items(&page), [&b""[..], b"two"]);
    assert_eq!(item_id(&page, 1), Some(Default::default()));
}

#[test]
fn what_contradicts_itself_is_refused() {
    let (meta, revmap) = (empty(PageType::Meta), empty(PageType::Revmap));
    let page = regular(&[b"one"]);
    let insert = main_data(&[9, 1], 1);
    let no_range = main_data(&[9, 0], 2);
    let tuple = with_data(block(0, 5), b"tuple");
    let cases = [
        (INSERT, &insert, tuple.clone(), page, "place is taken"),
        (INSERT, &insert, tuple.clone(), revmap, "not a regular page"),
        (
            INSERT,
            &insert,
            new(tuple.clone()),
            page,
            "differ on whether",
        ),
        (
            INSERT | INIT_PAGE,
            &insert,
            tuple.clone(),
            page,
            "differ on whether",
        ),
        (INSERT, &no_range, block(1, 1), revmap, "tuple is missing"),
        (INSERT, &insert, block(2, 1), page, "more block references"),
        (UPDATE, &vec![0; 13], block(2, 1), page, "ends early"),
        (UPDATE, &vec![0; 14], block(2, 1), page, "no such item"),
        (
            SAMEPAGE_UPDATE,
            &vec![2, 0],
            tuple.clone(),
            page,
            "no such item",
        ),
        (
            CREATE_INDEX,
            &vec![0; 6],
            block(0, 0),
            meta,
            "differ on whether",
        ),
        (
            CREATE_INDEX,
            &vec![0; 5],
            new(block(0, 0)),
            meta,
            "ends early",
        ),
        (
            REVMAP_EXTEND,
            &vec![0; 4],
            block(0, 0),
            page,
            "not the metapage",
        ),
        (
            REVMAP_EXTEND,
            &vec![0; 4],
            block(1, 0),
            page,
            "differ on whether",
        ),
        (
            DESUMMARIZE,
            &vec![0; 10],
            block(0, 0),
            revmap,
            "ranges of no pages",
        ),
        (DESUMMARIZE, &insert, block(0, 0), page, "not a revmap page"),
        (
            DESUMMARIZE,
            &insert,
            block(1, 0),
            revmap,
            "not a regular page",
        ),
    ];
    for (info, main, reference, mut page, expected) in cases {
        let id = reference.id;
        let error = redo_block(info, main, &[reference], id, &mut page).unwrap_err();
        assert!(error.contains(expected), "{error}, not {expected}");
    }
}

#[test]
fn no_bytes_make_a_panic() {
    let mut seed = 1u64;
    let mut next = move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) as usize
    };
    for round in 0..20_000 {
        let info = [INSERT, UPDATE, SAMEPAGE_UPDATE, DESUMMARIZE][round % 4];
        let mut main = [1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0];
        let mut page = regular(&[b"one", b"two and more", b"three"]);
        let (at, byte) = (next() % main.len(), next() as u8);
        main[at] = byte;
        let (at, byte) = (10 + next() % 30, next() as u8);
        page[at] = byte;
        let mut draft = draft(RM_BRIN, info, &main);
        draft.blocks = (0..3).map(|id| with_data(block(id, 3), b"tuple")).collect();
        let record = parse(&draft);
        for id in 0..3 {
            let _ = redo(&record, Target::Block(id), &mut { page }, &CONTEXT);
        }
    }
}
