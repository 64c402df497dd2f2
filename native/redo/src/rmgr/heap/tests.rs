//! Which bits of the visibility map which records clear.

use offshoot_layout::{BLCKSZ, Fork, Lsn, page};
use offshoot_wal::generate::RecordDraft;

use crate::effect::Effect;
use crate::test_record::{CONTEXT, block, draft, key, parse, some_page, with_image};
use crate::{Outcome, Target, effects, redo};

/// The record with the flags byte at `at`, on the given heap blocks.
fn heap(rmid: u8, info: u8, at: usize, flags: u8, blocks: &[u32]) -> RecordDraft {
    let mut main = vec![0; 14];
    main[at] = flags;
    let mut draft = draft(rmid, info, &main);
    draft.blocks = (0..)
        .zip(blocks)
        .map(|(id, &number)| block(id, number))
        .collect();
    draft
}

/// (map block, byte on it, what is left of 0xFF there)
type Cleared = (u32, usize, u8);

#[test]
fn flags_decide_what_is_cleared() {
    const FAR: u32 = 32_672 + 1;
    let cases: Vec<(&str, RecordDraft, Vec<Cleared>)> = vec![
        ("insert", heap(10, 0x00, 2, 0x01, &[5]), vec![(0, 25, 0xF3)]),
        (
            "insert, init",
            heap(10, 0x80, 2, 0x01, &[5]),
            vec![(0, 25, 0xF3)],
        ),
        ("insert, not visible", heap(10, 0x00, 2, 0xFE, &[5]), vec![]),
        (
            "multi insert",
            heap(9, 0x50, 0, 0x01, &[FAR]),
            vec![(1, 24, 0xF3)],
        ),
        (
            "multi insert, init",
            heap(9, 0xD0, 0, 0x01, &[5]),
            vec![(0, 25, 0xF3)],
        ),
        ("multi insert, frozen", heap(9, 0x50, 0, 0x20, &[5]), vec![]),
        ("delete", heap(10, 0x10, 7, 0x01, &[5]), vec![(0, 25, 0xF3)]),
        ("delete, not visible", heap(10, 0x10, 7, 0x08, &[5]), vec![]),
        (
            "update, old",
            heap(10, 0x20, 7, 0x01, &[FAR, 5]),
            vec![(0, 25, 0xF3)],
        ),
        (
            "update, new",
            heap(10, 0x20, 7, 0x02, &[FAR, 5]),
            vec![(1, 24, 0xF3)],
        ),
        (
            "update over two map pages",
            heap(10, 0x20, 7, 0x03, &[FAR, 5]),
            vec![(0, 25, 0xF3), (1, 24, 0xF3)],
        ),
        (
            "update within one",
            heap(10, 0x20, 7, 0x03, &[4, 5]),
            vec![(0, 25, 0xF0)],
        ),
        (
            "update on one page",
            heap(10, 0xA0, 7, 0x01, &[5]),
            vec![(0, 25, 0xF3)],
        ),
        (
            "hot update",
            heap(10, 0x40, 7, 0x01, &[5]),
            vec![(0, 25, 0xF3)],
        ),
        (
            "hot update, init",
            heap(10, 0xC0, 7, 0x02, &[5]),
            vec![(0, 25, 0xF3)],
        ),
        ("lock", heap(10, 0x60, 7, 0x01, &[5]), vec![(0, 25, 0xF7)]),
        ("lock, not frozen", heap(10, 0x60, 7, 0x00, &[5]), vec![]),
        (
            "lock updated",
            heap(9, 0x60, 7, 0x01, &[5]),
            vec![(0, 25, 0xF7)],
        ),
        ("inplace", heap(10, 0x70, 7, 0x01, &[5]), vec![]),
        ("prune", heap(9, 0x10, 7, 0x01, &[5]), vec![]),
    ];
    for (what, draft, cleared) in cases {
        let record = parse(&draft);
        let list = effects(&record, &CONTEXT).unwrap();
        let found: Vec<_> = list
            .into_iter()
            .filter_map(|effect| match effect {
                Effect::VmClear { key } => Some(key),
                _ => None,
            })
            .collect();
        let expected: Vec<_> = cleared
            .iter()
            .map(|&(map, ..)| key(Fork::Vm, map))
            .collect();
        assert_eq!(found, expected, "{what}");
        for (map, byte, left) in cleared {
            let before = some_page(0xFF, Lsn(u64::MAX));
            let mut after = before;
            let target = Target::VmClear(key(Fork::Vm, map));
            let outcome = redo(&record, target, &mut after, &CONTEXT).unwrap();
            assert_eq!(outcome, Outcome::Applied);
            let mut expected = before;
            expected[byte] = left;
            assert!(after == expected, "{what}");
        }
    }
}

#[test]
fn image_of_the_heap_page_does_not_spare_the_map() {
    let mut draft = heap(10, 0x00, 2, 0x01, &[]);
    draft.blocks = vec![with_image(block(0, 5), &some_page(1, Lsn(8)), true)];
    let list = effects(&parse(&draft), &CONTEXT).unwrap();
    let key = key(Fork::Vm, 0);
    assert!(list.contains(&Effect::VmClear { key }), "{list:?}");
}

#[test]
fn map_page_of_zeros_stays_one() {
    let record = parse(&heap(10, 0x00, 2, 0x01, &[5]));
    let mut map = [0; BLCKSZ];
    redo(
        &record,
        Target::VmClear(key(Fork::Vm, 0)),
        &mut map,
        &CONTEXT,
    )
    .unwrap();
    assert!(page::is_new(&map) && map == [0; BLCKSZ]);
}

#[test]
fn pages_that_are_not_cleared_are_refused() {
    let record = parse(&heap(10, 0x00, 2, 0x01, &[5]));
    for target in [key(Fork::Vm, 1), key(Fork::Main, 0), key(Fork::Fsm, 0)] {
        let result = redo(
            &record,
            Target::implicit(target),
            &mut [0; BLCKSZ],
            &CONTEXT,
        );
        assert!(result.is_err(), "{target}");
    }
}
