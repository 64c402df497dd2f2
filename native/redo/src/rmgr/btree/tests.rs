//! Pages by hand; the oracle compares with those of Postgres.

mod inserts;
mod leaf_tuples;
mod malformed;
mod splits;
mod tree;

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

fn meta_data() -> Vec<u8> {
    [u32s(&[4, 11, 3, 12, 2, 13]), vec![1, 0, 0, 0]].concat()
}
