//! Forks made and cut off.

use offshoot_layout::{BLCKSZ, Fork, page};

use crate::effect::Effect;
use crate::test_record::{CONTEXT, draft, key, parse, rel, some_page, u32s};
use crate::{Outcome, Target, effects, redo};

const RM_SMGR: u8 = 2;
const HEAP: u32 = 1;
const VM: u32 = 2;
const FSM: u32 = 4;

fn truncate(blocks: u32, flags: u32) -> offshoot_wal::Record {
    let mut draft = draft(RM_SMGR, 0x20, &u32s(&[blocks, 1663, 5, 16384, flags]));
    draft.xid = 0;
    parse(&draft)
}

#[test]
fn create_makes_the_fork() {
    for fork in Fork::ALL {
        let mut draft = draft(RM_SMGR, 0x10, &u32s(&[1663, 5, 16384, fork as u32]));
        draft.xid = 0;
        let expected = [Effect::Create { rel: rel(fork) }];
        assert_eq!(effects(&parse(&draft), &CONTEXT).unwrap(), expected);
    }
}

#[test]
fn truncate_cuts_the_maps_too() {
    let create = Effect::Create {
        rel: rel(Fork::Main),
    };
    let cut = |fork, blocks| Effect::Truncate {
        rel: rel(fork),
        blocks,
    };
    let vm = |block| Effect::VmClear {
        key: key(Fork::Vm, block),
    };
    let fsm = |block| Effect::FsmTruncate {
        key: key(Fork::Fsm, block),
    };
    let all = HEAP | VM | FSM;
    let cases = [
        (
            0,
            all,
            vec![
                create.clone(),
                cut(Fork::Main, 0),
                cut(Fork::Vm, 0),
                cut(Fork::Fsm, 2),
            ],
        ),
        (
            10,
            all,
            vec![
                vm(0),
                fsm(2),
                create.clone(),
                cut(Fork::Main, 10),
                cut(Fork::Vm, 1),
                cut(Fork::Fsm, 3),
            ],
        ),
        (
            32_672,
            all,
            vec![
                fsm(10),
                create.clone(),
                cut(Fork::Main, 32_672),
                cut(Fork::Vm, 1),
                cut(Fork::Fsm, 11),
            ],
        ),
        (10, HEAP, vec![create.clone(), cut(Fork::Main, 10)]),
        (10, VM, vec![vm(0), create, cut(Fork::Vm, 1)]),
    ];
    for (blocks, flags, expected) in cases {
        let list = effects(&truncate(blocks, flags), &CONTEXT).unwrap();
        assert_eq!(list, expected, "{blocks} {flags}");
    }
}

#[test]
fn tails_are_cleared_without_a_stamp() {
    let record = truncate(10, HEAP | VM | FSM);
    for (fork, block) in [(Fork::Vm, 0), (Fork::Fsm, 2)] {
        // Even a page with a later LSN: it means nothing here.
        let before = some_page(0xFF, offshoot_layout::Lsn(u64::MAX));
        let mut after = before;
        let target = Target::implicit(key(fork, block));
        assert_eq!(
            redo(&record, target, &mut after, &CONTEXT).unwrap(),
            Outcome::Applied
        );
        assert_eq!(page::pd_lsn(&after), page::pd_lsn(&before));
        assert!(after != before);
        assert_eq!(after[BLCKSZ - 1], 0);
    }
}

#[test]
fn other_map_pages_are_refused() {
    let record = truncate(10, HEAP | VM);
    for (fork, block) in [(Fork::Vm, 1), (Fork::Fsm, 2), (Fork::Main, 0)] {
        let target = Target::implicit(key(fork, block));
        assert!(redo(&record, target, &mut [0; BLCKSZ], &CONTEXT).is_err());
    }
}
