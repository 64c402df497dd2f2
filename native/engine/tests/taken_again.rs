//! WAL that is taken in again, after an ingest that came further than it said: every LSN reads as before.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use offshoot_engine::{CheckPointState, Checksums, Durability, Ingest, TimelineSpec};
use offshoot_layout::{BLCKSZ, BlockKey, Fork, Lsn};
use offshoot_wal::generate::{BlockDraft, ImageDraft, RecordDraft, WalStream};
use offshoot_wal::{Compression, WalParams};
use support::{TestTenant, block, control, rel, tenant};

const PARAMS: WalParams = WalParams {
    major: 15,
    system_id: 1,
    seg_size: 16 << 20,
    tli: 1,
};
const START: Lsn = Lsn((16 << 20) + 40);
const RELATION: u32 = 20_000;
/// Enough for an image to be written when they are taken in twice.
const INSERTS: u16 = 101;

/// How an ingest came to its end.
#[derive(Clone, Copy, PartialEq)]
enum Ended {
    /// The process was killed.
    Killed,
    /// It met an error; the same process begins another.
    Failed,
}

struct Run {
    tenant: TestTenant,
    wal: WalStream,
    /// Of the WAL's bytes.
    fed: usize,
    ingest: Option<Ingest>,
}

impl Run {
    fn new() -> Run {
        let tenant = tenant(Checksums::Off);
        let state = CheckPointState {
            control: control(Checksums::Off),
            last_record_start: Lsn::INVALID,
        };
        let mut writer = tenant.writer(1).unwrap();
        writer.file(&CheckPointState::FILE, START, Some(&state.encode()));
        writer.commit(Durability::Commit).unwrap();
        attach(&tenant);
        let ingest = tenant.resume_ingest(1, PARAMS, Some(START)).unwrap();
        Run {
            tenant,
            wal: WalStream::new(PARAMS, START, Lsn::INVALID).unwrap(),
            fed: 0,
            ingest: Some(ingest),
        }
    }

    fn append(&mut self, record: &RecordDraft) -> Lsn {
        self.wal.append(record).unwrap();
        self.wal.end()
    }

    fn feed(&mut self) {
        let bytes = &self.wal.bytes()[self.fed..];
        self.ingest.as_mut().unwrap().feed(bytes).unwrap();
        self.fed = self.wal.bytes().len();
    }

    fn commit(&mut self) {
        self.ingest.as_mut().unwrap().commit().unwrap();
    }

    /// Another ingest takes what the store does not say it has.
    fn again(mut self, ended: Ended) -> Run {
        self.ingest = None;
        if ended == Ended::Killed {
            self.reopen();
        }
        let start = (self.tenant.stored_position(1).unwrap()).is_none_or(|lsn| lsn == START);
        let start = start.then_some(START);
        let ingest = self.tenant.resume_ingest(1, PARAMS, start).unwrap();
        self.fed = (ingest.position().0 - START.0) as usize;
        self.ingest = Some(ingest);
        self.feed();
        self.commit();
        self.ingest = None;
        self.reopen();
        self
    }

    /// Nothing is remembered.
    fn reopen(&mut self) {
        let tenant = std::mem::replace(&mut self.tenant, tenant(Checksums::Off));
        self.tenant = tenant.reopened();
        attach(&self.tenant);
    }

    fn tuples(&self, key: &BlockKey, lsn: Lsn) -> u16 {
        let mut page = [0; BLCKSZ];
        let view = self.tenant.view(1, lsn).unwrap();
        view.page(key, &mut page).unwrap();
        (u16::from_le_bytes([page[12], page[13]]) - 24) / 4
    }
}

fn attach(tenant: &TestTenant) {
    let spec = TimelineSpec {
        index: 1,
        parent: None,
        last_record_lsn: START,
        readable_from: START,
    };
    tenant.attach_stored(&spec).unwrap();
}

fn insert(key: BlockKey, offset: u16) -> RecordDraft {
    let first = offset == 1;
    RecordDraft {
        rmid: 10,
        info: if first { 0x80 } else { 0 },
        xid: 731,
        blocks: vec![BlockDraft {
            id: 0,
            key,
            will_init: first,
            image: None,
            data: vec![0, 0, 0, 8, 24, 0],
        }],
        main: [&offset.to_le_bytes()[..], &[0]].concat(),
        ..RecordDraft::default()
    }
}

fn whole_page(key: BlockKey) -> RecordDraft {
    let mut page = vec![7; BLCKSZ];
    page[12..18].copy_from_slice(&[24, 0, 0, 32, 0, 32]);
    let image = ImageDraft {
        apply: true,
        compression: Compression::None,
        hole_offset: 0,
        hole_length: 0,
        stored: page,
    };
    RecordDraft {
        rmid: 0,
        info: 0xB0,
        blocks: vec![BlockDraft {
            id: 0,
            key,
            will_init: false,
            image: Some(image),
            data: Vec::new(),
        }],
        ..RecordDraft::default()
    }
}

fn numbers(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|n| n.to_le_bytes()).collect()
}

fn of_numbers(rmid: u8, info: u8, main: &[u32]) -> RecordDraft {
    RecordDraft {
        rmid,
        info,
        main: numbers(main),
        ..RecordDraft::default()
    }
}

/// Records that are committed in parts: they look at the store.
fn looking() -> [RecordDraft; 3] {
    [
        of_numbers(3, 0x10, &[0, 700, 5]),
        of_numbers(4, 0x20, &[99, 1, 1663]),
        of_numbers(4, 0x00, &[98, 1663, 97, 1663]),
    ]
}

#[test]
fn a_page_has_nothing_of_its_future() {
    for ended in [Ended::Killed, Ended::Failed] {
        for looking in looking() {
            let mut run = Run::new();
            let key = block(rel(RELATION, Fork::Main), 0);
            run.append(&insert(key, 1));
            run.feed();
            run.commit();
            let ends: Vec<_> = (2..=INSERTS)
                .map(|offset| (run.append(&insert(key, offset)), offset))
                .collect();
            run.append(&looking);
            run.feed();
            let run = run.again(ended);
            for (end, tuples) in &ends {
                assert_eq!(run.tuples(&key, *end), *tuples, "at {end}");
            }
        }
    }
}

#[test]
fn a_relation_has_the_size_that_it_had() {
    let relation = rel(RELATION, Fork::Main);
    for ended in [Ended::Killed, Ended::Failed] {
        for looking in looking() {
            let mut run = Run::new();
            run.append(&whole_page(block(relation, 19)));
            run.feed();
            run.commit();
            let before = run.append(&whole_page(block(relation, 9)));
            let cut = run.append(&of_numbers(2, 0x20, &[5, 1663, 5, RELATION, 1]));
            run.append(&looking);
            run.feed();
            let run = run.again(ended);
            for (lsn, blocks) in [(before, 20), (cut, 5), (run.wal.end(), 5)] {
                let view = run.tenant.view(1, lsn).unwrap();
                assert_eq!(view.size(&relation).unwrap(), Some(blocks), "at {lsn}");
                let listed = view.relations(1663, 5).unwrap();
                assert_eq!(listed, [(relation, blocks)], "at {lsn}");
            }
        }
    }
}
