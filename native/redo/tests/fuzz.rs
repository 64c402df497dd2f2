//! Fuzz targets of redo, for every row of the table: see native/wal/README.md for the long run.

#![allow(clippy::unwrap_used)] // A failing helper fails its test.

#[path = "../../wal/tests/fuzz_support/mod.rs"]
mod fuzz_support;

use offshoot_layout::{BLCKSZ, BlockKey, CheckPoint, Fork, Lsn, Page, RelKey, SlruKind, page};
use offshoot_redo::rmgr_table::OPCODES;
use offshoot_redo::{
    Effect, PageBase, RedoContext, RedoError, Target as RedoTarget, apply_checkpoint_state,
    effects, record_name, redo,
};
use offshoot_wal::generate::{BlockDraft, ImageDraft, RecordDraft};
use offshoot_wal::{Compression, Record};
use proptest::prelude::*;

use fuzz_support::{
    Choices, Counting, Entry, Target, check_memory, corpus, draft_of, mutate, run_for_seconds,
};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Above the LSNs of all pages of the corpus, so that nothing is done already.
const START: Lsn = Lsn(1 << 40);
const END: Lsn = Lsn((1 << 40) + 4096);
/// Of one call of anything: far more than a record and its pages are.
const MEMORY_MAX: usize = 1 << 20;
const FIRST_LINE_POINTER: usize = 24;

const TARGETS: [Target; 3] = [
    ("arbitrary_record", arbitrary_record),
    ("mutated_record", mutated_record),
    ("mutated_page", mutated_page),
];

fn context(choices: &mut Choices<'_>) -> RedoContext {
    let flags = choices.byte();
    RedoContext {
        major: 15,
        checksums: flags & 1 != 0,
        wal_log_hints: flags & 2 != 0,
        track_commit_timestamp: flags & 4 == 0,
    }
}

fn parse(draft: &RecordDraft) -> Record {
    let bytes = draft.to_bytes(Lsn(START.0 - 64), 15).unwrap();
    Record::parse(&bytes, START, END, 15).unwrap()
}

/// A record of any type with a payload that nobody wrote, on any page.
fn arbitrary_record(choices: &mut Choices<'_>) {
    let row = choices.of(&OPCODES);
    let draft = RecordDraft {
        rmid: row.rmid,
        info: row.opcode | choices.byte() & !row.mask,
        xid: choices.number(),
        blocks: (0..choices.below(6))
            .map(|id| arbitrary_block(choices, id as u8))
            .collect(),
        main: choices.some_bytes(200),
        ..RecordDraft::default()
    };
    let other = choices.of(corpus());
    exercise(choices, &draft, other);
}

fn arbitrary_block(choices: &mut Choices<'_>, id: u8) -> BlockDraft {
    let rel = RelKey {
        spcnode: 1663,
        dbnode: 5,
        relnode: 16384,
        fork: *choices.of(&Fork::ALL),
    };
    let block = choices.edge();
    BlockDraft {
        id,
        key: BlockKey { rel, block },
        will_init: choices.one_in(4),
        image: choices.one_in(5).then(|| image(choices)),
        data: choices.some_bytes(120),
    }
}

fn image(choices: &mut Choices<'_>) -> ImageDraft {
    let entry = choices.of(corpus());
    ImageDraft {
        apply: choices.one_in(2),
        compression: Compression::None,
        hole_offset: 0,
        hole_length: 0,
        stored: any_page(choices, entry, 0).to_vec(),
    }
}

/// A real record with damage to what its redo reads, on its own pages or others.
fn mutated_record(choices: &mut Choices<'_>) {
    let entry = choices.of(corpus());
    let record = Record::parse(&entry.record, START, END, 15).unwrap();
    let mut draft = draft_of(&record, |_| true);
    mutate_draft(choices, &mut draft);
    exercise(choices, &draft, entry);
}

fn mutate_draft(choices: &mut Choices<'_>, draft: &mut RecordDraft) {
    mutate(choices, &mut draft.main);
    for block in &mut draft.blocks {
        mutate(choices, &mut block.data);
        match choices.below(16) {
            15 => block.will_init = !block.will_init,
            14 => block.image = None,
            13 => block.image = Some(image(choices)),
            12 => block.key.block = choices.edge(),
            11 => block.key.rel.fork = *choices.of(&Fork::ALL),
            _ => {}
        }
    }
    match choices.below(16) {
        15 => drop(draft.blocks.pop()),
        14 => drop(draft.blocks.drain(..draft.blocks.len().min(1))),
        13 => draft.info ^= choices.byte(),
        12 => draft.xid = choices.edge(),
        11 => draft.rmid = choices.below(22) as u8,
        _ => {}
    }
}

/// A real record, on its own pages with damage.
fn mutated_page(choices: &mut Choices<'_>) {
    let entry = choices.of(corpus());
    let record = Record::parse(&entry.record, START, END, 15).unwrap();
    exercise(choices, &draft_of(&record, |_| true), entry);
}

/// Everything that is done with a record, on targets it names and on some it may not.
fn exercise(choices: &mut Choices<'_>, draft: &RecordDraft, entry: &Entry) {
    let context = context(choices);
    let record = parse(draft);
    let mut state = CheckPoint {
        next_xid: u64::from(choices.number()),
        ..CheckPoint::default()
    };
    check_memory(MEMORY_MAX, || {
        let _ = apply_checkpoint_state(&mut state, &record, &context);
    });
    let listed = check_memory(MEMORY_MAX, || effects(&record, &context));
    let is_unknown = matches!(listed, Err(RedoError::Unknown { .. }));
    assert_eq!(is_unknown, record_name(&record).is_none());
    let listed = listed.unwrap_or_default();
    for effect in &listed {
        if let Effect::SlruTruncate(truncation) = effect {
            let _ = truncation.removes(choices.edge());
        }
    }
    let named = listed.iter().filter_map(target_of);
    let blocks = record
        .blocks
        .iter()
        .map(|block| RedoTarget::Block(block.id));
    let others = SlruKind::ALL.map(|kind| RedoTarget::Slru { kind, page: 0 });
    for target in named.chain(blocks).chain(others) {
        let block_id = match target {
            RedoTarget::Block(id) => id,
            _ => 0,
        };
        let mut before = any_page(choices, entry, block_id);
        check_memory(MEMORY_MAX, || {
            let _ = redo(&record, target, &mut before, &context);
        });
    }
}

fn target_of(effect: &Effect) -> Option<RedoTarget> {
    match effect {
        Effect::Page { block_id, .. } => Some(RedoTarget::Block(*block_id)),
        Effect::VmClear { key } => Some(RedoTarget::VmClear(*key)),
        Effect::FsmTruncate { key } => Some(RedoTarget::FsmTruncate(*key)),
        Effect::Slru { kind, page } | Effect::SlruZero { kind, page } => Some(RedoTarget::Slru {
            kind: *kind,
            page: *page,
        }),
        _ => None,
    }
}

/// Mostly the record's own page, mostly with damage.
fn any_page(choices: &mut Choices<'_>, entry: &Entry, block_id: u8) -> Page {
    let own = own_page(entry, block_id);
    let mut found = match (choices.below(8), own) {
        (0..=4, Some(own)) => own,
        (0..=5, _) => {
            let other = choices.of(corpus());
            let first = other.pages.first();
            first.map_or([0; BLCKSZ], |(_, bytes)| to_page(bytes))
        }
        (6, _) => [0; BLCKSZ],
        _ => [choices.byte(); BLCKSZ],
    };
    for _ in 0..choices.below(6) {
        damage(choices, &mut found);
    }
    found
}

fn own_page(entry: &Entry, block_id: u8) -> Option<Page> {
    let own = entry.pages.iter().find(|(id, _)| *id == block_id);
    own.map(|(_, bytes)| to_page(bytes))
}

fn to_page(bytes: &[u8]) -> Page {
    bytes.try_into().unwrap()
}

/// Changes a field where it matters: the header, a line pointer, an item or the special space.
fn damage(choices: &mut Choices<'_>, damaged: &mut Page) {
    let special = usize::from(page::pd_special(damaged)).min(BLCKSZ - 1);
    let upper = usize::from(page::pd_upper(damaged)).min(BLCKSZ - 1);
    let at = match choices.below(6) {
        0 => 10 + choices.below(14),
        1 => FIRST_LINE_POINTER + 4 * choices.below(300),
        2 => FIRST_LINE_POINTER + choices.below(64),
        3 => special + choices.below(BLCKSZ - special),
        4 => upper + choices.below(BLCKSZ - upper),
        _ => choices.below(BLCKSZ),
    };
    let value = if choices.one_in(2) {
        choices.edge()
    } else {
        choices.number()
    };
    let width = 1 << choices.below(3);
    let place = damaged[at..].iter_mut();
    for (byte, new) in place.zip(value.to_le_bytes()).take(width) {
        *byte = new;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn arbitrary_records(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        arbitrary_record(&mut Choices::new(&bytes));
    }

    #[test]
    fn mutated_records(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        mutated_record(&mut Choices::new(&bytes));
    }

    #[test]
    fn mutated_pages(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        mutated_page(&mut Choices::new(&bytes));
    }
}

/// Every row with every length of payload that is all zeros or all ones.
#[test]
fn every_row_takes_payloads_of_any_length() {
    let context = context(&mut Choices::new(&[]));
    for row in &OPCODES {
        for length in (0..80).chain([255, 256, 4096]) {
            for fill in [0, 0xFF] {
                let draft = RecordDraft {
                    rmid: row.rmid,
                    info: row.opcode,
                    xid: 700,
                    main: vec![fill; length],
                    ..RecordDraft::default()
                };
                let _ = effects(&parse(&draft), &context);
            }
        }
    }
}

/// The corpus is what Postgres wrote: nothing in it may be refused, unless it has no redo yet.
#[test]
fn records_as_postgres_wrote_them_are_redone() {
    let context = context(&mut Choices::new(&[]));
    let mut refused = Vec::new();
    for entry in corpus() {
        let record = Record::parse(&entry.record, START, END, 15).unwrap();
        for effect in effects(&record, &context).unwrap() {
            let Effect::Page { block_id, base, .. } = effect else {
                continue;
            };
            let before = match (base, own_page(entry, block_id)) {
                (PageBase::Previous, None) => continue,
                (_, page) => page,
            };
            let mut page = before.unwrap_or([0; BLCKSZ]);
            let target = RedoTarget::Block(block_id);
            let result = redo(&record, target, &mut page, &context);
            if !matches!(result, Ok(_) | Err(RedoError::Unsupported { .. })) {
                let name = record_name(&record);
                refused.push(format!("{name:?} block {block_id}: {result:?}"));
            }
        }
    }
    assert!(refused.is_empty(), "{refused:#?}");
}

#[test]
#[ignore = "as long as OFFSHOOT_FUZZ_SECONDS says: native/wal/README.md"]
fn fuzz() {
    run_for_seconds(&TARGETS);
}
