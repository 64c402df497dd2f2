//! Directories of databases show what is in them, and those made or removed here are not the server's.

use crate::Scenario;
use crate::reading::page;
use crate::world::{MadeUp, World, read_all, remote_page};
use std::collections::BTreeSet;
use std::fs::{File, create_dir, read_dir, remove_dir, remove_file};
use std::sync::atomic::Ordering;

pub const SCENARIOS: &[Scenario] = &[
    ("list", list),
    ("list_as_loader", list_as_loader),
    ("copy", copy),
    ("drop_database", drop_database),
];

fn files() -> MadeUp {
    MadeUp::default()
        .with("base/5/100", 131_072 + 3)
        .with("base/5/100_fsm", 3)
        .with("base/5/200", 0)
        .with("base/5/300", 2)
        .with("base/1/100", 2)
        .with("base/7/100", 2)
}

fn names(path: &str) -> BTreeSet<String> {
    let entries = read_dir(path).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// The postmaster's own listings are not completed, so what Postgres' children do, a child does.
fn in_child(work: impl FnOnce() + std::panic::UnwindSafe) {
    // SAFETY: the child works alone and exits.
    match unsafe { libc::fork() } {
        0 => {
            let good = std::panic::catch_unwind(work).is_ok();
            // SAFETY: ends the child without running what is the parent's.
            unsafe { libc::_exit(i32::from(!good)) };
        }
        pid => {
            let mut status = 0;
            // SAFETY: a writable int.
            unsafe { libc::waitpid(pid, &raw mut status, 0) };
            assert_eq!(status, 0);
        }
    }
}

#[test]
fn a_listing_is_complete_and_made_once() {
    let world = World::new(files());
    world.run("list");
    assert_eq!(world.server.counts().listings.load(Ordering::SeqCst), 1);
}

fn list() {
    remove_file("base/5/300").unwrap();
    in_child(|| {
        let expected = ["100", "100.1", "100_fsm", "200"].map(str::to_owned);
        for path in ["base/5", "./base/5/"] {
            assert_eq!(names(path), BTreeSet::from(expected.clone()));
        }
        assert_eq!(
            page(&File::open("base/5/100.1").unwrap(), 2),
            remote_page("base/5/100.1", 2)
        );
        let length = File::open("base/5/100.1")
            .unwrap()
            .metadata()
            .unwrap()
            .len();
        assert_eq!(length, 3 * 8192);
        assert!(File::open("base/5/300").is_err());
        remove_file("base/5/200").unwrap();
        assert!(File::open("base/5/200").is_err());
        assert_eq!(names("base/5").len(), 3);
    });
}

#[test]
fn the_process_that_loaded_the_library_lists_what_is_here() {
    let world = World::new(files());
    world.run("list_as_loader");
    assert_eq!(world.server.counts().listings.load(Ordering::SeqCst), 0);
}

fn list_as_loader() {
    File::open("base/5/300").unwrap();
    assert_eq!(names("base/5"), BTreeSet::from(["300".to_owned()]));
}

#[test]
fn a_directory_made_here_is_our_own() {
    let world = World::new(files());
    world.run("copy");
    // Only for the source: the copy is not looked for at the server.
    assert_eq!(world.server.counts().listings.load(Ordering::SeqCst), 1);
}

fn copy() {
    in_child(|| {
        create_dir("base/7").unwrap();
        assert!(
            File::open("base/7/100").is_err(),
            "of another database with this oid"
        );
        for name in names("base/1") {
            let copy = format!("base/7/{name}");
            std::fs::write(&copy, read_all(&format!("base/1/{name}"))).unwrap();
            assert_eq!(
                page(&File::open(&copy).unwrap(), 1),
                remote_page("base/1/100", 1)
            );
        }
        assert_eq!(names("base/7"), BTreeSet::from(["100".to_owned()]));
    });
}

#[test]
fn a_dropped_database_does_not_come_back() {
    World::new(files()).run("drop_database");
}

fn drop_database() {
    in_child(|| {
        for name in names("base/5") {
            remove_file(format!("base/5/{name}")).unwrap();
        }
        remove_dir("base/5").unwrap();
        assert!(File::open("base/5/100").is_err());
        create_dir("base/5").unwrap();
        assert!(File::open("base/5/100").is_err());
        assert!(names("base/5").is_empty());
        let maps = std::fs::read_dir("offshoot/map").unwrap();
        assert_eq!(maps.count(), 0);
    });
}
