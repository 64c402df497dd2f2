//! What the oracle notices, on records made up here.

use offshoot_layout::page::{self, pd_lsn, set_pd_lsn};
use offshoot_layout::{BLCKSZ, BlockKey, Fork, Lsn, Page, RelKey};
use offshoot_redo::{PageBase, RedoContext};
use offshoot_wal::generate::{BlockDraft, ImageDraft, RecordDraft};
use offshoot_wal::{Compression, Record};

use crate::arguments::Arguments;
use crate::replay::Replay;
use crate::report::DifferenceKind;

const CONTEXT: RedoContext = RedoContext {
    major: 15,
    checksums: false,
    wal_log_hints: false,
    track_commit_timestamp: false,
};
const START: Lsn = Lsn(0x2000);
const END: Lsn = Lsn(0x3000);
const BEFORE: Lsn = Lsn(0x1000);
const RM_HEAP: u8 = 10;
const RM_GIST: u8 = 14;

fn arguments() -> Arguments {
    Arguments {
        differences: 5,
        ..Arguments::default()
    }
}

fn key(fork: Fork) -> BlockKey {
    BlockKey {
        rel: RelKey {
            spcnode: 1663,
            dbnode: 5,
            relnode: 16384,
            fork,
        },
        block: 7,
    }
}

fn empty_page(special: u16, lsn: Lsn) -> Page {
    let mut made = [0; BLCKSZ];
    page::init(&mut made, special);
    set_pd_lsn(&mut made, lsn);
    made
}

/// A record with this image of one block.
fn record(rmid: u8, info: u8, key: BlockKey, apply: bool, image: &Page) -> Record {
    let draft = RecordDraft {
        rmid,
        info: info | 0x02,
        blocks: vec![BlockDraft {
            id: 0,
            key,
            will_init: false,
            image: Some(ImageDraft {
                apply,
                compression: Compression::None,
                hole_offset: 0,
                hole_length: 0,
                stored: image.to_vec(),
            }),
            data: Vec::new(),
        }],
        main: vec![0; 16],
        ..RecordDraft::default()
    };
    let bytes = draft.to_bytes(Lsn(8), 15).unwrap();
    Record::parse(&bytes, START, END, 15).unwrap()
}

/// What is found when redo made `ours` of a page that had the LSN `before`, and production `theirs`.
fn found(rmid: u8, fork: Fork, before: Lsn, ours: &Page, theirs: &Page) -> Option<DifferenceKind> {
    let arguments = arguments();
    let mut replay = Replay::new(CONTEXT, &arguments);
    replay.pages.put(key(fork), *ours);
    let record = record(rmid, 0, key(fork), false, theirs);
    let before = empty_page(0, before);
    replay
        .verify(&record, "some", 0, PageBase::Previous, Some(&before))
        .unwrap();
    assert_eq!(replay.report.total().compared, 1);
    let kind = replay.report.differences.first().map(|found| found.kind);
    assert_eq!(replay.report.is_clean(false), kind.is_none());
    kind
}

#[test]
fn a_byte_that_differs_is_noticed_and_told_once() {
    let theirs = empty_page(0, BEFORE);
    let mut ours = theirs;
    ours[100] = 1;
    assert_eq!(found(RM_HEAP, Fork::Main, BEFORE, &ours, &theirs), None);
    page::set_pd_lower(&mut ours, 104);
    let kind = found(RM_HEAP, Fork::Main, BEFORE, &ours, &theirs);
    assert_eq!(kind, Some(DifferenceKind::Page));
    page::set_pd_upper(&mut ours, 50);
    let kind = found(RM_HEAP, Fork::Main, BEFORE, &ours, &theirs);
    assert_eq!(kind, Some(DifferenceKind::Mask));
}

#[test]
fn the_image_after_a_difference_is_the_page_with_our_lsn() {
    let arguments = arguments();
    let mut replay = Replay::new(CONTEXT, &arguments);
    let mut ours = empty_page(0, END);
    page::set_pd_lower(&mut ours, 28);
    replay.pages.put(key(Fork::Main), ours);
    let record = record(RM_HEAP, 0, key(Fork::Main), false, &empty_page(0, BEFORE));
    replay
        .verify(&record, "some", 0, PageBase::Previous, None)
        .unwrap();
    assert_eq!(replay.report.total().differences, 1);
    let expected = empty_page(0, END);
    assert_eq!(replay.pages.get(key(Fork::Main)), Some(&expected));
}

#[test]
fn the_lsn_before_the_record_counts() {
    let page = empty_page(0, BEFORE);
    let kind = found(RM_HEAP, Fork::Main, Lsn(0x800), &page, &page);
    assert_eq!(kind, Some(DifferenceKind::Lsn));
    let of_gist_build = empty_page(16, Lsn(1));
    assert_eq!(
        found(RM_GIST, Fork::Main, BEFORE, &of_gist_build, &of_gist_build),
        None
    );
}

#[test]
fn map_bits_may_be_cleared_early_but_not_missing() {
    let mut more = empty_page(0, BEFORE);
    more[500] = 3;
    let mut less = more;
    less[500] = 1;
    assert_eq!(found(RM_HEAP, Fork::Vm, BEFORE, &more, &less), None);
    let kind = found(RM_HEAP, Fork::Vm, BEFORE, &less, &more);
    assert_eq!(kind, Some(DifferenceKind::VisibilityMap));
}

#[test]
fn only_the_flag_of_gist_delete_is_a_known_difference() {
    const FLAGS: usize = BLCKSZ - 4;
    let arguments = arguments();
    let theirs = empty_page(16, BEFORE);
    for (bits, known) in [(0x04, 1), (0x06, 0)] {
        let mut replay = Replay::new(CONTEXT, &arguments);
        let mut ours = theirs;
        ours[FLAGS] |= bits;
        replay.pages.put(key(Fork::Main), ours);
        let record = record(RM_GIST, 0x10, key(Fork::Main), false, &theirs);
        replay
            .verify(&record, "Gist/DELETE", 0, PageBase::Previous, None)
            .unwrap();
        let total = replay.report.total();
        assert_eq!((total.known, total.differences), (known, 1 - known));
    }
}

#[test]
fn pages_become_known_by_images() {
    let arguments = arguments();
    let mut replay = Replay::new(CONTEXT, &arguments);
    let image = empty_page(0, BEFORE);
    replay
        .take(&record(RM_HEAP, 0x10, key(Fork::Main), false, &image))
        .unwrap();
    let total = replay.report.total();
    assert_eq!((total.skipped, total.adopted, total.compared), (1, 1, 0));
    assert!(!replay.report.is_clean(true));
    let known = replay.pages.get(key(Fork::Main)).unwrap();
    assert_eq!(pd_lsn(known), END);
    let restored = record(0, 0xB0, key(Fork::Init), true, &image);
    replay.take(&restored).unwrap();
    assert_eq!(replay.report.counts("XLOG/FPI").restored, 1);
    assert!(replay.pages.get(key(Fork::Init)).is_some());
}
