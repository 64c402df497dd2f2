//! Heap pages of one tuple that fills them, and the records that make and change them. The tuple is full of
//! its tag, so that a torn page is none.

use offshoot_layout::{BLCKSZ, BlockKey, Fork, Lsn, Page, RelKey, page};
use offshoot_redo::{RedoContext, Target};
use offshoot_wal::Record;
use offshoot_wal::generate::{BlockDraft, RecordDraft};

const CONTEXT: RedoContext = RedoContext {
    major: 15,
    checksums: false,
    wal_log_hints: false,
    track_commit_timestamp: false,
};
const OFFNUM: u16 = 1;
/// Header of 23 bytes, padding.
const HOFF: u8 = 24;
/// With the page's header and one line pointer, aligned, the page is full.
const USER_DATA_BYTES: usize = BLCKSZ - 32 - HOFF as usize;
/// HEAP_XMAX_INVALID.
const INFOMASK: u16 = 0x0800;
const ALL_VISIBLE_CLEARED: u8 = 1;
const ALL_VISIBLE_AND_FROZEN: u8 = 3;

/// Of Heap2/VISIBLE: without checksums its change is a hint, and never brings an image.
pub const HEAP_BLOCK_OF_VISIBLE: u8 = 1;

fn draft(rmid: u8, info: u8, xid: u32, block: BlockDraft, main: Vec<u8>) -> RecordDraft {
    RecordDraft {
        rmid,
        info,
        xid,
        blocks: vec![block],
        main,
        ..RecordDraft::default()
    }
}

fn user_data(tag: u32) -> Vec<u8> {
    tag.to_le_bytes().repeat(USER_DATA_BYTES / size_of::<u32>())
}

/// Heap/INSERT+INIT.
pub fn insert_init(key: BlockKey, tag: u32, xid: u32) -> RecordDraft {
    let mut data = vec![1, 0];
    data.extend(INFOMASK.to_le_bytes());
    // t_hoff, and the padding before the user data.
    data.extend([HOFF, 0]);
    data.extend(user_data(tag));
    let mut main = OFFNUM.to_le_bytes().to_vec();
    main.push(0);
    draft(10, 0x80, xid, reference(0, key, true, data), main)
}

/// Heap/INPLACE of the whole tuple: the page is another one.
pub fn inplace(key: BlockKey, tag: u32) -> RecordDraft {
    let main = OFFNUM.to_le_bytes().to_vec();
    let block = reference(0, key, false, user_data(tag));
    draft(10, 0x70, 0, block, main)
}

/// Heap/DELETE, which clears bits of the map.
pub fn delete(key: BlockKey, xid: u32) -> RecordDraft {
    let mut main = xid.to_le_bytes().to_vec();
    main.extend(OFFNUM.to_le_bytes());
    main.extend([0, ALL_VISIBLE_CLEARED]);
    let block = reference(0, key, false, Vec::new());
    draft(10, 0x10, xid, block, main)
}

/// Heap2/VISIBLE.
pub fn visible(heap: BlockKey) -> RecordDraft {
    let map = BlockKey {
        rel: RelKey {
            fork: Fork::Vm,
            ..heap.rel
        },
        block: 0,
    };
    let block = reference(0, map, false, Vec::new());
    let main = vec![0, 0, 0, 0, ALL_VISIBLE_AND_FROZEN];
    let mut draft = draft(9, 0x40, 0, block, main);
    let heap = reference(HEAP_BLOCK_OF_VISIBLE, heap, false, Vec::new());
    draft.blocks.push(heap);
    draft
}

pub fn reference(id: u8, key: BlockKey, will_init: bool, data: Vec<u8>) -> BlockDraft {
    BlockDraft {
        id,
        key,
        will_init,
        image: None,
        data,
    }
}

/// The page that `insert_init` makes.
pub fn full_page(key: BlockKey, tag: u32, lsn: Lsn) -> Page {
    let mut made = [0; BLCKSZ];
    redo(&insert_init(key, tag, 900), 0, Lsn(8), Lsn(16), &mut made);
    page::set_pd_lsn(&mut made, lsn);
    made
}

/// What the record, without any image, makes of the page.
pub fn redo(draft: &RecordDraft, block_id: u8, start: Lsn, end: Lsn, page: &mut Page) {
    let bytes = draft.to_bytes(Lsn(8), CONTEXT.major).unwrap();
    let record = Record::parse(&bytes, start, end, CONTEXT.major).unwrap();
    offshoot_redo::redo(&record, Target::Block(block_id), page, &CONTEXT).unwrap();
}
