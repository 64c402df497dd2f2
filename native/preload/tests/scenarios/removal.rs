//! What was removed here never comes back from the server.

use crate::Scenario;
use crate::reading::page;
use crate::world::{MadeUp, World, remote_page};
use offshoot_layout::BLCKSZ;
use std::fs::{File, OpenOptions, remove_file, rename};
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;

pub const SCENARIOS: &[Scenario] = &[
    ("drop_read", drop_read),
    ("drop_unread", drop_unread),
    ("drop_own", drop_own),
    ("own_forks", own_forks),
    ("renamed", renamed),
];

fn files() -> MadeUp {
    MadeUp::default()
        .with("base/5/100", 10)
        .with("base/5/100_fsm", 3)
        .with("base/5/200", 131_072 + 5)
        .with("base/5/300_init", 1)
        .with("base/5/300_vm", 1)
}

fn is_missing(path: &str) -> bool {
    File::open(path).is_err_and(|error| error.kind() == ErrorKind::NotFound)
}

fn create(path: &str) -> File {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    options.open(path).unwrap()
}

#[test]
fn a_file_that_was_read() {
    let world = World::new(files());
    world.run("drop_read");
    assert!(world.file("offshoot/gone/base@5@100").exists());
    assert!(!world.file("offshoot/map/base@5@100").exists());
}

fn drop_read() {
    let open = File::open("base/5/100").unwrap();
    page(&open, 0);
    remove_file("base/5/100").unwrap();
    assert!(is_missing("base/5/100"));
    assert_eq!(
        remove_file("base/5/100").unwrap_err().kind(),
        ErrorKind::NotFound
    );
    // Who still has it open goes on reading it, as with any file.
    assert_eq!(page(&open, 9), remote_page("base/5/100", 9));
    let own = create("base/5/100");
    own.set_len(5 * BLCKSZ as u64).unwrap();
    assert_eq!(page(&File::open("base/5/100").unwrap(), 3), [0; BLCKSZ]);
    remove_file("base/5/100").unwrap();
    assert!(is_missing("base/5/100"));
}

#[test]
fn a_file_that_is_only_at_the_server() {
    World::new(files()).run("drop_unread");
}

fn drop_unread() {
    remove_file("base/5/200.1").unwrap();
    assert!(is_missing("base/5/200.1"));
    remove_file("base/5/200").unwrap();
    assert!(is_missing("base/5/200") && is_missing("base/5/200.1"));
    assert_eq!(
        remove_file("base/5/201").unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert_eq!(
        remove_file("base/5/200.2").unwrap_err().kind(),
        ErrorKind::NotFound
    );
}

#[test]
fn a_file_of_our_own_that_hid_one_of_the_server() {
    let world = World::new(files());
    // Base backup gives init forks as plain files.
    std::fs::write(world.file("base/5/300_init"), "own").unwrap();
    world.run("drop_own");
}

fn drop_own() {
    remove_file("base/5/300_init").unwrap();
    assert!(is_missing("base/5/300_init"));
    drop(create("base/5/300_init"));
}

#[test]
fn forks_of_a_relation_of_our_own_are_not_the_servers() {
    let world = World::new(files());
    std::fs::write(world.file("base/5/300"), "").unwrap();
    world.run("own_forks");
}

fn own_forks() {
    assert!(is_missing("base/5/300_vm"));
    remove_file("base/5/100").unwrap();
    assert!(is_missing("base/5/100_fsm"), "its main fork is gone");
    drop(create("base/5/100_fsm"));
}

#[test]
fn a_renamed_file_takes_its_pages_along() {
    World::new(files()).run("renamed");
}

fn renamed() {
    let file = OpenOptions::new().write(true).open("base/5/100").unwrap();
    file.write_all_at(&[1; BLCKSZ], 0).unwrap();
    rename("base/5/100", "base/5/900").unwrap();
    assert!(is_missing("base/5/100"));
    let file = File::open("base/5/900").unwrap();
    assert_eq!(page(&file, 0), [1; BLCKSZ]);
    assert_eq!(page(&file, 9), remote_page("base/5/100", 9));
    rename("base/5/900", "base/5/200").unwrap();
    let file = File::open("base/5/200").unwrap();
    assert_eq!(page(&file, 9), remote_page("base/5/100", 9));
    assert_eq!(file.metadata().unwrap().len(), 10 * BLCKSZ as u64);
    remove_file("base/5/200").unwrap();
    assert!(is_missing("base/5/200"));
}
