//! What records do to heap pages and to the visibility map.

use offshoot_layout::item::{ItemId, item_id, max_offset_number};
use offshoot_layout::page::{
    PD_ALL_VISIBLE, PD_HAS_FREE_LINES, init, pd_flags, pd_lower, pd_lsn, pd_upper, set_pd_lsn,
};
use offshoot_layout::{BLCKSZ, Fork, Lsn, Page};
use offshoot_wal::generate::RecordDraft;

use crate::page_items::item;
use crate::test_record::{CONTEXT, END, block, draft, key, parse};
use crate::{RedoContext, Target, redo};

const RM_HEAP2: u8 = 9;
const HEADER: [u8; 5] = [3, 0, 0x02, 0x08, 24];

fn u16s(values: &[u16]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

fn heap2(info: u8, main: &[u8], data: &[u8]) -> RecordDraft {
    let mut draft = draft(RM_HEAP2, info, main);
    let mut block = block(0, 3);
    block.will_init = info & 0x80 != 0;
    block.data = data.to_vec();
    draft.blocks = vec![block];
    draft
}

fn apply(page: &mut Page, draft: &RecordDraft) -> Result<(), String> {
    let result = redo(&parse(draft), Target::Block(0), page, &CONTEXT);
    assert!(result.is_err() || pd_lsn(page) == END);
    set_pd_lsn(page, Lsn(8));
    result.map(|_| ()).map_err(|error| error.to_string())
}

/// Tuples of these lengths, from the null bitmap on; each filled with its number.
fn multi_insert(info: u8, flags: u8, first: u16, lengths: &[u16]) -> RecordDraft {
    let mut main = vec![flags, 0];
    main.extend(u16s(&[lengths.len() as u16]));
    let mut data = Vec::new();
    for (offnum, length) in (first..).zip(lengths) {
        if info & 0x80 == 0 {
            main.extend(u16s(&[offnum]));
        }
        data.resize(data.len().next_multiple_of(2), 0);
        data.extend(length.to_le_bytes());
        data.extend(HEADER);
        data.extend(vec![offnum as u8; usize::from(*length)]);
    }
    heap2(info, &main, &data)
}

const LENGTHS: [u16; 6] = [1, 9, 17, 2, 40, 5];

fn some_page() -> Page {
    let mut page = [7; BLCKSZ];
    apply(&mut page, &multi_insert(0xD0, 0, 1, &LENGTHS)).unwrap();
    page
}

#[test]
fn many_tuples_are_inserted() {
    let mut page = some_page();
    apply(&mut page, &multi_insert(0x50, 0x20, 7, &[3, 4])).unwrap();
    assert_eq!(pd_flags(&page), PD_ALL_VISIBLE);
    apply(&mut page, &multi_insert(0x50, 0x01, 9, &[5])).unwrap();
    assert_eq!(pd_flags(&page), 0);
    for (offnum, length) in (1..).zip(LENGTHS.iter().chain(&[3, 4, 5])) {
        let bytes = item(&page, offnum).unwrap();
        assert_eq!(bytes[12..18], [0, 0, 3, 0, offnum as u8, 0]);
        assert_eq!(bytes[18..23], HEADER);
        assert_eq!(bytes[23..], vec![offnum as u8; usize::from(*length)]);
    }
}

#[test]
fn tuples_must_be_as_many_as_promised() {
    let good = multi_insert(0x50, 0, 7, &[3, 4]);
    let mut cases = vec![good.clone(); 4];
    cases[0].blocks[0].data.push(0);
    cases[1].blocks[0].data.pop();
    cases[2].main.pop();
    cases[3].main[2] = 3;
    for case in cases {
        assert!(apply(&mut some_page(), &case).is_err());
    }
    assert!(apply(&mut some_page(), &good).is_ok());
}

fn prune(redirected: &[u16], dead: &[u16], unused: &[u16]) -> RecordDraft {
    let mut main = vec![1, 0, 0, 0];
    main.extend(u16s(&[redirected.len() as u16 / 2, dead.len() as u16]));
    heap2(0x10, &main, &u16s(&[redirected, dead, unused].concat()))
}

#[test]
fn pruning_closes_gaps() {
    let before = some_page();
    let mut page = before;
    apply(&mut page, &prune(&[1, 5], &[2], &[4, 6])).unwrap();
    let line = |offset, flags| ItemId {
        offset,
        flags,
        length: 0,
    };
    assert_eq!(max_offset_number(&page), 5);
    assert_eq!(item_id(&page, 1), Some(line(5, 2)));
    assert_eq!(item_id(&page, 2), Some(line(0, 3)));
    assert_eq!(item_id(&page, 4), Some(ItemId::default()));
    assert_eq!(pd_flags(&page), PD_HAS_FREE_LINES);
    assert_eq!(usize::from(pd_upper(&page)), BLCKSZ - 40 - 64);
    for kept in [3, 5] {
        assert_eq!(item(&page, kept), item(&before, kept));
    }
    apply(&mut page, &prune(&[], &[], &[1, 2, 3, 5])).unwrap();
    assert_eq!((pd_lower(&page), pd_upper(&page)), (24, 8192));
    assert_eq!(pd_flags(&page), 0);
}

fn vacuum(unused: &[u16]) -> RecordDraft {
    heap2(0x20, &u16s(&[unused.len() as u16]), &u16s(unused))
}

#[test]
fn vacuum_keeps_the_first_line_pointer() {
    let mut page = some_page();
    apply(&mut page, &prune(&[], &[1, 2, 4, 5, 6], &[])).unwrap();
    for (unused, kept, flags) in [
        (&[2, 4][..], 6, PD_HAS_FREE_LINES),
        (&[5, 6], 3, PD_HAS_FREE_LINES),
        (&[1], 3, PD_HAS_FREE_LINES),
        (&[3], 1, PD_HAS_FREE_LINES),
    ] {
        apply(&mut page, &vacuum(unused)).unwrap();
        assert_eq!((max_offset_number(&page), pd_flags(&page)), (kept, flags));
    }
    let mut page = some_page();
    apply(&mut page, &vacuum(&[6, 5])).unwrap();
    assert_eq!((max_offset_number(&page), pd_flags(&page)), (4, 0));
}

#[test]
fn freezing_replaces_the_tuple_s_state() {
    for (frzflags, field3) in [(0, [0, 0]), (2, [2, 0]), (4, [0, 0])] {
        let mut page = some_page();
        let entry = [9, 0, 0, 0, 2, 0, 0x34, 0x12, 0x78, 0x56, frzflags, 0];
        let main = [1, 0, 0, 0, 1, 0];
        apply(&mut page, &heap2(0x30, &main, &entry)).unwrap();
        let bytes = item(&page, 2).unwrap();
        assert_eq!(bytes[4..10], [9, 0, 0, 0, field3[0], field3[1]]);
        assert_eq!(bytes[18..22], [0x34, 0x12, 0x78, 0x56]);
        let two = [1, 0, 0, 0, 2, 0];
        assert!(apply(&mut page, &heap2(0x30, &two, &entry)).is_err());
        assert!(apply(&mut page, &heap2(0x30, &main, &entry[1..])).is_err());
    }
}

#[test]
fn lock_of_a_later_version_leaves_its_chain() {
    let mut page = some_page();
    let before = item(&page, 2).unwrap().to_vec();
    let lock = heap2(0x60, &[9, 0, 0, 0, 2, 0, 0x0A, 0], &[]);
    apply(&mut page, &lock).unwrap();
    let after = item(&page, 2).unwrap();
    assert_eq!(after[4..8], [9, 0, 0, 0]);
    assert_eq!(after[8..20], before[8..20]);
    assert_eq!(after[20..22], [0x92, 0]);
}

fn visible(heap_block: u32, bits: u8) -> RecordDraft {
    let mut draft = draft(RM_HEAP2, 0x40, &[1, 0, 0, 0, bits]);
    let mut map = block(0, 0);
    map.key = key(Fork::Vm, heap_block / 32_672);
    draft.blocks = vec![map, block(1, heap_block)];
    draft
}

#[test]
fn visible_adds_bits_to_the_map() {
    let mut map = [0; BLCKSZ];
    apply(&mut map, &visible(32_672 + 6, 1)).unwrap();
    let mut expected = [0; BLCKSZ];
    init(&mut expected, 0);
    expected[25] = 0x10;
    set_pd_lsn(&mut expected, Lsn(8));
    assert!(map == expected);
    // Nothing to change, nothing to stamp.
    let again = parse(&visible(32_672 + 6, 1));
    redo(&again, Target::Block(0), &mut map, &CONTEXT).unwrap();
    assert!(map == expected);
    apply(&mut map, &visible(6, 3)).unwrap();
    assert_eq!(map[25], 0x30);
    let mut elsewhere = visible(6, 3);
    elsewhere.blocks[0].key.block = 1;
    for bad in [visible(6, 0), visible(6, 4), elsewhere] {
        assert!(apply(&mut map, &bad).is_err());
    }
}

#[test]
fn visible_stamps_the_heap_page_where_hints_are_logged() {
    for (checksums, wal_log_hints) in [(false, false), (true, false), (false, true)] {
        let context = RedoContext {
            checksums,
            wal_log_hints,
            ..CONTEXT
        };
        let mut page = some_page();
        redo(
            &parse(&visible(3, 1)),
            Target::Block(1),
            &mut page,
            &context,
        )
        .unwrap();
        let stamped = checksums || wal_log_hints;
        assert_eq!(pd_lsn(&page), if stamped { END } else { Lsn(8) });
        assert_eq!(pd_flags(&page), PD_ALL_VISIBLE);
    }
}

#[test]
fn any_bytes_give_errors_at_worst() {
    let mut seed = 1u64;
    let mut random = move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) as usize
    };
    let infos = [0x10, 0x20, 0x30, 0x40, 0x50, 0xD0, 0x60];
    for _ in 0..30_000 {
        let mut page = some_page();
        for _ in 0..random() % 4 {
            page[10 + random() % 22] = random() as u8;
        }
        let main: Vec<u8> = (0..random() % 16).map(|_| random() as u8 % 4).collect();
        let data: Vec<u8> = (0..random() % 40).map(|_| random() as u8 % 9).collect();
        let record = heap2(infos[random() % infos.len()], &main, &data);
        let _ = redo(&parse(&record), Target::Block(0), &mut page, &CONTEXT);
    }
}
