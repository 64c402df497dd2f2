//! Records of GIN on pages made by hand; what Postgres writes is compared by the oracle.

use offshoot_layout::page::{pd_lower, pd_lsn, pd_prune_xid, set_pd_lower};
use offshoot_layout::tid::Tid;
use offshoot_layout::{BLCKSZ, Page};
use offshoot_wal::Record;

use super::page::*;
use super::posting_list::{TidItems, write_segment};
use crate::page_items::{Place, add_item, item};
use crate::test_record::{CONTEXT, END, block, draft, parse, u32s};
use crate::{RedoError, Target, redo};

const CREATE_PTREE: u8 = 0x10;
const INSERT: u8 = 0x20;
const SPLIT: u8 = 0x30;
const DELETE_PAGE: u8 = 0x50;
const UPDATE_META_PAGE: u8 = 0x60;
const INSERT_LISTPAGE: u8 = 0x70;
const DELETE_LISTPAGE: u8 = 0x80;
const VACUUM_DATA_LEAF_PAGE: u8 = 0x90;
const META_BYTES: [u8; 56] = [7; 56];

/// A record with blocks 0 to 3, of which `id` has this data.
fn record(opcode: u8, main: &[u8], id: u8, data: &[u8]) -> Record {
    let mut draft = draft(13, opcode, main);
    draft.blocks = (0..4).map(|id| block(id, u32::from(id))).collect();
    draft.blocks[usize::from(id)].data = data.to_vec();
    parse(&draft)
}

fn apply(opcode: u8, main: &[u8], id: u8, data: &[u8], page: &mut Page) -> Result<(), RedoError> {
    let record = record(opcode, main, id, data);
    redo(&record, Target::Block(id), page, &CONTEXT).map(|_| ())
}

fn made(flags: u16) -> Page {
    let mut page = [0; BLCKSZ];
    init(&mut page, flags);
    page
}

fn tids(offsets: &[u16]) -> Vec<u8> {
    let tid = |&offset: &u16| Tid { block: 5, offset }.to_bytes();
    offsets.iter().flat_map(tid).collect()
}

fn segment(offsets: &[u16]) -> Vec<u8> {
    let mut out = [0; 100];
    let size = write_segment(TidItems::new(&tids(offsets)), &mut out).unwrap();
    out[..size].to_vec()
}

fn leaf(segments: &[&[u16]]) -> Page {
    let mut page = made(DATA | LEAF | COMPRESSED);
    let bytes: Vec<u8> = segments.iter().flat_map(|items| segment(items)).collect();
    page[32..32 + bytes.len()].copy_from_slice(&bytes);
    set_data_size(&mut page, bytes.len());
    page
}

/// Whether a leaf holds just these segments.
fn holds(page: &Page, segments: &[&[u16]]) -> bool {
    let expected: Vec<u8> = segments.iter().flat_map(|items| segment(items)).collect();
    page[32..usize::from(pd_lower(page))] == expected && pd_lsn(page) == END
}

fn posting_item(child: u8) -> [u8; 10] {
    [0, 0, child, 0, 0, 0, 9, 0, child, 0]
}

fn internal(children: &[u8]) -> Page {
    let mut page = made(DATA);
    let bytes: Vec<u8> = children
        .iter()
        .flat_map(|child| posting_item(*child))
        .collect();
    page[32..32 + bytes.len()].copy_from_slice(&bytes);
    set_maxoff(&mut page, children.len() as u16);
    set_data_size(&mut page, bytes.len());
    page
}

fn index_tuple(child: u8, size: u8) -> Vec<u8> {
    let mut tuple = vec![child; usize::from(size)];
    tuple[..8].copy_from_slice(&[0, 0, child, 0, 0, 0, size, 0]);
    tuple
}

/// Actions on segments: their number, then what follows it.
fn actions(list: &[(u8, u8, Vec<u8>)]) -> Vec<u8> {
    let mut data = (list.len() as u16).to_le_bytes().to_vec();
    for (segno, action, rest) in list {
        data.extend([*segno, *action]);
        data.extend(rest);
    }
    data
}

fn counted(offsets: &[u16]) -> Vec<u8> {
    let mut data = (offsets.len() as u16).to_le_bytes().to_vec();
    data.extend(tids(offsets));
    data
}

#[test]
fn segments_are_deleted_inserted_replaced_and_added_to() {
    let old: [&[u16]; 5] = [&[1, 2], &[10, 12], &[20], &[30], &[40, 41, 42]];
    let data = actions(&[
        (1, 2, segment(&[5])),
        (1, 4, counted(&[11, 13])),
        (2, 1, vec![]),
        (3, 3, segment(&[31, 32])),
        (5, 2, segment(&[50])),
    ]);
    let new: [&[u16]; 6] = [
        &[1, 2],
        &[5],
        &[10, 11, 12, 13],
        &[31, 32],
        &[40, 41, 42],
        &[50],
    ];
    for (opcode, main) in [(INSERT, &[3, 0][..]), (VACUUM_DATA_LEAF_PAGE, &[])] {
        let mut page = leaf(&old);
        apply(opcode, main, 0, &data, &mut page).unwrap();
        assert!(holds(&page, &new));
    }
}

#[test]
fn leaf_of_before_9_4_becomes_one_segment() {
    let mut page = made(DATA | LEAF);
    page[32..50].copy_from_slice(&tids(&[3, 4, 600]));
    set_maxoff(&mut page, 3);
    let data = actions(&[(0, 4, counted(&[5]))]);
    apply(INSERT, &[3, 0], 0, &data, &mut page).unwrap();
    assert!(holds(&page, &[&[3, 4, 5, 600]]));
    assert_eq!((flags(&page), maxoff(&page)), (DATA | LEAF | COMPRESSED, 0));
    let mut empty = made(DATA | LEAF);
    let data = actions(&[(0, 2, segment(&[5]))]);
    apply(INSERT, &[3, 0], 0, &data, &mut empty).unwrap();
    assert!(holds(&empty, &[&[5]]));
}

#[test]
fn actions_that_do_not_fit_the_leaf_are_refused() {
    let cases = [
        vec![(0, 5, vec![])],
        vec![(2, 1, vec![])],
        vec![(2, 4, counted(&[7]))],
        vec![(3, 2, segment(&[7]))],
        vec![(1, 1, vec![]), (0, 1, vec![])],
        vec![(0, 2, vec![0; 7])],
        vec![(0, 1, vec![0])],
        vec![(0, 4, counted(&[7, 6]))],
        vec![(
            0,
            2,
            [vec![0; 6], vec![0xFF, 0x1F], vec![1; 0x2000]].concat(),
        )],
    ];
    for case in cases {
        let mut page = leaf(&[&[1, 2], &[4]]);
        assert!(
            apply(INSERT, &[3, 0], 0, &actions(&case), &mut page).is_err(),
            "{case:?}"
        );
    }
}

#[test]
fn posting_items_come_and_go() {
    let mut page = internal(&[1, 2, 3]);
    // Child 2 has been split: 9 is its left half now, and 8 its right one.
    let main = [1, 0, 0, 0, 9, 0, 0, 0, 8, 0];
    let data = [&[2, 0][..], &posting_item(9)].concat();
    apply(INSERT, &main, 0, &data, &mut page).unwrap();
    let mut expected = [
        posting_item(1),
        posting_item(9),
        posting_item(2),
        posting_item(3),
    ];
    expected[2][2] = 8;
    assert_eq!(page[32..72], *expected.as_flattened());
    assert_eq!((maxoff(&page), pd_lower(&page)), (4, 72));
    let delete = [2, 0, 0, 0, 77, 0, 0, 0, 5, 0, 0, 0];
    page[..8].fill(0);
    apply(DELETE_PAGE, &delete, 1, &[], &mut page).unwrap();
    assert_eq!((maxoff(&page), pd_lower(&page)), (3, 62));
    assert_eq!(page[42..62], *expected[2..].as_flattened());
    for offset in [0, 4] {
        let mut page = internal(&[1, 2, 3]);
        let data = [&[offset, 0][..], &posting_item(9)].concat();
        assert!(apply(INSERT, &main, 0, &data, &mut page).is_err());
    }
}

#[test]
fn page_of_a_posting_tree_is_deleted() {
    let delete = [2, 0, 0, 0, 77, 0, 0, 0, 5, 1, 0, 0];
    let mut page = leaf(&[]);
    apply(DELETE_PAGE, &delete, 0, &[], &mut page).unwrap();
    assert_eq!((flags(&page), pd_prune_xid(&page)), (0x87, 0x105));
    let mut left = leaf(&[]);
    apply(DELETE_PAGE, &delete, 2, &[], &mut left).unwrap();
    assert_eq!(left[SPECIAL..SPECIAL + 4], [77, 0, 0, 0]);
    assert!(apply(DELETE_PAGE, &delete, 3, &[], &mut leaf(&[])).is_err());
}

#[test]
fn entry_takes_the_place_of_another_or_leads_to_a_split_page() {
    let mut page = made(LEAF);
    add_item(&mut page, &index_tuple(1, 16), Place::Insert(1)).unwrap();
    let mut upper = page;
    set_flags(&mut upper, 0);
    let data = [&[1, 0, 1, 0][..], &index_tuple(2, 24)].concat();
    apply(INSERT, &[2, 0], 0, &data, &mut page).unwrap();
    assert_eq!(item(&page, 1).unwrap(), index_tuple(2, 24));
    assert_eq!(pd_lower(&page), 28);
    let data = [&[1, 0, 0, 0][..], &index_tuple(3, 24)].concat();
    let main = [0, 0, 0, 0, 3, 0, 0, 0, 4, 0];
    apply(INSERT, &main, 0, &data, &mut upper).unwrap();
    assert_eq!(item(&upper, 1).unwrap(), index_tuple(3, 24));
    assert_eq!(item(&upper, 2).unwrap()[..6], [0, 0, 4, 0, 0, 0]);
}

#[test]
fn child_of_an_internal_page_is_done_with_its_split() {
    let internal = [1, 0, 0, 0, 9, 0, 0, 0, 8, 0];
    let (mut split, mut leaf_split) = ([0; 28], [0; 28]);
    (split[24], leaf_split[24]) = (1, 2);
    let kind = DATA | LEAF | COMPRESSED;
    for (opcode, main, id, right) in [
        (INSERT, &internal[..], 1, true),
        (INSERT, &[3, 0], 1, false),
        (SPLIT, &split, 3, true),
        (SPLIT, &leaf_split, 3, false),
        (SPLIT, &split, 0, false),
    ] {
        let mut page = made(kind | INCOMPLETE_SPLIT);
        assert_eq!(apply(opcode, main, id, &[], &mut page).is_ok(), right);
        assert!(!right || flags(&page) == kind);
    }
}

#[test]
fn posting_tree_begins_as_a_leaf() {
    let segments = segment(&[1, 2, 3]);
    let main = [&u32s(&[segments.len() as u32])[..], &segments].concat();
    let mut page = made(0);
    apply(CREATE_PTREE, &main, 0, &[], &mut page).unwrap();
    assert!(holds(&page, &[&[1, 2, 3]]));
    let big = [&u32s(&[8153])[..], &[0; 8153]].concat();
    assert!(apply(CREATE_PTREE, &big, 0, &[], &mut made(0)).is_err());
}

#[test]
fn pending_list_grows_and_shrinks() {
    let tuples = [index_tuple(1, 16), index_tuple(2, 24)].concat();
    let mut page = made(0);
    apply(INSERT_LISTPAGE, &u32s(&[77, 2]), 0, &tuples, &mut page).unwrap();
    assert_eq!((flags(&page), maxoff(&page)), (LIST, 0));
    let mut page = made(0);
    apply(
        INSERT_LISTPAGE,
        &u32s(&[u32::MAX, 2]),
        0,
        &tuples,
        &mut page,
    )
    .unwrap();
    assert_eq!((flags(&page), maxoff(&page)), (LIST | LIST_FULLROW, 1));

    page[..8].fill(0);
    let update = |tail: [u32; 3]| [&[0; 16][..], &META_BYTES, &u32s(&tail), &[0; 4]].concat();
    let add = update([u32::MAX, u32::MAX, 2]);
    apply(UPDATE_META_PAGE, &add, 1, &tuples, &mut page).unwrap();
    assert_eq!((pd_lower(&page), maxoff(&page)), (24 + 16, 2));
    assert_eq!(item(&page, 4).unwrap(), index_tuple(2, 24));
    page[..8].fill(0);
    apply(UPDATE_META_PAGE, &update([3, 9, 0]), 1, &[], &mut page).unwrap();
    assert_eq!(page[SPECIAL..SPECIAL + 4], [9, 0, 0, 0]);
    page[..8].fill(0);
    let nothing = update([u32::MAX, u32::MAX, 0]);
    assert!(apply(UPDATE_META_PAGE, &nothing, 1, &[], &mut page).is_err());

    let delete = [&META_BYTES[..], &[2, 0, 0, 0, 0, 0, 0, 0]].concat();
    for (opcode, main) in [(UPDATE_META_PAGE, &nothing), (DELETE_LISTPAGE, &delete)] {
        let mut page = made(0);
        apply(opcode, main, 0, &[], &mut page).unwrap();
        assert_eq!((flags(&page), pd_lower(&page)), (META, 80));
        assert_eq!(page[24..80], META_BYTES);
    }
    let mut page = made(0);
    apply(DELETE_LISTPAGE, &delete, 2, &[], &mut page).unwrap();
    assert_eq!((flags(&page), maxoff(&page)), (DELETED, 0));
    assert!(apply(DELETE_LISTPAGE, &delete, 3, &[], &mut made(0)).is_err());
}

/// Any change of a record or page is an error at worst.
#[test]
fn bytes_of_any_kind_give_errors_at_worst() {
    let data = actions(&[
        (0, 4, counted(&[11, 13])),
        (1, 3, segment(&[31])),
        (2, 1, vec![]),
    ]);
    let mut seed = 1u64;
    let mut random = move |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) as usize % below
    };
    for _ in 0..20_000 {
        let mut page = leaf(&[&[1, 400], &[500, 501], &[600]]);
        for _ in 0..3 {
            let near = [12, 32, BLCKSZ - 8][random(3)];
            page[near + random(8)] = random(256) as u8;
        }
        if random(4) == 0 {
            set_pd_lower(&mut page, random(65_536) as u16);
        }
        let (mut data, mut main) = (data.clone(), [0; 88]);
        data.truncate(1 + random(data.len()));
        let at = random(data.len());
        data[at] = random(256) as u8;
        main.fill_with(|| random(6) as u8 / 4);
        main[0] = random(8) as u8;
        let opcode = 16 * (1 + random(9)) as u8;
        let id = random(4) as u8;
        let _ = apply(opcode, &main[..random(89)], id, &data, &mut page);
        let _ = apply(INSERT, &[3, 0], 0, &data, &mut page);
    }
}
