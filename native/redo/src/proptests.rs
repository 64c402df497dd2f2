//! No bytes make a panic, and every page that `effects` names can be asked for.

use offshoot_layout::page::is_new;
use offshoot_layout::{BLCKSZ, CheckPoint, Fork, SlruKind};
use offshoot_wal::generate::{BlockDraft, RecordDraft};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::effect::Effect;
use crate::rmgr_table::OPCODES;
use crate::test_record::{CONTEXT, block, draft, key, parse, some_page, u32s, with_image};
use crate::{RedoError, Target, apply_checkpoint_state, effects, record_name, redo};

/// Resource managers that the WAL parser lets through.
fn rmid() -> impl Strategy<Value = u8> {
    prop_oneof![9 => 0u8..22, 1 => 128u8..=255]
}

fn blocks() -> impl Strategy<Value = Vec<BlockDraft>> {
    let one = (
        0u8..4,
        any::<u32>(),
        any::<bool>(),
        0u8..3,
        vec(any::<u8>(), 0..16),
        0u8..4,
    );
    vec(one, 0..3).prop_map(|parts| {
        (0..)
            .zip(parts)
            .map(|(id, (fork, number, will_init, image, data, gap))| {
                let fork = Fork::from_number(fork).unwrap();
                let plain = BlockDraft {
                    key: key(fork, number),
                    will_init,
                    data,
                    ..block(id * 4 + gap, number)
                };
                match image {
                    0 => plain,
                    apply => {
                        with_image(plain, &some_page(3, crate::test_record::START), apply == 1)
                    }
                }
            })
            .collect()
    })
}

/// Payloads as Postgres writes them, of every record type with a parser.
fn valid() -> Vec<(u8, u8, Vec<u8>)> {
    let commit = [
        vec![0; 8],
        u32s(&[
            0x1BF, 5, 1663, 1, 701, 1, 1663, 5, 16384, 1, 2, 5, 16384, 1, 0, 0, 0, 0, 690,
        ]),
        b"gid\0".to_vec(),
        vec![0; 16],
    ]
    .concat();
    let header = [
        u32s(&[0x57F9_4534, 88, 690, 5, 0, 0, 10, 1]),
        vec![0; 22],
        vec![2, 0],
    ];
    let prepare = [
        header.concat(),
        vec![0; 16],
        b"g\0\0\0\0\0\0\0".to_vec(),
        u32s(&[702]),
    ]
    .concat();
    vec![
        (0, 0x00, CheckPoint::default().to_bytes().to_vec()),
        (0, 0x10, CheckPoint::default().to_bytes().to_vec()),
        (0, 0x30, u32s(&[20_000])),
        (0, 0x60, u32s(&[100, 8, 10, 0, 64, 1, 0x0101])),
        (0, 0x90, u32s(&[0, 0, 2, 1])),
        (1, 0x80, commit.clone()),
        (1, 0xA0, commit.clone()),
        (1, 0xB0, commit.clone()),
        (1, 0xC0, commit),
        (1, 0x10, prepare),
        (2, 0x10, u32s(&[1663, 5, 16384, 1])),
        (2, 0x20, u32s(&[10, 1663, 5, 16384, 7])),
        (3, 0x00, u32s(&[7])),
        (3, 0x10, u32s(&[64, 1, 5])),
        (4, 0x00, u32s(&[5, 1663, 1, 1663])),
        (4, 0x20, u32s(&[5, 2, 1663, 777])),
        (5, 0x00, [u32s(&[777]), b"/mnt\0".to_vec()].concat()),
        (6, 0x00, u32s(&[3])),
        (6, 0x20, u32s(&[2047, 1635, 2, 800, 0, 801, 5])),
        (6, 0x30, u32s(&[5, 1, 70_000, 1, 110_000])),
        (7, 0x00, [u32s(&[5, 1663, 512]), vec![0; 512]].concat()),
        (8, 0x10, u32s(&[0, 0, 0, 700, 690, 699])),
        (9, 0x50, vec![1, 0, 1, 0]),
        (10, 0x20, vec![3; 14]),
        (18, 0x00, u32s(&[7])),
        (18, 0x10, u32s(&[7, 700])),
        (19, 0x00, vec![1; 16]),
    ]
}

/// Valid payloads with bytes changed, and cut off or grown.
fn mutated() -> impl Strategy<Value = (u8, u8, Vec<u8>)> {
    let changes = vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    let parts = (
        prop::sample::select(valid()),
        changes,
        any::<prop::sample::Index>(),
        0u8..4,
    );
    parts.prop_map(|((rmid, info, mut main), changes, cut, how)| {
        for (at, byte) in changes {
            let at = at.index(main.len());
            main[at] = byte;
        }
        match how {
            0 => main.truncate(cut.index(main.len())),
            1 => main.extend(vec![0xA5; cut.index(40)]),
            _ => {}
        }
        (rmid, info, main)
    })
}

fn target(effect: &Effect) -> Option<Target> {
    match effect {
        Effect::Page { block_id, .. } => Some(Target::Block(*block_id)),
        Effect::VmClear { key } => Some(Target::VmClear(*key)),
        Effect::FsmTruncate { key } => Some(Target::FsmTruncate(*key)),
        Effect::Slru { kind, page } | Effect::SlruZero { kind, page } => Some(Target::Slru {
            kind: *kind,
            page: *page,
        }),
        _ => None,
    }
}

/// Everything that is done with a record, on targets it names and on some it may not.
fn exercise(draft: &RecordDraft, before: [u8; BLCKSZ]) {
    let record = parse(draft);
    let mut state = CheckPoint {
        next_xid: u64::MAX,
        ..CheckPoint::default()
    };
    let _ = apply_checkpoint_state(&mut state, &record, &CONTEXT);
    let listed = effects(&record, &CONTEXT);
    let is_unknown = matches!(listed, Err(RedoError::Unknown { .. }));
    assert_eq!(is_unknown, record_name(&record).is_none());
    for effect in listed.into_iter().flatten() {
        if let Some(target) = target(&effect) {
            let result = redo(&record, target, &mut { before }, &CONTEXT);
            let expected = match result {
                Ok(_) | Err(RedoError::Unsupported { .. }) => true,
                // Only the page tells whether what the record says of it can be.
                Err(RedoError::Malformed { .. }) => matches!(effect, Effect::Page { .. }),
                Err(RedoError::NoBase { .. }) => is_new(&before),
                Err(_) => false,
            };
            assert!(expected, "{effect:?}: {result:?}");
        }
        if let Effect::SlruTruncate(truncation) = effect {
            for segment in [0, 1, 0xFFF, 0x14078, u32::MAX] {
                let _ = truncation.removes(segment);
            }
        }
    }
    for kind in SlruKind::ALL {
        let _ = redo(
            &record,
            Target::Slru { kind, page: 0 },
            &mut { before },
            &CONTEXT,
        );
    }
    for target in [Target::Block(0), Target::VmClear(key(Fork::Vm, 0))] {
        let _ = redo(&record, target, &mut { before }, &CONTEXT);
    }
}

fn any_page() -> impl Strategy<Value = [u8; BLCKSZ]> {
    prop_oneof![
        Just([0; BLCKSZ]),
        any::<u8>().prop_map(|byte| [byte; BLCKSZ])
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn arbitrary_payloads(
        rmid in rmid(),
        info in any::<u8>(),
        xid in any::<u32>(),
        main in vec(any::<u8>(), 0..100),
        blocks in blocks(),
        page in any_page(),
    ) {
        let draft = RecordDraft { xid, blocks, ..draft(rmid, info, &main) };
        exercise(&draft, page);
    }

    #[test]
    fn mutated_payloads(
        (rmid, info, main) in mutated(),
        xid in any::<u32>(),
        blocks in blocks(),
        page in any_page(),
    ) {
        let blocks = if rmid == 9 || rmid == 10 { blocks } else { Vec::new() };
        let draft = RecordDraft { xid, blocks, ..draft(rmid, info, &main) };
        exercise(&draft, page);
    }
}

#[test]
fn valid_payloads_are_taken() {
    for (rmid, info, main) in valid() {
        let mut draft = draft(rmid, info, &main);
        if rmid == 9 || rmid == 10 {
            draft.blocks = vec![block(0, 3)];
        }
        let record = parse(&draft);
        effects(&record, &CONTEXT).unwrap();
        apply_checkpoint_state(&mut CheckPoint::default(), &record, &CONTEXT).unwrap();
    }
    // No row takes a record without any bytes for more than it is.
    for row in &OPCODES {
        exercise(&draft(row.rmid, row.opcode, &[]), [0; BLCKSZ]);
    }
}
