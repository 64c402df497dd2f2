//! Reading deep in a tree of timelines looks into those that have what is asked for, and few others.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use offshoot_engine::{
    Checksums, Durability, FileKey, FileKind, KeyFilterOptions, PG_DEFAULT_TABLESPACE,
    TimelineSpec, View,
};
use offshoot_layout::{BLCKSZ, Fork, Lsn, RelKey};
use support::{TestTenant, block, page_of, rel, tenant_with};

const DEPTH: u32 = 100;
/// Blocks of the table that every timeline writes to.
const BLOCKS: u32 = 1200;
/// Of those, what one timeline changes.
const CHANGED: u32 = 10;

const SHARED: u32 = 100;

/// What one timeline on the way down adds besides: a table, which it extends, and a file.
fn own_table(level: u32) -> RelKey {
    rel(1000 + level, Fork::Main)
}

fn lsn_of(level: u32) -> Lsn {
    Lsn(u64::from(level) * 100)
}

/// Timeline n is the one at depth n - 1, and has its data at 50 behind where it begins. All change other blocks of one
/// table.
fn deep_tree(filters: KeyFilterOptions) -> TestTenant {
    let tenant = tenant_with(Checksums::Off, filters);
    for level in 1..=DEPTH + 1 {
        if level > 1 {
            tenant
                .attach(&TimelineSpec {
                    index: level,
                    parent: Some((level - 1, lsn_of(level))),
                    last_record_lsn: lsn_of(level),
                    readable_from: lsn_of(level),
                })
                .unwrap();
        }
        let at = Lsn(lsn_of(level).0 + 50);
        let mut writer = tenant.writer(level).unwrap();
        let shared = rel(SHARED, Fork::Main);
        let changed = match level {
            1 => 0..BLOCKS,
            _ => (level - 1) * CHANGED..level * CHANGED,
        };
        for number in changed {
            writer.image(&block(shared, number), at, &page_of(level));
        }
        writer.extend(&shared, at, BLOCKS).unwrap();
        writer.image(&block(own_table(level), 0), at, &page_of(level));
        writer.extend(&own_table(level), at, 1).unwrap();
        writer.file(&FileKey::new(FileKind::TwoPhase, level, 0), at, Some(b"x"));
        writer.commit(Durability::Later).unwrap();
        writer.timeline().advance_last_record_lsn(lsn_of(level + 1));
    }
    tenant
}

fn view_at(tenant: &TestTenant, depth: u32) -> View {
    tenant.readable_view(depth + 1, None).unwrap()
}

/// What a page's first word says, and how many looks into the store that took.
fn page(view: &View, rel: RelKey, number: u32) -> (u32, u64) {
    let before = view.looks();
    let mut page = [0xEE; BLCKSZ];
    view.page(&block(rel, number), &mut page).unwrap();
    (u32::from(page[0]), view.looks() - before)
}

#[test]
fn a_page_takes_few_looks_at_any_depth() {
    let tenant = deep_tree(KeyFilterOptions::default());
    let shared = rel(SHARED, Fork::Main);
    // What the timelines have is found out by whoever reads first.
    page(&view_at(&tenant, DEPTH), shared, 0);
    let view = view_at(&tenant, DEPTH);
    // The size of the table is remembered; what takes looks are pages.
    page(&view, shared, 0);
    let mut looks = 0;
    for number in 0..BLOCKS {
        let (level, took) = page(&view, shared, number);
        let expected = match number / CHANGED + 1 {
            level if level <= DEPTH + 1 => level,
            _ => 1,
        };
        assert_eq!(level, expected, "block {number}");
        looks += took;
    }
    let each = looks as f64 / f64::from(BLOCKS);
    // The nearest two and the root, and now and then one in vain. Extents are in none of them.
    assert!(each < 4.5, "{each} looks for a page");
    // The first page of a table, with its size.
    for level in [1, 2, DEPTH / 2, DEPTH + 1] {
        let (found, took) = page(&view_at(&tenant, DEPTH), own_table(level), 0);
        assert_eq!(found, level);
        assert!(
            took < 14,
            "{took} looks for the first page of level {level}"
        );
    }
}

#[test]
fn listings_and_files_are_the_same_with_and_without() {
    let none = KeyFilterOptions {
        bytes_max: 0,
        ..KeyFilterOptions::default()
    };
    let (with, without) = (deep_tree(KeyFilterOptions::default()), deep_tree(none));
    let all = |tenant: &TestTenant, depth: u32| {
        let view = view_at(tenant, depth);
        let relations = view.relations(PG_DEFAULT_TABLESPACE, 5).unwrap();
        let files = view.files(FileKind::TwoPhase).unwrap();
        let files: Vec<_> = files.into_iter().map(|(file, _)| file).collect();
        assert_eq!(relations.len() as u32, depth + 2);
        assert_eq!(files.len() as u32, depth + 1);
        assert!(view.relations(PG_DEFAULT_TABLESPACE, 6).unwrap().is_empty());
        let first = FileKey::new(FileKind::TwoPhase, 1, 0);
        assert_eq!(view.file(&first).unwrap(), Some(&b"x"[..]));
        (relations, files, view.looks())
    };
    for depth in [1, DEPTH / 2, DEPTH, DEPTH] {
        let (with, without) = (all(&with, depth), all(&without, depth));
        assert_eq!((with.0, with.1), (without.0, without.1));
    }
    let (seen, blind) = (all(&with, DEPTH).2, all(&without, DEPTH).2);
    assert!(seen + 150 < blind, "{seen} looks against {blind}");
}

#[test]
fn what_a_timeline_goes_on_to_write_is_seen_by_who_leaves_it_later() {
    let tenant = deep_tree(KeyFilterOptions::default());
    let shared = rel(SHARED, Fork::Main);
    // Filters are there now.
    page(&view_at(&tenant, DEPTH), shared, 0);
    let below = view_at(&tenant, DEPTH);
    let middle = DEPTH / 2;
    let last = tenant.timeline(middle).unwrap().last_record_lsn();
    let (at, end) = (Lsn(last.0 + 10), Lsn(last.0 + 20));
    let mut writer = tenant.writer(middle).unwrap();
    writer.image(&block(shared, BLOCKS - 1), at, &page_of(77));
    writer.commit(Durability::Later).unwrap();
    writer.timeline().advance_last_record_lsn(end);
    // A child of it, with three more below that have data, so that it is not among the nearest.
    let mut parent = middle;
    for index in 1000..1004 {
        tenant
            .attach(&TimelineSpec {
                index,
                parent: Some((parent, end)),
                last_record_lsn: end,
                readable_from: end,
            })
            .unwrap();
        let mut writer = tenant.writer(index).unwrap();
        let at = Lsn(end.0 + 1);
        writer.file(&FileKey::new(FileKind::TwoPhase, 7, 7), at, Some(b"y"));
        writer.commit(Durability::Later).unwrap();
        writer.timeline().advance_last_record_lsn(at);
        parent = index;
    }
    for _ in 0..2 {
        let view = tenant.readable_view(1003, None).unwrap();
        assert_eq!(page(&view, shared, BLOCKS - 1).0, 77);
        assert_eq!(page(&below, shared, BLOCKS - 1).0, 1);
        assert_eq!(page(&view_at(&tenant, DEPTH), shared, BLOCKS - 1).0, 1);
    }
}
