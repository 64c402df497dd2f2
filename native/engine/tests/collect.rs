//! What nobody can read any more goes, down to the last entry; what can be read stays as it was.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use offshoot_engine::{
    Checksums, Durability, EngineError, FileKey, FileKind, Holders, Look, PageWriter, Portion,
    TimelineSpec, Window,
};
use offshoot_layout::{BLCKSZ, Fork, Lsn, RelKey, SlruKind};
use support::{CONTEXT, TestTenant, block, page_of, rel, tenant};

const LOOK: Look = Look {
    entries_max: 50,
    time_max: Duration::from_secs(60),
    portion: Portion {
        entries_max: 10,
        bytes_max: 1 << 20,
    },
};

/// Narrows the window and walks to the end; answers how many entries went.
fn collect(tenant: &TestTenant, index: u32, readable_from: u64, kept: &[u64]) -> u64 {
    let kept = kept.iter().copied().map(Lsn);
    let window = Window::new(Lsn(readable_from), kept);
    tenant.narrow_window(index, window).unwrap();
    let (mut cursor, mut removed) = (Vec::new(), 0);
    loop {
        let step = tenant
            .collect(index, &cursor, LOOK, &Holders::default())
            .unwrap();
        assert_eq!(step.damaged, 0);
        removed += step.removed;
        match step.next {
            Some(next) => cursor = next,
            None => return removed,
        }
    }
}

fn commit(writer: &mut PageWriter, lsn: u64) {
    writer.commit(Durability::Later).unwrap();
    writer.timeline().advance_last_record_lsn(Lsn(lsn));
}

fn first_bytes(tenant: &TestTenant, index: u32, rel: RelKey, number: u32, lsn: u64) -> u32 {
    let mut page = [0xEE; BLCKSZ];
    let view = tenant.readable_view(index, Some(Lsn(lsn))).unwrap();
    view.page(&block(rel, number), &mut page).unwrap();
    u32::from(page[0])
}

/// Versions, sizes, files, extents.
fn entries(tenant: &TestTenant) -> [u64; 4] {
    tenant.stats().unwrap().entries
}

#[test]
fn of_many_versions_those_stay_that_can_be_read() {
    let tenant = tenant(Checksums::Off);
    let heap = rel(100, Fork::Main);
    let mut writer = tenant.writer(1).unwrap();
    for number in 1..=100_u32 {
        let lsn = u64::from(number) * 10;
        writer.image(&block(heap, 0), Lsn(lsn), &page_of(number));
        writer.extend(&heap, Lsn(lsn), 1).unwrap();
    }
    commit(&mut writer, 1000);
    assert_eq!(collect(&tenant, 1, 1, &[]), 0);
    // 305 comes across the version at 300, 795 across that at 790; after it there are 21.
    assert_eq!(collect(&tenant, 1, 795, &[305, 900]), 100 - 23);
    for (lsn, tag) in [(305, 30), (795, 79), (805, 80), (1000, 100)] {
        assert_eq!(first_bytes(&tenant, 1, heap, 0, lsn), tag, "{lsn}");
    }
    for lsn in [300, 310, 794] {
        let refused = tenant.readable_view(1, Some(Lsn(lsn)));
        let Err(EngineError::NotReadable { readable_from, .. }) = refused else {
            panic!("{lsn} can be read");
        };
        assert_eq!(readable_from, Lsn(795));
    }
    assert_eq!(collect(&tenant, 1, 1000, &[]), 22);
    assert_eq!(entries(&tenant)[0], 1);
    // 10 is the size's LSN, and what is newest at 1000.
    assert_eq!(entries(&tenant)[1], 1);
}

#[test]
fn a_window_does_not_become_wider() {
    let tenant = tenant(Checksums::Off);
    let mut writer = tenant.writer(1).unwrap();
    commit(&mut writer, 100);
    for (from, kept, allowed) in [
        (50, vec![20, 30], true),
        (40, vec![], false),
        (60, vec![20, 55], true),
        (70, vec![30], false),
        (101, vec![], false),
        (70, vec![20], true),
    ] {
        let window = Window::new(Lsn(from), kept.into_iter().map(Lsn));
        assert_eq!(tenant.narrow_window(1, window).is_ok(), allowed, "{from}");
    }
    let unknown = tenant.collect(1, &[9], Look::default(), &Holders::default());
    assert!(matches!(unknown, Err(EngineError::BadRequest(_))));
}

/// A relation's cut is what keeps its old pages from coming back.
#[test]
fn cuts_stay_as_long_as_what_they_made_void() {
    let tenant = tenant(Checksums::Off);
    let heap = rel(100, Fork::Main);
    let mut writer = tenant.writer(1).unwrap();
    writer.image(&block(heap, 3), Lsn(10), &page_of(7));
    writer.extend(&heap, Lsn(10), 4).unwrap();
    writer.truncate(&heap, Lsn(20), 1).unwrap();
    for (lsn, blocks) in [(30, 2), (40, 4), (50, 6)] {
        writer.extend(&heap, Lsn(lsn), blocks).unwrap();
    }
    commit(&mut writer, 60);
    collect(&tenant, 1, 60, &[15]);
    assert_eq!(first_bytes(&tenant, 1, heap, 3, 15), 7);
    assert_eq!(first_bytes(&tenant, 1, heap, 3, 60), 0);
    // At 10, 20 and 50.
    assert_eq!(entries(&tenant)[1], 3);
    collect(&tenant, 1, 60, &[]);
    assert_eq!(first_bytes(&tenant, 1, heap, 3, 60), 0);
    assert_eq!(entries(&tenant), [0, 2, 2, 0]);
}

/// A number that is used again finds nothing, by whatever the writer remembers.
#[test]
fn nothing_is_left_of_what_was_dropped() {
    let tenant = tenant(Checksums::Off);
    let mut writer = tenant.writer(1).unwrap();
    let before = entries(&tenant);
    let names: Vec<_> = (0..40)
        .map(|number| rel(200 + number, Fork::Main))
        .collect();
    for name in &names {
        writer.image(&block(*name, 2), Lsn(10), &page_of(7));
        writer.extend(name, Lsn(10), 3).unwrap();
    }
    writer
        .slru_image(SlruKind::Xact, 33, Lsn(10), &page_of(7))
        .unwrap();
    let prepared = FileKey::new(FileKind::TwoPhase, 700, 0);
    writer.file(&prepared, Lsn(10), Some(b"state"));
    commit(&mut writer, 15);
    for name in &names {
        writer.drop_relation(name, Lsn(20)).unwrap();
    }
    writer
        .drop_slru_segment(SlruKind::Xact, 1, Lsn(20))
        .unwrap();
    writer.file(&prepared, Lsn(20), None);
    commit(&mut writer, 30);
    // Somebody still sees them; then nobody does.
    collect(&tenant, 1, 25, &[15]);
    assert_eq!(first_bytes(&tenant, 1, names[0], 2, 15), 7);
    assert_eq!(entries(&tenant), [41, 82, 4, 0]);
    collect(&tenant, 1, 30, &[]);
    assert_eq!(entries(&tenant), before);
    let mut new_writer = None;
    for (number, name) in names.iter().enumerate() {
        let lsn = 40 + number as u64 * 10;
        let writer = match number {
            0..20 => &mut writer,
            _ => new_writer.get_or_insert_with(|| tenant.writer(1).unwrap()),
        };
        assert_eq!(writer.size(name).unwrap(), None);
        writer.image(&block(*name, 0), Lsn(lsn), &page_of(9));
        writer.extend(name, Lsn(lsn), 4).unwrap();
        writer.truncate(name, Lsn(lsn + 1), 3).unwrap();
        commit(writer, lsn + 2);
        assert_eq!(first_bytes(&tenant, 1, *name, 0, lsn + 2), 9);
        assert_eq!(first_bytes(&tenant, 1, *name, 2, lsn + 2), 0);
    }
}

#[test]
fn what_a_branch_dropped_does_not_come_back_from_its_parent() {
    let tenant = tenant(Checksums::Off);
    let (heap, own) = (rel(100, Fork::Main), rel(101, Fork::Main));
    let prepared = FileKey::new(FileKind::TwoPhase, 700, 0);
    let mut writer = tenant.writer(1).unwrap();
    writer.image(&block(heap, 0), Lsn(10), &page_of(7));
    writer.extend(&heap, Lsn(10), 1).unwrap();
    writer.file(&prepared, Lsn(10), Some(b"state"));
    commit(&mut writer, 10);
    let spec = TimelineSpec {
        index: 2,
        parent: Some((1, Lsn(10))),
        last_record_lsn: Lsn(10),
        readable_from: Lsn(10),
    };
    tenant.attach(&spec).unwrap();
    let mut branch = tenant.writer(2).unwrap();
    branch.extend(&own, Lsn(12), 1).unwrap();
    branch.drop_relation(&own, Lsn(14)).unwrap();
    branch.drop_relation(&heap, Lsn(20)).unwrap();
    branch.file(&prepared, Lsn(20), None);
    commit(&mut branch, 30);
    let before = entries(&tenant);
    // Of its own relation both the size and the drop.
    assert_eq!(collect(&tenant, 2, 30, &[]), 2);
    assert_eq!(entries(&tenant)[2], before[2]);
    let view = tenant.readable_view(2, None).unwrap();
    assert_eq!(view.size(&heap).unwrap(), None);
    assert_eq!(view.file(&prepared).unwrap(), None);
    drop(view);
    writer.drop_relation(&heap, Lsn(40)).unwrap();
    commit(&mut writer, 50);
    collect(&tenant, 1, 50, &[10]);
    let view = tenant.readable_view(2, None).unwrap();
    assert_eq!(view.size(&heap).unwrap(), None);
    assert_eq!(view.size(&own).unwrap(), None);
}

#[test]
fn an_extent_stays_as_long_as_one_of_its_pages() {
    let tenant = tenant(Checksums::Off);
    let heap = rel(100, Fork::Main);
    let mut writer = tenant.writer(1).unwrap();
    let pages: Vec<_> = (1..=16).map(page_of).collect();
    let slots = pages.iter().map(|page| Some(&**page));
    let slots: Vec<_> = slots.collect();
    writer.extent(&block(heap, 16), Lsn(10), slots.into_iter());
    writer.extend(&heap, Lsn(10), 32).unwrap();
    for number in 16..31 {
        writer.image(&block(heap, number), Lsn(20), &page_of(99));
    }
    commit(&mut writer, 30);
    collect(&tenant, 1, 30, &[]);
    assert_eq!(entries(&tenant)[3], 1);
    assert_eq!(first_bytes(&tenant, 1, heap, 31, 30), 16);
    writer.image(&block(heap, 31), Lsn(40), &page_of(99));
    commit(&mut writer, 50);
    collect(&tenant, 1, 50, &[30]);
    assert_eq!(entries(&tenant)[3], 1);
    assert_eq!(collect(&tenant, 1, 50, &[]), 1);
    assert_eq!(entries(&tenant)[3], 0);
    assert_eq!(first_bytes(&tenant, 1, heap, 31, 50), 99);
}

/// What each of the holders alone keeps, by a walk that removes nothing more; and with all that stays.
fn kept(
    tenant: &TestTenant,
    held: &[(u64, u32)],
    parents: &[u32],
    look: Look,
) -> Vec<(u32, u64, u64)> {
    let held = held.iter().map(|(lsn, holder)| (Lsn(*lsn), *holder));
    let holders = Holders::new(parents.to_vec(), held).unwrap();
    let mut sums = std::collections::BTreeMap::new();
    let mut cursor = Vec::new();
    loop {
        let step = tenant.collect(1, &cursor, look, &holders).unwrap();
        assert_eq!((step.removed, step.damaged), (0, 0));
        for kept in step.kept {
            let sum: &mut (u64, u64) = sums.entry(kept.holder).or_default();
            *sum = (sum.0 + kept.versions, sum.1 + kept.bytes);
        }
        match step.next {
            Some(next) => cursor = next,
            None => return sums.iter().map(|(id, sum)| (*id, sum.0, sum.1)).collect(),
        }
    }
}

/// Of all that the timeline has.
fn all_bytes(tenant: &TestTenant) -> u64 {
    tenant.measure(1, &[], usize::MAX).unwrap().bytes
}

/// Three tables with many versions, in single ones and extents, one cut and one dropped: what is said to be kept for a
/// holder is what goes when it lets go, to the byte.
#[test]
fn what_is_kept_for_a_holder_is_what_goes_without_it() {
    // Numbered after what they come of: 2 comes of 1, 3 of nobody.
    let parents = [0, 1, 0];
    let held = [(45, 1), (95, 1), (145, 2), (205, 3), (255, 0), (305, 3)];
    let fill = |tenant: &TestTenant| {
        let mut writer = tenant.writer(1).unwrap();
        for round in 1..=40_u32 {
            let lsn = u64::from(round) * 10;
            for relnode in 100..104 {
                let heap = rel(relnode, Fork::Main);
                if relnode == 103 && round > 20 {
                    continue;
                }
                writer.extend(&heap, Lsn(lsn), 40).unwrap();
                for number in (0..40).filter(|number| (round + number + relnode) % 7 == 0) {
                    writer.image(&block(heap, number), Lsn(lsn), &page_of(round));
                }
                if (round + relnode) % 5 == 0 {
                    let pages: Vec<_> = (0..16).map(|slot| page_of(round + slot)).collect();
                    let slots: Vec<_> = pages.iter().map(|page| Some(&**page)).collect();
                    writer.extent(&block(heap, 16), Lsn(lsn), slots.into_iter());
                }
            }
            if round == 12 {
                writer
                    .truncate(&rel(102, Fork::Main), Lsn(lsn + 1), 3)
                    .unwrap();
            }
            if round == 20 {
                writer
                    .drop_relation(&rel(103, Fork::Main), Lsn(lsn + 1))
                    .unwrap();
            }
        }
        commit(&mut writer, 400);
    };
    let lsns: Vec<u64> = held.iter().map(|(lsn, _)| *lsn).collect();
    // 1 lets go with what comes of it.
    for (holder, and_its) in [(1, &[1, 2][..]), (2, &[2]), (3, &[3])] {
        let tenant = tenant(Checksums::Off);
        fill(&tenant);
        collect(&tenant, 1, 350, &lsns);
        let all = kept(&tenant, &held, &parents, LOOK);
        let in_one_step = Look {
            entries_max: usize::MAX,
            ..LOOK
        };
        assert_eq!(kept(&tenant, &held, &parents, in_one_step), all);
        let of = |id| all.iter().filter(move |(found, ..)| *found == id);
        let (versions, bytes) = and_its
            .iter()
            .flat_map(|id| of(*id))
            .fold((0, 0), |sum, of| (sum.0 + of.1, sum.1 + of.2));
        assert!(versions > 0, "{holder}");
        let before = (entries(&tenant), all_bytes(&tenant));
        let others: Vec<u64> = held
            .iter()
            .filter(|(_, id)| !and_its.contains(id))
            .map(|(lsn, _)| *lsn)
            .collect();
        collect(&tenant, 1, 350, &others);
        let after = (entries(&tenant), all_bytes(&tenant));
        let of_pages = |[versions, _, _, extents]: [u64; 4]| versions + extents;
        assert_eq!(of_pages(before.0) - of_pages(after.0), versions, "{holder}");
        // Sizes, of 25 bytes and what they say, are not counted.
        let sizes = before.0[1] - after.0[1];
        let of_sizes = before.1 - after.1 - bytes;
        assert!(
            (sizes * 25..=sizes * 64).contains(&of_sizes),
            "{holder}: {of_sizes}"
        );
    }
}

/// A timeline that nobody goes on from but at single LSNs keeps what these need, and what says how far it has come.
#[test]
fn of_a_closed_timeline_only_single_lsns_can_be_read() {
    let tenant = tenant(Checksums::Off);
    let (heap, late) = (rel(100, Fork::Main), rel(101, Fork::Main));
    let prepared = FileKey::new(FileKind::TwoPhase, 700, 0);
    let before = entries(&tenant);
    let mut writer = tenant.writer(1).unwrap();
    for number in 1..=20_u32 {
        let lsn = u64::from(number) * 10;
        writer.image(&block(heap, 0), Lsn(lsn), &page_of(number));
        writer.extend(&heap, Lsn(lsn), 1).unwrap();
    }
    writer.image(&block(late, 0), Lsn(150), &page_of(7));
    writer.extend(&late, Lsn(150), 1).unwrap();
    writer.file(&prepared, Lsn(200), Some(b"state"));
    commit(&mut writer, 200);
    collect(&tenant, 1, u64::MAX, &[105]);
    // What is newer than 105 is nobody's.
    assert_eq!(entries(&tenant)[0] - before[0], 1);
    assert_eq!(first_bytes(&tenant, 1, heap, 0, 105), 10);
    let at_end = tenant.view(1, Lsn(200)).unwrap();
    assert_eq!(at_end.file(&prepared).unwrap(), Some(&b"state"[..]));
    for lsn in [104, 106, 200] {
        let refused = tenant.readable_view(1, Some(Lsn(lsn)));
        assert!(
            matches!(refused, Err(EngineError::NotReadable { .. })),
            "{lsn}"
        );
    }
    let reopened = tenant.narrow_window(1, Window::new(Lsn(200), [Lsn(105)]));
    assert!(matches!(reopened, Err(EngineError::BadRequest(_))));
    let child = TimelineSpec {
        index: 2,
        parent: Some((1, Lsn(105))),
        last_record_lsn: Lsn(105),
        readable_from: Lsn(105),
    };
    tenant.attach(&child).unwrap();
    assert_eq!(first_bytes(&tenant, 2, heap, 0, 105), 10);
}

#[test]
fn the_end_of_a_closed_timeline_may_be_kept() {
    let tenant = tenant(Checksums::Off);
    let heap = rel(100, Fork::Main);
    let mut writer = tenant.writer(1).unwrap();
    for number in 1..=20_u32 {
        let lsn = u64::from(number) * 10;
        writer.image(&block(heap, 0), Lsn(lsn), &page_of(number));
        writer.extend(&heap, Lsn(lsn), 1).unwrap();
    }
    commit(&mut writer, 200);
    assert_eq!(collect(&tenant, 1, u64::MAX, &[105, 200]), 18);
    assert_eq!(first_bytes(&tenant, 1, heap, 0, 105), 10);
    assert_eq!(first_bytes(&tenant, 1, heap, 0, 200), 20);
}

/// A page's history before the window takes no more than an image and a bounded chain of records for each LSN that can be
/// read, however long it was; and it is read from no more.
#[test]
fn what_a_page_keeps_does_not_depend_on_how_long_its_history_is() {
    const CHAIN_RECORDS_MAX: u16 = 16;
    const FIRST_XID: u32 = 8;
    let (kind, points) = (SlruKind::Xact, 2);
    let end = |number: u32| u64::from(number) * 10 + 20;
    let mut bytes_kept = Vec::new();
    // The last batches leave a chain of the greatest length, of records that are filed together or one by one.
    for (records, batch) in [(50, 1), (2_000, 1), (50, 7), (2_000, 7), (8_000, 500)] {
        let records = records / 17 * 17 + 16;
        let tenant = tenant(Checksums::Off);
        let before = entries(&tenant)[0];
        let mut writer = tenant.writer(1).unwrap();
        writer.write_images(CONTEXT, CHAIN_RECORDS_MAX);
        writer.slru_image(kind, 0, Lsn(10), &[0; BLCKSZ]).unwrap();
        for number in 0..records {
            let (start, end) = (Lsn(end(number) - 8), Lsn(end(number)));
            let record = support::commit(FIRST_XID + number);
            writer.slru_record(kind, 0, end, start, &record).unwrap();
            if (number + 1) % batch == 0 {
                writer.commit(Durability::Later).unwrap();
            }
        }
        let newest = end(records - 1);
        commit(&mut writer, newest);
        let middle = end(records / 2);
        collect(&tenant, 1, newest, &[middle]);
        let kept = entries(&tenant)[0] - before;
        let most = points * (1 + u64::from(CHAIN_RECORDS_MAX));
        assert!(kept <= most, "{kept} of {records} in batches of {batch}");
        let measured = tenant.measure(1, &[], usize::MAX).unwrap();
        bytes_kept.push(measured.bytes);
        for (lsn, last) in [(middle, records / 2), (newest, records - 1)] {
            let mut made = [0xEE; BLCKSZ];
            let view = tenant.readable_view(1, Some(Lsn(lsn))).unwrap();
            view.slru_page(kind, 0, &mut made).unwrap();
            for number in [0, last, last + 1] {
                let bits = (FIRST_XID + number) as usize * 2;
                let status = made[bits / 8] >> (bits % 8) & 3;
                assert_eq!(status, u8::from(number <= last), "{number} at {lsn}");
            }
        }
    }
    let most = points * (BLCKSZ as u64 + u64::from(CHAIN_RECORDS_MAX) * 200);
    assert!(
        bytes_kept.iter().all(|bytes| *bytes <= most),
        "{bytes_kept:?}"
    );
}
