//! What the oracle's workload does not show: bytes that Postgres never writes, geometry at its
//! edges, and which pages keep their LSN.

use offshoot_layout::item::max_offset_number;
use offshoot_layout::le::{u16_at, u32_at};
use offshoot_layout::page::{pd_lower, pd_lsn, set_pd_lsn};
use offshoot_layout::{BLCKSZ, Lsn, Page};
use offshoot_wal::generate::BlockDraft;

use super::meta_page::{spare_index, total_buckets};
use super::page::{LH_META_PAGE, LH_OVERFLOW_PAGE, init_page};
use super::record::{InitMetaPage, OffsetNumbers, for_each_moved_tuple, parse_vacuum_one_page};
use super::{bitmap, meta_page};
use crate::page_items::{Place, add_item, item};
use crate::payload::Malformed;
use crate::test_record::{CONTEXT, END, block, draft, parse, u32s, with_image};
use crate::{Outcome, Target, redo};

const RM_HASH: u8 = 12;
const OLD: Lsn = Lsn(0x1000);
const SPECIAL: usize = BLCKSZ - 16;
const FLAG: usize = SPECIAL + 12;

fn with_data(block: BlockDraft, data: &[u8]) -> BlockDraft {
    BlockDraft {
        data: data.to_vec(),
        ..block
    }
}

fn apply(
    info: u8,
    main: &[u8],
    blocks: &[BlockDraft],
    id: u8,
    page: &mut Page,
) -> Result<Outcome, String> {
    let mut draft = draft(RM_HASH, info, main);
    draft.blocks = blocks.to_vec();
    let record = parse(&draft);
    redo(&record, Target::Block(id), page, &CONTEXT).map_err(|error| error.to_string())
}

fn tuple(fill: u8) -> [u8; 16] {
    let mut tuple = [fill; 16];
    tuple[6..8].copy_from_slice(&16u16.to_le_bytes());
    tuple
}

/// A page of bucket 3 with tuples 1, 2, … .
fn bucket_page(flag: u16, tuples: u8) -> Page {
    let mut page = [0; BLCKSZ];
    init_page(&mut page, 7, 3, flag);
    for at in 1..=tuples {
        add_item(&mut page, &tuple(at), Place::Insert(u16::from(at))).unwrap();
    }
    set_pd_lsn(&mut page, OLD);
    page
}

fn made_meta_page(num_tuples: f64) -> Page {
    let mut page = [0; BLCKSZ];
    let record = InitMetaPage {
        num_tuples,
        procid: 400,
        ffactor: 307,
    };
    meta_page::init_meta(&mut page, &record).unwrap();
    set_pd_lsn(&mut page, OLD);
    page
}

fn tuples_on(page: &Page) -> Vec<u8> {
    let all = 1..=max_offset_number(page);
    all.map(|at| item(page, at).unwrap()[0]).collect()
}

fn u16s(values: &[u16]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

fn meta_u32(page: &Page, offset: usize) -> u32 {
    u32_at(page, 24 + offset).unwrap()
}

#[test]
fn phases_of_growth() {
    let cases = [
        (1, 0),
        (2, 1),
        (3, 2),
        (4, 2),
        (512, 9),
        (513, 10),
        (640, 10),
        (641, 11),
        (1024, 13),
        (1025, 14),
        (1280, 14),
        (1281, 15),
        (1 << 30, 93),
    ];
    for (buckets, phase) in cases {
        assert_eq!(spare_index(buckets), phase, "{buckets}");
        assert!(total_buckets(phase) >= buckets);
        assert!(phase == 0 || total_buckets(phase - 1) < buckets);
    }
}

#[test]
fn metapage_by_number_of_tuples() {
    // (num_tuples, maxbucket, highmask, lowmask, ovflpoint)
    let cases = [
        (0.0, 1, 3, 1, 1),
        (-5.0, 1, 3, 1, 1),
        (614.0, 1, 3, 1, 1),
        (1000.0, 3, 7, 3, 2),
        (307.0 * 600.0, 639, 1023, 511, 10),
        (1e300, (1 << 30) - 1, (1 << 31) - 1, (1 << 30) - 1, 93),
    ];
    for (num_tuples, maxbucket, highmask, lowmask, ovflpoint) in cases {
        let page = made_meta_page(num_tuples);
        let found = [24, 28, 32, 36].map(|at| meta_u32(&page, at));
        assert_eq!(found, [maxbucket, highmask, lowmask, ovflpoint]);
        assert_eq!(meta_u32(&page, 52 + 4 * ovflpoint as usize), 1);
        assert_eq!(pd_lower(&page), 24 + 4544);
        assert_eq!(u16_at(&page, FLAG), Some(LH_META_PAGE));
    }
    let none = InitMetaPage {
        num_tuples: f64::NAN,
        procid: 400,
        ffactor: 307,
    };
    assert!(meta_page::init_meta(&mut [0; BLCKSZ], &none).is_err());
}

#[test]
fn first_bitmap_page_comes_behind_the_buckets() {
    let mut meta = made_meta_page(1000.0);
    let main = 4096u16.to_le_bytes();
    apply(0x10, &main, &[block(0, 5), block(1, 0)], 1, &mut meta).unwrap();
    assert_eq!((meta_u32(&meta, 44), meta_u32(&meta, 444)), (1, 5));
    let init = BlockDraft {
        will_init: true,
        ..block(0, 5)
    };
    let mut page = [1; BLCKSZ];
    apply(0x10, &main, &[init, block(1, 0)], 0, &mut page).unwrap();
    assert_eq!((pd_lower(&page), pd_lsn(&page)), (24 + 4096, END));
    assert!(page[24..24 + 4096].iter().all(|&byte| byte == 0xFF));
}

/// Blocks 2 and 3 are there or not; what the metapage counts depends on it.
#[test]
fn overflow_pages_are_counted_when_they_are_new() {
    let firstfree = with_data(block(4, 0), &u32s(&[9]));
    let new_bitmap = BlockDraft {
        will_init: true,
        ..block(3, 77)
    };
    let freed_before = with_data(block(2, 8), &u32s(&[9]));
    // (bmpage_found, optional block, spares, nmaps)
    let cases = [
        (0, None, 2, 0),
        (0, Some(new_bitmap), 3, 1),
        (1, Some(freed_before), 1, 0),
    ];
    for (found, optional, spares, nmaps) in cases {
        let mut blocks = vec![with_data(block(0, 76), &u32s(&[3])), block(1, 4)];
        blocks.extend(optional);
        blocks.push(firstfree.clone());
        let mut meta = made_meta_page(0.0);
        let main = [0x00, 0x10, found];
        apply(0x30, &main, &blocks, 4, &mut meta).unwrap();
        assert_eq!(meta_u32(&meta, 40), 9);
        assert_eq!(meta_u32(&meta, 52 + 4), spares);
        assert_eq!(meta_u32(&meta, 44), nmaps);
        assert_eq!(meta_u32(&meta, 444), 77 * nmaps);
        let mut page = bucket_page(2, 1);
        apply(0x30, &main, &blocks, 1, &mut page).unwrap();
        assert_eq!(u32_at(&page, SPECIAL + 4), Some(76));
    }
}

#[test]
fn bits_end_with_the_bitmap() {
    let mut page = [0; BLCKSZ];
    bitmap::init_bitmap(&mut page, 4096).unwrap();
    for bit in [0, 9, 32_767] {
        bitmap::clear_bit(&mut page, bit).unwrap();
        let byte = 24 + bit as usize / 8;
        assert_eq!(page[byte], !(1 << (bit % 8)));
        bitmap::set_bit(&mut page, bit).unwrap();
        assert_eq!(page[byte], 0xFF);
    }
    for bit in [32_768, u32::MAX] {
        assert!(bitmap::set_bit(&mut page, bit).is_err());
    }
    assert!(bitmap::set_bit(&mut made_meta_page(0.0), 0).is_err());
    assert!(bitmap::init_bitmap(&mut page, 8000).is_err());
}

/// The image may be of any time before; flags and prevblkno come from the record.
#[test]
fn images_of_splits_are_changed_further() {
    let image = bucket_page(2, 3);
    let reference = |id| with_image(block(id, 4), &image, true);
    let mut expected = image;
    set_pd_lsn(&mut expected, END);
    expected[FLAG] = 0x22;
    let mut page = [0; BLCKSZ];
    apply(0x60, &[0x12, 0, 0x22, 0], &[reference(1)], 1, &mut page).unwrap();
    assert!(page == expected);
    let main = [&u32s(&[9])[..], &[0x22, 0, 0x12, 0, 0]].concat();
    expected[SPECIAL] = 9;
    apply(0x40, &main, &[reference(0)], 0, &mut page).unwrap();
    assert!(page == expected);
}

#[test]
fn splits_move_masks_and_splitpoint() {
    let cases = [
        (0, vec![], [5, 3, 1, 1, 0]),
        (1, vec![3, 7], [5, 7, 3, 1, 0]),
        (2, vec![3, 40], [5, 3, 1, 3, 40]),
        (3, vec![3, 7, 3, 40], [5, 7, 3, 3, 40]),
    ];
    for (flags, data, expected) in cases {
        let main = [&u32s(&[5])[..], &[0x22, 0, 0x12, 0, flags]].concat();
        let mut meta = made_meta_page(0.0);
        let reference = with_data(block(2, 0), &u32s(&data));
        apply(0x40, &main, &[reference], 2, &mut meta).unwrap();
        // maxbucket, highmask, lowmask, ovflpoint, spares[3]
        assert_eq!([24, 28, 32, 36, 64].map(|at| meta_u32(&meta, at)), expected);
    }
    let main = [&u32s(&[5])[..], &[0x22, 0, 0x12, 0, 2]].concat();
    for data in [vec![98, 1], vec![3]] {
        let reference = with_data(block(2, 0), &u32s(&data));
        assert!(apply(0x40, &main, &[reference], 2, &mut made_meta_page(0.0)).is_err());
    }
}

/// MOVE_PAGE_CONTENTS, SQUEEZE_PAGE, DELETE.
#[test]
fn pages_that_are_only_locked_keep_their_lsn() {
    for (info, main) in [(0x70, &[0; 3][..]), (0x80, &[0; 12]), (0x90, &[0; 2])] {
        let before = bucket_page(2, 3);
        let mut page = before;
        apply(info, main, &[block(0, 4)], 0, &mut page).unwrap();
        assert!(page == before);
    }
    // While one that might have got tuples is stamped, if it got some or not.
    for (info, main) in [(0x70, &[0; 3][..]), (0x80, &[0; 12])] {
        let mut page = bucket_page(2, 3);
        apply(info, main, &[block(1, 4)], 1, &mut page).unwrap();
        assert_eq!((pd_lsn(&page), tuples_on(&page)), (END, vec![1, 2, 3]));
    }
}

#[test]
fn squeezing_moves_tuples_and_links() {
    let data = [&u16s(&[1, 3])[..], &tuple(8), &tuple(9)].concat();
    for prev_same in [0, 1] {
        let main = [&u32s(&[30, 50])[..], &[2, 0, 1, prev_same]].concat();
        let mut page = bucket_page(2, 2);
        let reference = with_data(block(1, 4), &data);
        apply(0x80, &main, &[reference], 1, &mut page).unwrap();
        assert_eq!(tuples_on(&page), [8, 1, 9, 2]);
        let next = if prev_same == 1 { 50 } else { u32::MAX };
        assert_eq!(u32_at(&page, SPECIAL + 4), Some(next));
    }
    let main = [&u32s(&[30, 50])[..], &[2, 0, 1, 0]].concat();
    let links = |id| {
        let mut page = bucket_page(LH_OVERFLOW_PAGE, 2);
        apply(0x80, &main, &[block(id, 4)], id, &mut page).unwrap();
        [SPECIAL, SPECIAL + 4].map(|at| u32_at(&page, at).unwrap())
    };
    assert_eq!(links(2), [u32::MAX; 2]);
    assert_eq!(links(3), [7, 50]);
    assert_eq!(links(4), [30, u32::MAX]);
}

#[test]
fn dead_marks_go_with_the_dead() {
    let offsets = u16s(&[2, 4]);
    for (clear, flag) in [(0, 0xC1), (1, 0x41)] {
        let mut page = bucket_page(0xC1, 5);
        let reference = with_data(block(1, 4), &offsets);
        apply(0x90, &[clear, 0], &[reference], 1, &mut page).unwrap();
        assert_eq!(tuples_on(&page), [1, 3, 5]);
        assert_eq!(u16_at(&page, FLAG), Some(flag));
    }
    let main = [&u32s(&[700, 2])[..], &offsets].concat();
    let mut page = bucket_page(0xC1, 5);
    let blocks = [block(0, 4), block(1, 0)];
    apply(0xC0, &main, &blocks, 0, &mut page).unwrap();
    assert_eq!(tuples_on(&page), [1, 3, 5]);
    assert_eq!(u16_at(&page, FLAG), Some(0x41));
    let mut meta = made_meta_page(0.0);
    let ntuples = |page: &Page| f64::from_le_bytes(page[32..40].try_into().unwrap());
    apply(0xB0, &10f64.to_le_bytes(), &[block(0, 0)], 0, &mut meta).unwrap();
    assert_eq!(ntuples(&meta), 10.0);
    set_pd_lsn(&mut meta, OLD);
    apply(0xC0, &main, &blocks, 1, &mut meta).unwrap();
    assert_eq!(ntuples(&meta), 8.0);
    // Split cleanup ends.
    let mut page = bucket_page(0xC2, 0);
    apply(0xA0, &[], &[block(0, 4)], 0, &mut page).unwrap();
    assert_eq!(u16_at(&page, FLAG), Some(0x82));
}

#[test]
fn lists_must_be_whole() {
    let moved = |data: &[u8], count| for_each_moved_tuple(data, count, |_, _| Ok(()));
    let two = [&u16s(&[1, 2])[..], &tuple(1), &tuple(2)].concat();
    assert_eq!(moved(&two, 2), Ok(()));
    assert_eq!(moved(&[], 0), Ok(()));
    for (data, count) in [(&two[..], 1), (&two, 3), (&two[..35], 2), (&two, u16::MAX)] {
        assert!(moved(data, count).is_err(), "{count}");
    }
    assert!(moved(&[1, 0, 0, 0, 0, 0, 0, 0, 0, 0], 1).is_err());
    assert!(OffsetNumbers::parse(&[0; 816]).is_ok());
    assert!(OffsetNumbers::parse(&[0; 818]).is_err());
    assert!(OffsetNumbers::parse(&[0; 3]).is_err());
    for count in [1, i32::MAX, -1] {
        let main = [700i32.to_le_bytes(), count.to_le_bytes()].concat();
        assert!(parse_vacuum_one_page(&main).is_err());
    }
}

#[test]
fn other_pages_and_block_references_are_refused() {
    let reference = with_data(block(0, 4), &tuple(1));
    let mut page = bucket_page(2, 0);
    apply(0x20, &[1, 0], &[reference], 0, &mut page).unwrap();
    assert_eq!(tuples_on(&page), [1]);
    for size in [0, 8, 24] {
        let reference = with_data(block(0, 4), &[0, 0, 0, 0, 0, 0, 16, 0].repeat(size / 8));
        assert!(apply(0x20, &[1, 0], &[reference], 0, &mut bucket_page(2, 0)).is_err());
    }
    // The metapage's counts, on a page that is none.
    assert!(apply(0x20, &[1, 0], &[block(1, 0)], 1, &mut bucket_page(2, 0)).is_err());
    let mut no_hash_page = bucket_page(2, 0);
    no_hash_page[BLCKSZ - 1] = 0;
    assert!(apply(0xA0, &[], &[block(0, 4)], 0, &mut no_hash_page).is_err());
    for info in (0x00..=0xC0).step_by(0x10).filter(|info| *info != 0x50) {
        let mut page = bucket_page(2, 0);
        let found = apply(info, &[0; 16], &[block(9, 4)], 9, &mut page);
        assert!(found.unwrap_err().contains(super::page::NO_SUCH_BLOCK.0));
    }
    let full = (0..1024).try_fold(made_meta_page(0.0), |mut page, number| {
        meta_page::add_bitmap_page(&mut page, number)?;
        Ok::<_, Malformed>(page)
    });
    assert!(meta_page::add_bitmap_page(&mut full.unwrap(), 1).is_err());
}

/// Records and pages of any bytes give errors at worst.
#[test]
fn nothing_panics() {
    let mut seed = 1u64;
    let mut random = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) as usize
    };
    let pages = [bucket_page(0xC1, 40), made_meta_page(1e6)];
    for _ in 0..30_000 {
        let info = (random() % 13 * 16) as u8;
        let bytes = |count: usize, random: &mut dyn FnMut() -> usize| -> Vec<u8> {
            let max = [2, 40, 256][random() % 3];
            (0..count).map(|_| (random() % max) as u8).collect()
        };
        let main = bytes(random() % 24, &mut random);
        let id = (random() % 7) as u8;
        let data = bytes(random() % 48, &mut random);
        let mut page = pages[random() % 2];
        for _ in 0..random() % 3 {
            let at = [8 + random() % 200, SPECIAL + random() % 16][random() % 2];
            page[at] = random() as u8;
        }
        let _ = apply(
            info,
            &main,
            &[with_data(block(id, 4), &data)],
            id,
            &mut page,
        );
    }
}
