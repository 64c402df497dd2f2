//! Records for tests: as Postgres would write them, through the WAL crate's own parser.

use offshoot_layout::{BLCKSZ, BlockKey, Fork, Lsn, Page, RelKey, page};
use offshoot_wal::generate::{BlockDraft, ImageDraft, RecordDraft};
use offshoot_wal::{Compression, Record};

use crate::RedoContext;

pub const START: Lsn = Lsn(0x0174_B820);
pub const END: Lsn = Lsn(0x0174_B860);
pub const CONTEXT: RedoContext = RedoContext {
    major: 15,
    checksums: false,
    wal_log_hints: false,
    track_commit_timestamp: true,
};

pub fn draft(rmid: u8, info: u8, main: &[u8]) -> RecordDraft {
    RecordDraft {
        rmid,
        info,
        xid: 700,
        main: main.to_vec(),
        ..RecordDraft::default()
    }
}

pub fn parse(draft: &RecordDraft) -> Record {
    let bytes = draft.to_bytes(Lsn(0x0174_B7E0), 15).unwrap();
    Record::parse(&bytes, START, END, 15).unwrap()
}

pub fn record(rmid: u8, info: u8, main: &[u8]) -> Record {
    parse(&draft(rmid, info, main))
}

/// Fields of 32 bits, little-endian.
pub fn u32s(values: &[u32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

pub fn rel(fork: Fork) -> RelKey {
    RelKey {
        spcnode: 1663,
        dbnode: 5,
        relnode: 16384,
        fork,
    }
}

pub fn key(fork: Fork, block: u32) -> BlockKey {
    let rel = rel(fork);
    BlockKey { rel, block }
}

/// A plain reference to a block of the main fork.
pub fn block(id: u8, number: u32) -> BlockDraft {
    BlockDraft {
        id,
        key: key(Fork::Main, number),
        will_init: false,
        image: None,
        data: Vec::new(),
    }
}

pub fn with_image(block: BlockDraft, image: &Page, apply: bool) -> BlockDraft {
    let image = ImageDraft {
        apply,
        compression: Compression::None,
        hole_offset: 0,
        hole_length: 0,
        stored: image.to_vec(),
    };
    BlockDraft {
        image: Some(image),
        ..block
    }
}

/// An initialised page, otherwise filled with `fill`.
pub fn some_page(fill: u8, lsn: Lsn) -> Page {
    let mut some = [fill; BLCKSZ];
    page::set_pd_upper(&mut some, 8192);
    page::set_pd_lsn(&mut some, lsn);
    some
}
