//! Commit, abort and prepare as Postgres logs them.

use offshoot_layout::{BLCKSZ, CheckPoint, Lsn, SlruKind};
use offshoot_wal::generate::RecordDraft;

use super::Fate;
use crate::effect::{Effect, OriginAdvance};
use crate::test_record::{CONTEXT, draft, parse, u32s};
use crate::{RedoContext, Target, apply_checkpoint_state, effects, redo};

const RM_XACT: u8 = 1;
const HAS_INFO: u8 = 0x80;
const TIME: i64 = 0x0102_0304_0506_0708;
const ORIGIN_TIME: i64 = 0x1112_1314_1516_1718;

/// All parts of a commit at once: subtransactions 701 and 33000, two dropped relations,
/// statistics, an invalidation message, prepared transaction 690 named "gid", an origin.
fn everything() -> Vec<u8> {
    let xinfo = 0x001 | 0x002 | 0x004 | 0x008 | 0x010 | 0x020 | 0x040 | 0x080 | 0x100;
    [
        TIME.to_le_bytes().to_vec(),
        u32s(&[xinfo, 5, 1663]),
        u32s(&[2, 701, 33_000]),
        u32s(&[2, 1663, 5, 16384, 777, 5, 16390]),
        u32s(&[1, 2, 5, 16384]),
        u32s(&[1, 0, 0, 0, 0]),
        u32s(&[690]),
        b"gid\0".to_vec(),
        0xABCD_u64.to_le_bytes().to_vec(),
        ORIGIN_TIME.to_le_bytes().to_vec(),
    ]
    .concat()
}

fn plain(opcode: u8) -> RecordDraft {
    draft(RM_XACT, opcode, &TIME.to_le_bytes())
}

fn with_everything(opcode: u8) -> RecordDraft {
    let mut draft = draft(RM_XACT, opcode | HAS_INFO, &everything());
    draft.origin = Some(3);
    draft
}

fn slru(kind: SlruKind, page: u32) -> Effect {
    Effect::Slru { kind, page }
}

fn drops() -> [Effect; 2] {
    let drop = |spc, rel| Effect::DropRelation { spc, db: 5, rel };
    [drop(1663, 16384), drop(777, 16390)]
}

fn origin(node: u16) -> Effect {
    Effect::Origin {
        node,
        remote_lsn: Lsn(0xABCD),
        advance: OriginAdvance::Forward,
    }
}

#[test]
fn commit_and_abort_tell_what_to_do() {
    let (xact, commit_ts) = (SlruKind::Xact, SlruKind::CommitTs);
    let ended = Effect::TwoPhaseEnd { xid: 690 };
    let committed = |first_ts| {
        vec![
            Effect::CheckPoint,
            slru(xact, 0),
            slru(xact, 1),
            slru(commit_ts, first_ts),
            slru(commit_ts, 40),
        ]
    };
    let aborted = vec![Effect::CheckPoint, slru(xact, 0), slru(xact, 1)];
    let cases = [
        (
            plain(0x00),
            vec![Effect::CheckPoint, slru(xact, 0), slru(commit_ts, 0)],
        ),
        (plain(0x20), vec![Effect::CheckPoint, slru(xact, 0)]),
        (
            with_everything(0x30),
            [
                committed(0),
                drops().to_vec(),
                vec![ended.clone(), origin(3)],
            ]
            .concat(),
        ),
        (
            with_everything(0x40),
            [aborted, drops().to_vec(), vec![ended, origin(3)]].concat(),
        ),
        (
            with_everything(0x00),
            [committed(0), drops().to_vec(), vec![origin(3)]].concat(),
        ),
    ];
    for (draft, expected) in cases {
        assert_eq!(effects(&parse(&draft), &CONTEXT).unwrap(), expected);
    }
}

#[test]
fn without_commit_timestamps_only_the_status_is_kept() {
    let context = RedoContext {
        track_commit_timestamp: false,
        ..CONTEXT
    };
    let expected = [Effect::CheckPoint, slru(SlruKind::Xact, 0)];
    assert_eq!(effects(&parse(&plain(0x00)), &context).unwrap(), expected);
}

#[test]
fn status_of_the_transaction_that_ended_is_set() {
    // The record's own xid is 700; a prepared transaction's is 690.
    let cases = [
        (plain(0x00), vec![(700, 1)]),
        (plain(0x20), vec![(700, 2)]),
        (
            with_everything(0x00),
            vec![(700, 1), (701, 1), (690, 0), (33_000, 1)],
        ),
        (
            with_everything(0x30),
            vec![(690, 1), (701, 1), (700, 0), (33_000, 1)],
        ),
        (
            with_everything(0x40),
            vec![(690, 2), (701, 2), (700, 0), (33_000, 2)],
        ),
    ];
    for (draft, statuses) in cases {
        let record = parse(&draft);
        for (xid, expected) in statuses {
            let (kind, number) = (SlruKind::Xact, xid / 32_768);
            let mut page = [0; BLCKSZ];
            let result = redo(
                &record,
                Target::Slru { kind, page: number },
                &mut page,
                &CONTEXT,
            );
            assert!(result.is_ok() || number == 1, "{result:?}");
            let status = page[xid as usize % 32_768 / 4] >> (xid % 4 * 2) & 3;
            assert_eq!(status, expected, "{xid} after {:02X}", record.info);
        }
    }
}

#[test]
fn timestamps_are_the_origins_if_there_is_one() {
    let cases = [
        (plain(0x00), 700, TIME, 0),
        (with_everything(0x30), 690, ORIGIN_TIME, 3),
    ];
    for (draft, xid, time, node) in cases {
        let target = Target::Slru {
            kind: SlruKind::CommitTs,
            page: 0,
        };
        let mut page = [0; BLCKSZ];
        redo(&parse(&draft), target, &mut page, &CONTEXT).unwrap();
        let entry = &page[xid * 10..][..10];
        assert_eq!(entry[..8], i64::to_le_bytes(time));
        assert_eq!(entry[8..], u16::to_le_bytes(node));
    }
}

#[test]
fn pages_of_other_transactions_are_refused() {
    let targets = [
        (SlruKind::Xact, 2),
        (SlruKind::CommitTs, 1),
        (SlruKind::MultiXactOffsets, 0),
    ];
    for (kind, number) in targets {
        let mut page = [0; BLCKSZ];
        let target = Target::Slru { kind, page: number };
        assert!(redo(&parse(&plain(0x00)), target, &mut page, &CONTEXT).is_err());
    }
}

/// Body of a two-phase file: gid "g" (2 bytes, padded to 8), subtransactions 702 and 703.
fn prepared() -> Vec<u8> {
    let header = [
        u32s(&[0x57F9_4534, 72 + 8 + 8 + 4, 690, 5, 0, 0, 10, 2]),
        vec![0; 22],
        vec![2, 0],
        0xABCD_u64.to_le_bytes().to_vec(),
        TIME.to_le_bytes().to_vec(),
    ];
    [
        header.concat(),
        b"g\0\0\0\0\0\0\0".to_vec(),
        u32s(&[702, 703]),
    ]
    .concat()
}

#[test]
fn prepare_keeps_the_file_with_its_crc() {
    let mut draft = draft(RM_XACT, 0x10, &prepared());
    draft.origin = Some(3);
    let mut bytes = prepared();
    bytes.extend(crc32c::crc32c(&prepared()).to_le_bytes());
    let expected = [
        Effect::CheckPoint,
        Effect::TwoPhase { xid: 690, bytes },
        origin(3),
    ];
    assert_eq!(effects(&parse(&draft), &CONTEXT).unwrap(), expected);
    // Changes that must not be replicated further come from no origin.
    for no_origin in [None, Some(0), Some(u16::MAX)] {
        draft.origin = no_origin;
        let list = effects(&parse(&draft), &CONTEXT).unwrap();
        assert_eq!(list, expected[..2], "{no_origin:?}");
    }
}

#[test]
fn next_xid_passes_every_listed_transaction() {
    let cases = [
        (plain(0x00), 701, 700),
        (plain(0x20), 701, 600),
        (with_everything(0x30), 33_001, 33_000),
        (with_everything(0x40), 33_001, 600),
        (draft(RM_XACT, 0x10, &prepared()), 704, 600),
    ];
    for (draft, next_xid, newest_commit_ts_xid) in cases {
        let mut state = CheckPoint {
            next_xid: 650,
            newest_commit_ts_xid: 600,
            ..CheckPoint::default()
        };
        apply_checkpoint_state(&mut state, &parse(&draft), &CONTEXT).unwrap();
        assert_eq!(state.next_xid, next_xid);
        assert_eq!(state.newest_commit_ts_xid, newest_commit_ts_xid);
    }
}

#[test]
fn commit_and_abort_records_say_when() {
    let committed = Some((Fate::Committed, TIME));
    let rolled_back = Some((Fate::RolledBack, TIME));
    for (opcode, expected) in [
        (0x00, committed),
        (0x30, committed),
        (0x20, rolled_back),
        (0x40, rolled_back),
        (0x10, None),
    ] {
        // What an origin says of the time does not count.
        let record = parse(&with_everything(opcode));
        assert_eq!(super::fate(&record), expected, "{opcode:#x}");
    }
    assert_eq!(super::fate(&parse(&plain(0x00))), committed);
    let elsewhere = draft(10, 0x00, &TIME.to_le_bytes());
    assert_eq!(super::fate(&parse(&elsewhere)), None);
    let short = draft(RM_XACT, 0x00, &[0; 7]);
    assert_eq!(super::fate(&parse(&short)), None);
}
