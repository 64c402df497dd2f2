//! Records made by hand, on pages made by hand.

use offshoot_layout::item::max_offset_number;
use offshoot_layout::page::{pd_lower, pd_lsn, pd_special, pd_upper};
use offshoot_layout::{BLCKSZ, Lsn, Page};
use offshoot_wal::generate::BlockDraft;

use super::page::{
    self, F_DELETED, F_FOLLOW_RIGHT, F_HAS_GARBAGE, F_LEAF, F_TUPLES_DELETED, GIST_ROOT_BLKNO,
    INVALID_BLOCK,
};
use crate::page_items::{Place, add_item, item};
use crate::test_record::{CONTEXT, END, block, draft, parse, u32s, with_image};
use crate::{Outcome, Target, redo};

const RM_GIST: u8 = 14;
const PAGE_UPDATE: u8 = 0x00;
const DELETE: u8 = 0x10;
const PAGE_SPLIT: u8 = 0x30;
const PAGE_DELETE: u8 = 0x60;
const NSN: Lsn = Lsn(0x0000_0002_0000_0003);

/// An index tuple of `size` bytes.
fn tuple(fill: u8, size: usize) -> Vec<u8> {
    let mut tuple = vec![fill; size];
    tuple[6..8].copy_from_slice(&(size as u16 | 0x4000).to_le_bytes());
    tuple
}

fn page_of(flags: u16, tuples: &[Vec<u8>]) -> Page {
    let mut made = [0; BLCKSZ];
    page::init(&mut made, flags);
    for (at, bytes) in (1..).zip(tuples) {
        add_item(&mut made, bytes, Place::Insert(at)).unwrap();
    }
    made
}

fn items(page: &Page) -> Vec<Vec<u8>> {
    let all = 1..=max_offset_number(page);
    all.map(|at| item(page, at).unwrap().to_vec()).collect()
}

/// NSN, right link and flags.
fn opaque(page: &Page) -> (Lsn, u32, u16) {
    let word = |at| u32::from_le_bytes(page[at..at + 4].try_into().unwrap());
    let special = usize::from(pd_special(page));
    let nsn = Lsn(u64::from(word(special)) << 32 | u64::from(word(special + 4)));
    (nsn, word(special + 8), page::flags(page))
}

fn offsets(numbers: &[u16]) -> Vec<u8> {
    numbers.iter().flat_map(|at| at.to_le_bytes()).collect()
}

fn with_data(block: BlockDraft, data: Vec<u8>) -> BlockDraft {
    BlockDraft { data, ..block }
}

/// Redo of one of the blocks.
fn redo_block(
    info: u8,
    main: &[u8],
    blocks: Vec<BlockDraft>,
    id: u8,
    page: &mut Page,
) -> Result<(), String> {
    let mut draft = draft(RM_GIST, info, main);
    draft.blocks = blocks;
    let outcome = redo(&parse(&draft), Target::Block(id), page, &CONTEXT);
    let outcome = outcome.map_err(|error| error.to_string())?;
    assert_eq!((outcome, pd_lsn(page)), (Outcome::Applied, END));
    Ok(())
}

fn update(deleted: &[u16], inserted: &[Vec<u8>], page: &mut Page) -> Result<(), String> {
    let main = offsets(&[deleted.len() as u16, inserted.len() as u16]);
    let data = [offsets(deleted), inserted.concat()].concat();
    redo_block(
        PAGE_UPDATE,
        &main,
        vec![with_data(block(0, 3), data)],
        0,
        page,
    )
}

#[test]
fn update_deletes_and_appends() {
    let all: Vec<_> = (1..=5)
        .map(|fill| tuple(fill, 16 * usize::from(fill)))
        .collect();
    let new = [tuple(8, 24), tuple(9, 16)];
    // Offset numbers deleted, how many of the new tuples come, which of the old ones stay.
    let cases = [
        (vec![], 2, vec![0, 1, 2, 3, 4]),
        (vec![1, 3, 5], 0, vec![1, 3]),
        (vec![2], 2, vec![0, 2, 3, 4]),
        (vec![4, 5], 1, vec![0, 1, 2]),
        (vec![1, 2, 3, 4, 5], 2, vec![]),
    ];
    for (deleted, inserted, kept) in cases {
        let inserted = &new[..inserted];
        for leaf in [0, F_LEAF] {
            let mut page = page_of(leaf, &all);
            update(&deleted, inserted, &mut page).unwrap();
            let kept = kept.iter().map(|&at: &usize| &all[at]);
            let expected: Vec<_> = kept.chain(inserted).cloned().collect();
            assert_eq!(items(&page), expected);
            let marked = leaf != 0 && !deleted.is_empty();
            let flags = leaf | if marked { F_TUPLES_DELETED } else { 0 };
            assert_eq!(page::flags(&page), flags);
        }
    }
}

#[test]
fn one_for_one_is_replaced_where_it_is() {
    let mut page = page_of(F_LEAF, &[tuple(1, 16), tuple(2, 16), tuple(3, 16)]);
    update(&[2], &[tuple(9, 32)], &mut page).unwrap();
    assert_eq!(items(&page), [tuple(1, 16), tuple(9, 32), tuple(3, 16)]);
    // Deleted by overwriting, not by VACUUM.
    assert_eq!(page::flags(&page), F_LEAF);
    let upper = usize::from(pd_upper(&page));
    assert_eq!(page[upper..upper + 16], tuple(3, 16));
}

/// The image of a child is of before the record is written.
#[test]
fn child_of_a_split_is_changed_even_after_its_image() {
    let before = page_of(F_LEAF | F_FOLLOW_RIGHT, &[tuple(1, 16)]);
    for (info, id) in [(PAGE_UPDATE, 1), (PAGE_SPLIT, 0)] {
        let plain = block(id, 4);
        let pages = [
            (plain.clone(), before),
            (with_image(plain, &before, true), [0; BLCKSZ]),
        ];
        for (reference, mut page) in pages {
            redo_block(info, &[0; 24], vec![reference], id, &mut page).unwrap();
            assert_eq!(opaque(&page), (END, INVALID_BLOCK, F_LEAF));
            assert_eq!(items(&page), [tuple(1, 16)]);
        }
    }
}

/// Main data of a split of `npage` pages; what was to the right is block 77.
fn split(leaf: bool, npage: u16, follow_right: bool) -> Vec<u8> {
    let flags = [leaf.into(), 0, npage as u8, 0, follow_right.into(), 0, 0, 0];
    [&u32s(&[77, 0])[..], &NSN.0.to_le_bytes(), &flags].concat()
}

fn split_page(id: u8, number: u32, tuples: &[Vec<u8>]) -> BlockDraft {
    let data = [u32s(&[tuples.len() as u32]), tuples.concat()].concat();
    BlockDraft {
        will_init: true,
        ..with_data(block(id, number), data)
    }
}

#[test]
fn split_builds_pages_that_are_linked() {
    let tuples = [tuple(1, 16), tuple(2, 40)];
    // Blocks; right link and flags of each page of a leaf's split.
    let follow = F_LEAF | F_FOLLOW_RIGHT;
    let cases = [
        ([5, 9, 8], true, [(9, follow), (8, follow), (77, F_LEAF)]),
        ([5, 9, 8], false, [(9, F_LEAF), (8, F_LEAF), (77, F_LEAF)]),
        (
            [GIST_ROOT_BLKNO, 9, 8],
            true,
            [(INVALID_BLOCK, 0), (8, F_LEAF), (77, F_LEAF)],
        ),
    ];
    for (numbers, follow_right, expected) in cases {
        for leaf in [true, false] {
            let blocks: Vec<_> = (1..)
                .zip(numbers)
                .map(|(id, number)| split_page(id, number, &tuples))
                .collect();
            for (id, (rightlink, flags)) in (1..).zip(expected) {
                let mut page = [7; BLCKSZ];
                let main = split(leaf, 3, follow_right);
                redo_block(PAGE_SPLIT, &main, blocks.clone(), id, &mut page).unwrap();
                let flags = if leaf { flags } else { flags & !F_LEAF };
                assert_eq!(opaque(&page), (NSN, rightlink, flags));
                assert_eq!(items(&page), tuples);
            }
        }
    }
}

#[test]
fn delete_leaves_the_flag_that_the_writer_leaves() {
    let all: Vec<_> = (1..=4).map(|fill| tuple(fill, 16)).collect();
    for flag in [0, F_TUPLES_DELETED] {
        let mut page = page_of(F_LEAF | F_HAS_GARBAGE | flag, &all);
        let main = [u32s(&[700]), offsets(&[3, 1, 2, 4])].concat();
        redo_block(DELETE, &main, vec![block(0, 3)], 0, &mut page).unwrap();
        assert_eq!(items(&page), [tuple(3, 16)]);
        assert_eq!(page::flags(&page), F_LEAF | flag);
    }
}

#[test]
fn page_delete_marks_the_leaf_and_takes_its_downlink() {
    let main = [&0x0001_0000_02BCu64.to_le_bytes()[..], &offsets(&[2])].concat();
    let blocks = vec![block(0, 3), block(1, 0)];
    let mut leaf = page_of(F_LEAF, &[]);
    page::set_rightlink(&mut leaf, 8);
    redo_block(PAGE_DELETE, &main, blocks.clone(), 0, &mut leaf).unwrap();
    assert_eq!(opaque(&leaf), (Lsn(0), 8, F_LEAF | F_DELETED));
    assert_eq!(pd_lower(&leaf), 32);
    assert_eq!(leaf[24..32], main[..8]);
    let mut parent = page_of(0, &[tuple(1, 16), tuple(2, 16), tuple(3, 16)]);
    redo_block(PAGE_DELETE, &main, blocks.clone(), 1, &mut parent).unwrap();
    assert_eq!(items(&parent), [tuple(1, 16), tuple(3, 16)]);
    let mut full = page_of(F_LEAF, &[tuple(1, 16)]);
    let error = redo_block(PAGE_DELETE, &main, blocks, 0, &mut full).unwrap_err();
    assert!(error.contains("not empty"), "{error}");
}

#[test]
fn what_contradicts_itself_is_refused() {
    let page = page_of(F_LEAF, &[tuple(1, 16)]);
    let short = [tuple(1, 8), vec![0; 8]].concat();
    let cases = [
        (
            PAGE_UPDATE,
            offsets(&[0, 2]),
            tuple(1, 16),
            "fewer index tuples",
        ),
        (
            PAGE_UPDATE,
            offsets(&[0, 1]),
            vec![0; 8],
            "shorter than its header",
        ),
        (
            PAGE_UPDATE,
            offsets(&[0, 1]),
            tuple(1, 16)[..12].to_vec(),
            "beyond its data",
        ),
        (PAGE_UPDATE, offsets(&[0, 1]), short, "behind the last"),
        (
            PAGE_UPDATE,
            offsets(&[409, 0]),
            vec![0; 900],
            "more items than a page has",
        ),
        (PAGE_UPDATE, offsets(&[2, 0]), offsets(&[1]), "ends early"),
        (PAGE_UPDATE, offsets(&[1, 0]), offsets(&[2]), "no such item"),
        (PAGE_UPDATE, offsets(&[0]), vec![1], "ends early"),
        (DELETE, vec![0; 5], vec![1], "ends early"),
        (PAGE_DELETE, vec![0; 9], vec![1], "ends early"),
    ];
    for (info, main, data, expected) in cases {
        let blocks = vec![with_data(block(0, 3), data)];
        let error = redo_block(info, &main, blocks, 0, &mut { page }).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
    let mut heap = [0; BLCKSZ];
    offshoot_layout::page::init(&mut heap, 0);
    let error = update(&[], &[tuple(1, 16)], &mut heap).unwrap_err();
    assert!(error.contains("not a page of a GiST index"), "{error}");
}

#[test]
fn splits_that_cannot_be_are_refused() {
    let tuples = [tuple(1, 16)];
    let old = BlockDraft {
        will_init: false,
        ..split_page(1, 5, &tuples)
    };
    let too_many = vec![tuple(1, 4096); 2];
    let cases = [
        (
            vec![split_page(1, 5, &tuples)],
            2,
            "page of the split is missing",
        ),
        (
            vec![split_page(2, GIST_ROOT_BLKNO, &tuples)],
            2,
            "not the first page",
        ),
        (vec![split_page(3, 5, &tuples)], 2, "more block references"),
        (vec![old], 1, "not built anew"),
        (vec![split_page(1, 5, &too_many)], 1, "no room"),
    ];
    for (blocks, npage, expected) in cases {
        let (main, id) = (split(true, npage, true), blocks[0].id);
        let page = page_of(F_LEAF, &[]);
        let error = redo_block(PAGE_SPLIT, &main, blocks, id, &mut { page }).unwrap_err();
        assert!(error.contains(expected), "{error}");
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
        let info = [PAGE_UPDATE, DELETE, PAGE_SPLIT, PAGE_DELETE][round % 4];
        let mut main = match info {
            PAGE_UPDATE => offsets(&[2, 2]),
            PAGE_SPLIT => split(true, 2, true),
            _ => vec![0; 10],
        };
        let mut data = [offsets(&[1, 2]), tuple(3, 24), tuple(4, 40)].concat();
        let mut page = page_of(F_LEAF, &[tuple(1, 16), tuple(2, 32), tuple(3, 24)]);
        let (at, byte) = (next() % main.len(), next() as u8);
        main[at] = byte;
        let (at, byte) = (next() % data.len(), next() as u8);
        data[at] = byte;
        let (at, byte) = (10 + next() % 30, next() as u8);
        page[at] = byte;
        let mut draft = draft(RM_GIST, info, &main);
        let will_init = info == PAGE_SPLIT;
        draft.blocks = (0..3)
            .map(|id| with_data(block(id, 3 + u32::from(id)), data.clone()))
            .map(|block| BlockDraft { will_init, ..block })
            .collect();
        let record = parse(&draft);
        for id in 0..3 {
            let _ = redo(&record, Target::Block(id), &mut { page }, &CONTEXT);
        }
    }
}
