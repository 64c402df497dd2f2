//! What a deleted timeline had goes away, in portions, and the room is used again.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use offshoot_engine::{
    Checksums, Durability, EngineError, FileKey, FileKind, Portion, TimelineSpec,
};
use offshoot_layout::{BLCKSZ, Fork, Lsn, Page};
use support::{TestTenant, block, rel, tenant};

const PAGES: u32 = 400;

fn branch(index: u32) -> TimelineSpec {
    TimelineSpec {
        index,
        parent: Some((1, Lsn(1))),
        last_record_lsn: Lsn(1),
        readable_from: Lsn(1),
    }
}

/// Pages one by one and in extents, sizes and files.
fn fill(tenant: &TestTenant, index: u32) {
    tenant.attach(&branch(index)).unwrap();
    let mut writer = tenant.writer(index).unwrap();
    let noise = |number: u32| -> Box<Page> {
        let mut state = number;
        Box::new(std::array::from_fn(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        }))
    };
    for number in 0..PAGES {
        let key = block(rel(200, Fork::Main), number);
        writer.image(&key, Lsn(16), &noise(number));
    }
    writer
        .extend(&rel(200, Fork::Main), Lsn(16), PAGES)
        .unwrap();
    let pages: Vec<_> = (0..16).map(noise).collect();
    let slots: Vec<_> = pages.iter().map(|page| Some(&**page)).collect();
    writer.extent(&block(rel(201, Fork::Main), 0), Lsn(16), slots.into_iter());
    writer.extend(&rel(201, Fork::Main), Lsn(16), 16).unwrap();
    let file = FileKey::new(FileKind::TwoPhase, 700, 0);
    writer.file(&file, Lsn(16), Some(b"state"));
    writer.commit(Durability::Later).unwrap();
    writer.timeline().advance_last_record_lsn(Lsn(16));
}

fn reclaim_all(tenant: &TestTenant, index: u32, portion: Portion) -> (u64, u64) {
    let (mut portions, mut entries) = (0, 0);
    loop {
        let removed = tenant.reclaim(index, portion).unwrap();
        portions += 1;
        entries += removed.entries;
        if removed.done {
            return (portions, entries);
        }
        assert!(removed.entries > 0);
    }
}

#[test]
fn nothing_is_left_and_others_keep_theirs() {
    let tenant = tenant(Checksums::Off);
    for index in [2, 3, u32::MAX] {
        fill(&tenant, index);
    }
    assert_eq!(tenant.stored_timelines().unwrap(), [1, 2, 3, u32::MAX]);
    let whole = tenant.measure(3, &[], usize::MAX).unwrap();
    assert_eq!((whole.entries, &whole.next), (u64::from(PAGES) + 4, &None));
    assert!(whole.bytes > u64::from(PAGES) * BLCKSZ as u64);
    assert_eq!(whole.pages, u64::from(PAGES) + 16);
    let (mut cursor, mut bytes, mut pages) = (Vec::new(), 0, 0);
    loop {
        let part = tenant.measure(3, &cursor, 90).unwrap();
        bytes += part.bytes;
        pages += part.pages;
        match part.next {
            Some(next) => cursor = next,
            None => break,
        }
    }
    assert_eq!((bytes, pages), (whole.bytes, whole.pages));
    let portion = Portion {
        entries_max: 100,
        ..Portion::default()
    };
    for (index, left) in [(2, &[1, 3, u32::MAX][..]), (u32::MAX, &[1, 3])] {
        let attached = tenant.reclaim(index, portion);
        assert!(matches!(attached, Err(EngineError::StillAttached(_))));
        tenant.detach(index);
        let (portions, entries) = reclaim_all(&tenant, index, portion);
        assert_eq!((portions, entries), (5, u64::from(PAGES) + 4));
        assert_eq!(tenant.stored_timelines().unwrap(), left);
    }
    let mut page = [0; BLCKSZ];
    let view = tenant.view(3, Lsn(16)).unwrap();
    view.page(&block(rel(200, Fork::Main), 7), &mut page)
        .unwrap();
    assert!(page.iter().any(|byte| *byte != 0));
}

#[test]
fn it_goes_on_after_a_restart_and_large_values_count_by_their_bytes() {
    let tenant = tenant(Checksums::Off);
    fill(&tenant, 2);
    tenant.detach(2);
    let portion = Portion {
        entries_max: 1000,
        bytes_max: 1 << 20,
    };
    let first = tenant.reclaim(2, portion).unwrap();
    assert!(!first.done && first.entries < 200, "{first:?}");
    let tenant = tenant.reopened();
    assert_eq!(tenant.stored_timelines().unwrap(), [1, 2]);
    let (portions, entries) = reclaim_all(&tenant, 2, portion);
    assert!(portions > 1);
    assert_eq!(first.entries + entries, u64::from(PAGES) + 4);
    assert_eq!(tenant.stored_timelines().unwrap(), [1]);
}

#[test]
fn the_room_is_used_again() {
    let tenant = tenant(Checksums::Off);
    let before = tenant.stats().unwrap().used_bytes;
    let mut file_bytes = Vec::new();
    for index in 2..12 {
        fill(&tenant, index);
        tenant.detach(index);
        reclaim_all(&tenant, index, Portion::default());
        file_bytes.push(tenant.file_bytes());
    }
    let after = tenant.stats().unwrap().used_bytes;
    assert!(after <= before + 64 * 1024, "{before} bytes, then {after}");
    // What the first rounds freed is enough for all that follow.
    let enough = file_bytes[1] + file_bytes[1] / 10;
    assert!(file_bytes[9] <= enough, "{file_bytes:?}");
    let view = tenant.view(1, Lsn(1)).unwrap();
    assert!(
        view.file(&FileKey::new(FileKind::Control, 0, 0))
            .unwrap()
            .is_some()
    );
}
