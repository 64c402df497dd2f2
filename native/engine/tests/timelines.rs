//! Attaching, detaching, files, and what a listing shows along a chain of timelines.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use offshoot_engine::{Checksums, Durability, EngineError, FileKey, FileKind, TimelineSpec};
use offshoot_layout::{Fork, Lsn, SlruKind};
use support::{TestTenant, block, page_of, rel, tenant};

fn child(index: u32, parent: u32, lsn: u64) -> TimelineSpec {
    TimelineSpec {
        index,
        parent: Some((parent, Lsn(lsn))),
        last_record_lsn: Lsn(lsn),
        readable_from: Lsn(lsn),
    }
}

fn put_file(tenant: &TestTenant, on: u32, file: FileKey, lsn: u64, content: Option<&[u8]>) {
    let mut writer = tenant.writer(on).unwrap();
    writer.file(&file, Lsn(lsn), content);
    writer.commit(Durability::Later).unwrap();
}

#[test]
fn attaching_again_moves_forward_and_keeps_the_parent() {
    let tenant = tenant(Checksums::Off);
    tenant.attach(&child(2, 1, 40)).unwrap();
    let moved = TimelineSpec {
        last_record_lsn: Lsn(80),
        ..child(2, 1, 40)
    };
    let timeline = tenant.attach(&moved).unwrap();
    tenant.attach(&child(2, 1, 40)).unwrap();
    assert_eq!(timeline.last_record_lsn(), Lsn(80));
    assert!(matches!(
        tenant.attach(&child(2, 1, 48)).err(),
        Some(EngineError::TimelineConflict(2))
    ));
    assert!(matches!(
        tenant.attach(&child(3, 9, 48)).err(),
        Some(EngineError::UnknownTimeline(9))
    ));
}

#[test]
fn a_branch_outlives_its_detached_parent() {
    let tenant = tenant(Checksums::Off);
    let file = FileKey::new(FileKind::TableSpace, 99, 0);
    put_file(&tenant, 1, file, 10, Some(b"here"));
    tenant.attach(&child(2, 1, 40)).unwrap();
    tenant.detach(1);
    assert!(tenant.view(1, Lsn(40)).is_err());
    let view = tenant.view(2, Lsn(40)).unwrap();
    assert_eq!(view.file(&file).unwrap(), Some(&b"here"[..]));
}

#[test]
fn timelines_without_data_are_not_looked_at() {
    let tenant = tenant(Checksums::Off);
    tenant.attach(&child(2, 1, 40)).unwrap();
    tenant.attach(&child(3, 2, 40)).unwrap();
    tenant.attach(&child(4, 3, 48)).unwrap();
    let chain = |index: u32, lsn| {
        let links = tenant.timeline(index).unwrap().chain(Lsn(lsn));
        links
            .iter()
            .map(|link| (link.timeline, link.lsn.0))
            .collect::<Vec<_>>()
    };
    assert_eq!(chain(4, 60), [(1, 40)]);
    put_file(
        &tenant,
        3,
        FileKey::new(FileKind::RelMap, 1, 2),
        44,
        Some(b"m"),
    );
    assert_eq!(chain(4, 60), [(3, 48), (1, 40)]);
    assert_eq!(chain(4, 30), [(3, 30), (1, 30)]);
    assert_eq!(chain(2, 60), [(1, 40)]);
    let rel = rel(100, Fork::Main);
    let mut writer = tenant.writer(2).unwrap();
    writer.extent(&block(rel, 16), Lsn(44), [Some(&[7; 8192])].into_iter());
    writer.extent(&block(rel, 32), Lsn(44), [None, None].into_iter());
    writer.commit(Durability::Later).unwrap();
    assert_eq!(chain(2, 60), [(2, 60), (1, 40)], "extents are data");
    assert_eq!(tenant.stats().unwrap().entries, [0, 0, 3, 1]);
}

#[test]
fn files_have_versions_and_ends_along_the_chain() {
    let tenant = tenant(Checksums::Off);
    let key = |a| FileKey::new(FileKind::TwoPhase, a, 0);
    put_file(&tenant, 1, key(1), 10, Some(b"one"));
    put_file(&tenant, 1, key(2), 10, Some(b"two"));
    tenant.attach(&child(2, 1, 20)).unwrap();
    put_file(&tenant, 1, key(1), 30, None);
    put_file(&tenant, 1, key(3), 30, Some(b""));
    put_file(&tenant, 2, key(2), 30, None);
    put_file(&tenant, 2, key(4), 40, Some(b"four"));
    let listed = |on, lsn| {
        let view = tenant.view(on, Lsn(lsn)).unwrap();
        let files = view.files(FileKind::TwoPhase).unwrap();
        for (file, content) in &files {
            assert_eq!(view.file(file).unwrap(), Some(*content));
        }
        files.iter().map(|(file, _)| file.a).collect::<Vec<_>>()
    };
    for (on, lsn, expected) in [
        (1, 9, &[][..]),
        (1, 29, &[1, 2]),
        (1, 30, &[2, 3]),
        (2, 20, &[1, 2]),
        (2, 30, &[1]),
        (2, 40, &[1, 4]),
    ] {
        assert_eq!(listed(on, lsn), expected, "timeline {on} at {lsn}");
    }
    let view = tenant.view(2, Lsn(40)).unwrap();
    assert_eq!(view.file(&key(2)).unwrap(), None);
}

#[test]
fn listings_merge_the_chain() {
    let tenant = tenant(Checksums::Off);
    let mut writer = tenant.writer(1).unwrap();
    for (relnode, fork, blocks) in [(10, Fork::Main, 4), (10, Fork::Vm, 1), (11, Fork::Main, 0)] {
        writer.extend(&rel(relnode, fork), Lsn(10), blocks).unwrap();
    }
    writer
        .slru_image(SlruKind::Xact, 70, Lsn(10), &page_of(1))
        .unwrap();
    writer.commit(Durability::Later).unwrap();
    tenant.attach(&child(2, 1, 20)).unwrap();
    let mut writer = tenant.writer(2).unwrap();
    writer.drop_relation(&rel(10, Fork::Main), Lsn(30)).unwrap();
    writer.extend(&rel(11, Fork::Main), Lsn(30), 2).unwrap();
    writer
        .extend(&rel(u32::MAX, Fork::Init), Lsn(30), 1)
        .unwrap();
    writer
        .drop_slru_segment(SlruKind::Xact, 2, Lsn(30))
        .unwrap();
    writer.commit(Durability::Later).unwrap();
    let listed = |on, lsn| {
        let view = tenant.view(on, Lsn(lsn)).unwrap();
        let relations = view.relations(1663, 5).unwrap();
        let named = relations
            .iter()
            .map(|(rel, blocks)| (rel.relnode, rel.fork as u8, *blocks));
        (
            named.collect::<Vec<_>>(),
            view.slru_segments(SlruKind::Xact).unwrap(),
        )
    };
    let before = (vec![(10, 0, 4), (10, 2, 1), (11, 0, 0)], vec![(2, 7)]);
    assert_eq!(listed(2, 20), before);
    assert_eq!(listed(1, 40), before);
    assert_eq!(
        listed(2, 30),
        (vec![(10, 2, 1), (11, 0, 2), (u32::MAX, 3, 1)], vec![])
    );
    let view = tenant.view(2, Lsn(30)).unwrap();
    let listing = view.relations_listing(1663, 5).unwrap();
    assert_eq!(listing.len(), 39);
    assert_eq!(listing[..13], [0, 0, 0, 10, 2, 0, 0, 0, 1, 0, 0, 0, 0]);
}

#[test]
fn everything_is_there_after_reopening() {
    let tenant = tenant(Checksums::On);
    let mut writer = tenant.writer(1).unwrap();
    writer.extend(&rel(10, Fork::Main), Lsn(10), 4).unwrap();
    writer.commit(Durability::Commit).unwrap();
    drop(writer);
    let tenant = tenant.reopened();
    tenant.attach(&support::root()).unwrap();
    let view = tenant.view(1, Lsn(10)).unwrap();
    assert_eq!(view.size(&rel(10, Fork::Main)).unwrap(), Some(4));
    assert_eq!(view.cluster().unwrap().checksums, Checksums::On);
    assert!(tenant.stats().unwrap().used_bytes > 0);
}
