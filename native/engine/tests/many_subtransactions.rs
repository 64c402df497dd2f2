//! Records with lists so long that they are filed for many SLRU pages: each page reads right, and what is
//! filed is no multiple of the record.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "source/mod.rs"]
mod source;

use std::sync::Arc;

use offshoot_engine::Tenant;
use offshoot_layout::{BLCKSZ, Lsn, Page, SlruKind};
use offshoot_redo::{Effect, RedoContext, Target, effects, redo};
use offshoot_wal::Record;
use offshoot_wal::generate::{RecordDraft, WalStream};
use source::{INDEX, PARAMS};
use tempfile::TempDir;

const CONTEXT: RedoContext = RedoContext {
    major: 15,
    checksums: false,
    wal_log_hints: false,
    track_commit_timestamp: true,
};
const SUBXIDS: u32 = 100_000;
const MEMBERS: u32 = 20_000;
const TOP_XID: u32 = 1100;

/// A tenant that keeps commit timestamps.
fn imported(wal: &WalStream) -> (Arc<Tenant>, TempDir) {
    let mut control = source::control();
    control.track_commit_timestamp = true;
    let files = source::replaced("global/pg_control", &control.to_bytes());
    source::imported_files(&files, wal)
}

fn words(words: impl IntoIterator<Item = u32>) -> Vec<u8> {
    words.into_iter().flat_map(u32::to_le_bytes).collect()
}

fn subxids(count: u32) -> Vec<u8> {
    let xids = (0..count).map(|at| TOP_XID + 1 + at);
    words([count].into_iter().chain(xids))
}

fn ended(info: u8, xid: u32, parts: &[&[u8]]) -> RecordDraft {
    RecordDraft {
        rmid: 1,
        info: info | 0x80,
        xid,
        main: parts.concat(),
        ..RecordDraft::default()
    }
}

/// COMMIT and its like, with all that they can have: most of it concerns no SLRU page.
fn all_parts(info: u8) -> RecordDraft {
    let parts: [&[u8]; 10] = [
        &77_i64.to_le_bytes(),
        &words([0x1FF, 5, 1663]),
        &subxids(40_000),
        &words([1, 1663, 5, 16_385]),
        &words([1, 2, 5, 16_385]),
        &words([1, 0, 0, 0, 0]),
        &words([990]),
        b"gid\0",
        &0xABCD_u64.to_le_bytes(),
        &88_i64.to_le_bytes(),
    ];
    RecordDraft {
        origin: Some(3),
        ..ended(info, TOP_XID, &parts)
    }
}

fn long_commit() -> RecordDraft {
    let parts: [&[u8]; 3] = [&66_i64.to_le_bytes(), &words([0x02]), &subxids(SUBXIDS)];
    ended(0x00, TOP_XID, &parts)
}

/// Committed, and nothing but relations dropped: the list concerns no SLRU page.
fn long_drop() -> RecordDraft {
    let dropped = (0..1000).flat_map(|at| [1663, 5, 40_000 + at]);
    let dropped = words([1000].into_iter().chain(dropped));
    let parts: [&[u8]; 3] = [&55_i64.to_le_bytes(), &words([0x04]), &dropped];
    ended(0x00, 400_000, &parts)
}

fn multixact() -> RecordDraft {
    let members = (0..MEMBERS).flat_map(|at| [5000 + at, at % 6]);
    RecordDraft {
        rmid: 6,
        info: 0x20,
        main: words([2047, 1600, MEMBERS].into_iter().chain(members)),
        ..RecordDraft::default()
    }
}

fn slru_page(tenant: &Tenant, kind: SlruKind, number: u32, lsn: Lsn) -> Option<Page> {
    let view = tenant.view(INDEX, lsn).unwrap();
    let mut page = [0xEE; BLCKSZ];
    view.slru_page(kind, number, &mut page).ok().map(|()| page)
}

/// The most memory that this process has had.
fn peak_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kibibytes = line.unwrap().split_whitespace().nth(1).unwrap();
    kibibytes.parse::<usize>().unwrap() << 10
}

/// Ingests the record behind others; every page that it changes is what redo of the whole record makes of the
/// page before it. Answers how much the store grew, how much memory that took at its peak, and how long
/// the record is.
fn ingested(draft: &RecordDraft) -> (u64, usize, usize) {
    let mut wal = source::wal();
    let (tenant, _dir) = imported(&wal);
    for xid in [1000, 15_000, 90_000] {
        wal.append(&source::commit(xid)).unwrap();
    }
    let before = wal.end();
    let start = wal.append(draft).unwrap();
    let end = wal.end();
    wal.append(&source::commit(1001)).unwrap();
    let mut ingest = tenant.resume_ingest(INDEX, PARAMS, None).unwrap();
    let behind = |lsn: Lsn| (lsn.0 - source::START.0) as usize;
    ingest.feed(&wal.bytes()[..behind(before)]).unwrap();
    ingest.commit().unwrap();
    let (used, peak) = (tenant.stats().unwrap().used_bytes, peak_bytes());
    ingest.feed(&wal.bytes()[behind(before)..]).unwrap();
    ingest.commit().unwrap();
    let grown = tenant.stats().unwrap().used_bytes - used;
    let taken = peak_bytes() - peak;

    let bytes = draft.to_bytes(Lsn(8), PARAMS.major).unwrap();
    let record = Record::parse(&bytes, start, end, PARAMS.major).unwrap();
    let mut pages = 0;
    for effect in effects(&record, &CONTEXT).unwrap() {
        let Effect::Slru { kind, page: number } = effect else {
            continue;
        };
        let page = |lsn| slru_page(&tenant, kind, number, lsn);
        let mut expected = page(before).unwrap_or([0; BLCKSZ]);
        assert!(Some(expected) != page(end), "{kind:?} {number}: no change");
        let target = Target::Slru { kind, page: number };
        redo(&record, target, &mut expected, &CONTEXT).unwrap();
        assert!(page(end) == Some(expected), "{kind:?} {number}");
        pages += 1;
    }
    assert!(pages >= 2, "{pages}");
    (grown, taken, bytes.len())
}

#[test]
fn what_is_filed_is_no_multiple_of_the_record() {
    let cases = [
        ("COMMIT", long_commit()),
        (
            "ABORT",
            ended(0x20, TOP_XID, &[&[0; 8], &words([2]), &subxids(40_000)]),
        ),
        ("COMMIT of a transaction from elsewhere", all_parts(0x00)),
        ("COMMIT_PREPARED", all_parts(0x30)),
        ("ABORT_PREPARED", all_parts(0x40)),
        ("COMMIT that drops relations", long_drop()),
        ("CREATE_ID", multixact()),
    ];
    for (name, draft) in cases {
        let (grown, taken, bytes) = ingested(&draft);
        // Each list once for each area, and a page of the store for each page that is changed.
        let room = 3 * bytes + (SUBXIDS / 819 + 60) as usize * 4096;
        assert!(
            grown < room as u64,
            "{name} of {bytes} bytes: {grown} bytes"
        );
        assert!(taken < 24 << 20, "{name}: {taken} bytes of memory");
    }
}
