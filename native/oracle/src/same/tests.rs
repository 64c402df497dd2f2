//! What `oracle same` notices, and what not, on directories made up here.

use std::fs;
use std::path::Path;

use offshoot_layout::page::{self, set_checksum, set_pd_lsn};
use offshoot_layout::{BLCKSZ, Lsn, Page, RelFile};
use tempfile::TempDir;

use super::{SameArguments, SameReport, compare_directories, compare_pages};

const HEAP: &str = "base/5/16384";

fn heap_page(lsn: u64) -> Page {
    let mut made = [0; BLCKSZ];
    page::init(&mut made, 0);
    // The last eight bytes are no free space.
    page::set_pd_upper(&mut made, BLCKSZ as u16 - 8);
    set_pd_lsn(&mut made, Lsn(lsn));
    set_checksum(&mut made, 0);
    made
}

fn write(data: &Path, relative: &str, bytes: &[u8]) {
    let path = data.join(relative);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// Kinds that differ when `change` was made to ours.
fn differing(change: impl FnOnce(&Path)) -> Vec<String> {
    let directory = TempDir::new().unwrap();
    let (ours, theirs) = (
        directory.path().join("ours"),
        directory.path().join("theirs"),
    );
    for data in [&ours, &theirs] {
        write(data, HEAP, &heap_page(0x100));
        write(data, "base/5/16384_vm", &heap_page(0x100));
        write(data, "base/5/16385", &[1; BLCKSZ]);
        write(data, "base/5/16385_init", &heap_page(0x100));
        write(data, "pg_xact/0000", &[0; BLCKSZ]);
        write(data, "global/pg_filenode.map", b"map");
    }
    change(&ours);
    let arguments = SameArguments {
        ours,
        theirs,
        differences: 9,
        json: false,
    };
    let report = compare_directories(&arguments).unwrap();
    let of = |line: &str| line.split(':').next().map(str::to_owned);
    let text = report.to_text();
    let lines = text.lines();
    let lines = lines.filter_map(|line| line.strip_prefix("DIFFERENCE ").and_then(of));
    let found: Vec<String> = lines.collect();
    assert_eq!(report.differing(), found.len() as u64);
    assert!(report.compared() >= 6);
    found
}

#[test]
fn the_same_is_the_same_and_what_is_not_logged_does_not_count() {
    let none: [&str; 0] = [];
    assert_eq!(differing(|_| ()), none);
    let unlogged = |ours: &Path| {
        write(ours, "base/5/16385", &[2; 3 * BLCKSZ]);
        write(ours, "base/5/16384_fsm", &[1; BLCKSZ]);
        write(ours, "base/5/t3_16390", &[1; BLCKSZ]);
        write(ours, "base/5/pg_internal.init", b"cache");
    };
    assert_eq!(differing(unlogged), none);
}

#[test]
fn pages_and_their_lsns_and_checksums_count() {
    assert_eq!(
        differing(|ours| write(ours, HEAP, &heap_page(0x200))),
        ["heap"]
    );
    let mut other = heap_page(0x100);
    other[BLCKSZ - 1] = 1;
    let unsummed = differing(|ours| write(ours, HEAP, &other));
    assert_eq!(unsummed, ["heap", "checksum"]);
    set_checksum(&mut other, 0);
    assert_eq!(differing(|ours| write(ours, HEAP, &other)), ["heap"]);
    let bits = |ours: &Path| write(ours, "base/5/16384_vm", &other);
    assert_eq!(differing(bits), ["visibility map"]);
    assert_eq!(differing(|ours| write(ours, HEAP, &[0; BLCKSZ])), ["heap"]);
}

#[test]
fn sizes_and_files_that_are_missing_or_too_many_count() {
    let longer = [heap_page(0x100), [0; BLCKSZ]].concat();
    assert_eq!(
        differing(|ours| write(ours, HEAP, &longer)),
        ["relation size"]
    );
    let gone = |ours: &Path| fs::remove_file(ours.join(HEAP)).unwrap();
    assert_eq!(differing(gone), ["relation size"]);
    let left = |ours: &Path| write(ours, "base/6/16384", &[]);
    assert_eq!(differing(left), ["relation size"]);
}

#[test]
fn transaction_status_and_relation_maps_count() {
    let mut status = [0; BLCKSZ];
    status[100] = 1;
    let changed = |ours: &Path| write(ours, "pg_xact/0000", &status);
    assert_eq!(differing(changed), ["pg_xact"]);
    let map = |ours: &Path| write(ours, "global/pg_filenode.map", b"mop");
    assert_eq!(differing(map), ["relation map"]);
}

#[test]
fn only_the_flag_that_redo_of_gist_delete_sets_in_postgres_alone_does_not_count() {
    let gist = |flags: u8| {
        let mut made = [0; BLCKSZ];
        page::init(&mut made, 16);
        made[BLCKSZ - 4] = flags;
        made[BLCKSZ - 2..].copy_from_slice(&[0x81, 0xFF]);
        made
    };
    for (ours, theirs, expected) in [(1, 5, 0), (5, 1, 1), (1, 7, 1)] {
        let file = RelFile::parse(HEAP.as_bytes(), 15).unwrap();
        let mut report = SameReport::new(1);
        compare_pages(&mut report, file, &gist(ours), &gist(theirs));
        assert_eq!(report.differing(), expected, "{ours} {theirs}");
    }
}
