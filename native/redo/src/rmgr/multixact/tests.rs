//! Multixacts made, in both orders in which writers make pages for them, and truncated.

use offshoot_layout::{BLCKSZ, CheckPoint, Page, SlruKind};
use offshoot_wal::Record;

use crate::effect::Effect;
use crate::slru::SlruTruncation;
use crate::test_record::{CONTEXT, draft, parse, record, u32s};
use crate::{Target, apply_checkpoint_state, effects, redo};

const RM_MULTIXACT: u8 = 6;
const OFFSETS: SlruKind = SlruKind::MultiXactOffsets;
const MEMBERS: SlruKind = SlruKind::MultiXactMembers;

/// A multixact whose members are 800, 801, … with status 0, 1, ….
fn create_id(mid: u32, moff: u32, count: u32) -> Record {
    let members = (0..count).flat_map(|index| [800 + index, index % 6]);
    let main: Vec<_> = [mid, moff, count].into_iter().chain(members).collect();
    let mut draft = draft(RM_MULTIXACT, 0x20, &u32s(&main));
    draft.xid = 0;
    parse(&draft)
}

fn zero_offsets(number: u32) -> Record {
    record(RM_MULTIXACT, 0x00, &u32s(&[number]))
}

fn apply(record: &Record, kind: SlruKind, number: u32, page: &mut Page) {
    redo(record, Target::Slru { kind, page: number }, page, &CONTEXT).unwrap();
}

fn offset(page: &Page, mid: u32) -> u32 {
    offshoot_layout::le::u32_at(page, mid as usize % 2048 * 4).unwrap()
}

#[test]
fn create_touches_its_pages() {
    let cases = [
        ((9, 1, 2), vec![(OFFSETS, 0), (MEMBERS, 0)]),
        (
            (2047, 1635, 2),
            vec![(OFFSETS, 0), (OFFSETS, 1), (MEMBERS, 0), (MEMBERS, 1)],
        ),
        // After the last multixact comes 1; member offsets close their circle at 2^32.
        (
            (u32::MAX, u32::MAX, 2),
            vec![
                (OFFSETS, 0),
                (OFFSETS, 2_097_151),
                (MEMBERS, 0),
                (MEMBERS, 2_625_285),
            ],
        ),
    ];
    for ((mid, moff, count), pages) in cases {
        let list = effects(&create_id(mid, moff, count), &CONTEXT).unwrap();
        let slru = pages
            .into_iter()
            .map(|(kind, page)| Effect::Slru { kind, page });
        let expected: Vec<_> = std::iter::once(Effect::CheckPoint).chain(slru).collect();
        assert_eq!(list, expected);
    }
}

#[test]
fn create_writes_its_own_and_the_next_entry() {
    let mut page = [0; BLCKSZ];
    apply(&create_id(9, 100, 3), OFFSETS, 0, &mut page);
    assert_eq!((offset(&page, 9), offset(&page, 10)), (100, 103));
    // A next entry of 0 would mean "not written yet".
    apply(&create_id(20, u32::MAX, 1), OFFSETS, 0, &mut page);
    assert_eq!((offset(&page, 20), offset(&page, 21)), (u32::MAX, 1));
    apply(&create_id(u32::MAX, 50, 2), OFFSETS, 0, &mut page);
    assert_eq!((offset(&page, 0), offset(&page, 1)), (0, 52));
}

#[test]
fn members_are_in_groups_of_four() {
    let mut page = [0; BLCKSZ];
    apply(&create_id(9, 3, 3), MEMBERS, 0, &mut page);
    let mut expected = [0; BLCKSZ];
    expected[3] = 0;
    expected[16..20].copy_from_slice(&800u32.to_le_bytes());
    expected[20] = 1;
    expected[24..28].copy_from_slice(&801u32.to_le_bytes());
    expected[21] = 2;
    expected[28..32].copy_from_slice(&802u32.to_le_bytes());
    assert!(page == expected);
    // The last member of page 0 and the first of page 1.
    let across = create_id(9, 1635, 2);
    let mut pages = [[0; BLCKSZ]; 2];
    apply(&across, MEMBERS, 0, &mut pages[0]);
    apply(&across, MEMBERS, 1, &mut pages[1]);
    assert_eq!(pages[0][408 * 20 + 16..][..4], 800u32.to_le_bytes());
    assert_eq!(pages[1][4..8], 801u32.to_le_bytes());
    assert_eq!(pages[1][0], 1);
}

/// Page 1 begins with multixact 2048. Both writers end with the same page.
#[test]
fn offsets_page_survives_either_order_of_its_making() {
    let (last, first) = (create_id(2047, 100, 3), create_id(2048, 103, 2));
    let zero = zero_offsets(1);
    let older = [&last, &zero, &first];
    let later = [&zero, &last, &first];
    for order in [older, later] {
        let mut page = [0; BLCKSZ];
        for record in order {
            apply(record, OFFSETS, 1, &mut page);
        }
        assert_eq!((offset(&page, 2048), offset(&page, 2049)), (103, 105));
        assert!(page[8..].iter().all(|&byte| byte == 0));
    }
    // The older writer's page has the entry before the first multixact on it is made.
    let mut page = [0; BLCKSZ];
    apply(&last, OFFSETS, 1, &mut page);
    apply(&zero, OFFSETS, 1, &mut page);
    assert_eq!(offset(&page, 2048), 103);
}

#[test]
fn zeroing_keeps_the_first_entry_only() {
    for (number, first) in [(0, 1), (1, 0), (2_097_151, 0)] {
        let mut page = [7; BLCKSZ];
        apply(&zero_offsets(number), OFFSETS, number, &mut page);
        let mut expected = [0; BLCKSZ];
        expected[first * 4..][..4].fill(7);
        assert!(page == expected, "{number}");
    }
    let mut page = [7; BLCKSZ];
    apply(
        &record(RM_MULTIXACT, 0x10, &u32s(&[3])),
        MEMBERS,
        3,
        &mut page,
    );
    assert!(page == [0; BLCKSZ]);
}

#[test]
fn truncation_names_segments() {
    let truncate = |main: [u32; 5]| {
        let mut draft = draft(RM_MULTIXACT, 0x30, &u32s(&main));
        draft.xid = 0;
        effects(&parse(&draft), &CONTEXT).unwrap()
    };
    let expected = |members: (u32, u32), offsets_page| {
        [
            Effect::CheckPoint,
            Effect::SlruTruncate(SlruTruncation::range(MEMBERS, members.0, members.1)),
            Effect::SlruTruncate(SlruTruncation::before(OFFSETS, offsets_page)),
        ]
    };
    // Segments have 65536 multixacts, 52352 members.
    assert_eq!(truncate([5, 1, 70_000, 1, 110_000]), expected((0, 2), 34));
    // The multixact before the oldest that stays decides: here the last of page 31.
    assert_eq!(truncate([5, 1, 65_536, 1, 52_352]), expected((0, 1), 31));
    assert_eq!(
        truncate([5, 1, 1, u32::MAX, 1]),
        expected((0x14078, 0), 2_097_151)
    );
}

#[test]
fn counters_move_past_what_is_made() {
    let cases = [
        ((9, 100, 3), (10, 103, 803)),
        ((5, 10, 2), (8, 90, 802)),
        ((u32::MAX, u32::MAX, 1), (8, 90, 801)),
    ];
    for ((mid, moff, count), expected) in cases {
        let mut state = CheckPoint {
            next_xid: 750,
            next_multi: 8,
            next_multi_offset: 90,
            ..CheckPoint::default()
        };
        apply_checkpoint_state(&mut state, &create_id(mid, moff, count), &CONTEXT).unwrap();
        let found = (state.next_multi, state.next_multi_offset, state.next_xid);
        assert_eq!(found, (expected.0, expected.1, expected.2), "{mid}");
    }
    let mut state = CheckPoint {
        next_multi: u32::MAX,
        next_multi_offset: u32::MAX,
        ..CheckPoint::default()
    };
    apply_checkpoint_state(&mut state, &create_id(u32::MAX, u32::MAX, 1), &CONTEXT).unwrap();
    assert_eq!((state.next_multi, state.next_multi_offset), (1, 0));
}

#[test]
fn truncation_moves_the_oldest() {
    let mut state = CheckPoint::default();
    let record = record(RM_MULTIXACT, 0x30, &u32s(&[5, 1, 70_000, 1, 110_000]));
    apply_checkpoint_state(&mut state, &record, &CONTEXT).unwrap();
    assert_eq!((state.oldest_multi, state.oldest_multi_db), (70_000, 5));
}
