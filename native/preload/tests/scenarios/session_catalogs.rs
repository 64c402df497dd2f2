//! What a session reads of the catalogs comes together, by the rules of any other file.

use crate::Scenario;
use crate::page_server::Faults;
use crate::reading::page;
use crate::world::{MadeUp, World, main_fork, remote_page, succeeded};
use offshoot_layout::{BLCKSZ, BlockKey};
use std::fs::{File, OpenOptions, remove_file};
use std::os::unix::fs::FileExt;
use std::sync::atomic::Ordering;

pub const SCENARIOS: &[Scenario] = &[
    ("first_session", first_session),
    ("catalogs_changed_before", catalogs_changed_before),
    ("catalogs_by_many", catalogs_by_many),
    ("read_catalogs", read_catalogs),
    ("broken_catalog", broken_catalog),
];

const CLASS: &str = "base/5/1259";
const ATTRIBUTE: &str = "base/5/1249";
const INDEX: &str = "base/5/2610";

fn catalogs() -> MadeUp {
    MadeUp::default()
        .with(CLASS, 14)
        .with(ATTRIBUTE, 100)
        .with(INDEX, 3)
        .with("base/5/1247", 0)
        .with("base/5/1255", 90)
        .with("base/5/16384", 5)
        .with("base/1/1259", 2)
        .with("global/1260", 1)
        .with("global/1262", 2)
}

fn open(path: &str) -> File {
    let mut options = OpenOptions::new();
    options.read(true).write(true).open(path).unwrap()
}

#[test]
fn they_come_in_two_round_trips() {
    let world = World::new(catalogs());
    world.run("first_session");
    let counts = world.server.counts();
    // Whole, or as many pages as a session is likely to read; those of the other database not at all. And the
    // guess that what is not at the server has a page.
    let expected = 14 + 64 + 3 + 8 + (1 + 2) + 1;
    assert_eq!(counts.pages.load(Ordering::SeqCst), expected);
    let here = std::fs::read(world.file(ATTRIBUTE)).unwrap();
    assert_eq!(here.len(), 100 * BLCKSZ);
    assert!(here[63 * BLCKSZ..][..BLCKSZ] == remote_page(ATTRIBUTE, 63));
    assert!(here[64 * BLCKSZ..].iter().all(|&byte| byte == 0));
    assert!(!world.file("base/5/16384").exists() && !world.file("base/1/1259").exists());
    assert_eq!(
        world.file("base/5/1247").metadata().unwrap().len(),
        0,
        "an empty one"
    );
}

fn first_session() {
    File::open("global/1262").unwrap();
    let class = File::open(CLASS).unwrap();
    assert_eq!(page(&class, 13), remote_page(CLASS, 13));
    assert_eq!(page(&open(INDEX), 2), remote_page(INDEX, 2));
    assert_eq!(
        File::open("base/5/2616").unwrap_err().raw_os_error(),
        Some(libc::ENOENT)
    );
}

#[test]
fn the_rest_of_a_long_one_is_read_as_ever() {
    let world = World::new(catalogs());
    world.run("read_catalogs");
}

fn read_catalogs() {
    for (path, blocks) in [(CLASS, 14), (ATTRIBUTE, 100), ("base/5/1255", 90)] {
        let file = open(path);
        for block in 0..blocks {
            assert_eq!(page(&file, block), remote_page(path, block as u32));
        }
    }
}

#[test]
fn what_was_written_or_dropped_here_does_not_come() {
    World::new(catalogs()).run("catalogs_changed_before");
}

fn catalogs_changed_before() {
    remove_file(INDEX).unwrap();
    // An own file of a name that the server does not know.
    let mut options = OpenOptions::new();
    let own = options.write(true).create_new(true).open("base/5/2616");
    own.unwrap().write_all_at(&[7; BLCKSZ], 0).unwrap();
    let class = open(CLASS);
    class.write_all_at(&[9; BLCKSZ], 3 * BLCKSZ as u64).unwrap();
    assert_eq!(
        File::open(INDEX).unwrap_err().raw_os_error(),
        Some(libc::ENOENT)
    );
    assert_eq!(page(&open("base/5/2616"), 0), [7; BLCKSZ]);
    assert_eq!(page(&open(CLASS), 3), [9; BLCKSZ]);
    assert_eq!(page(&open(CLASS), 4), remote_page(CLASS, 4));
    class.set_len(2 * BLCKSZ as u64).unwrap();
    assert_eq!(open(CLASS).metadata().unwrap().len(), 2 * BLCKSZ as u64);
    assert_eq!(page(&open(CLASS), 1), remote_page(CLASS, 1));
}

#[test]
fn one_that_cannot_be_had_is_an_error_of_who_reads_it() {
    let mut files = catalogs();
    files.broken.push(BlockKey {
        rel: main_fork(5, 2610),
        block: 1,
    });
    let world = World::new(files);
    let stderr = world.run("broken_catalog");
    assert!(stderr.contains("cannot make"), "{stderr}");
}

fn broken_catalog() {
    assert_eq!(page(&open(CLASS), 1), remote_page(CLASS, 1));
    let index = open(INDEX);
    assert_eq!(page(&index, 0), remote_page(INDEX, 0));
    let failed = index.read_exact_at(&mut [0; BLCKSZ], BLCKSZ as u64);
    assert_eq!(failed.unwrap_err().raw_os_error(), Some(libc::EIO));
    assert_eq!(page(&index, 2), remote_page(INDEX, 2));
}

/// Made ahead by whoever started the compute.
fn with_spare_files(world: &mut World, count: u32) {
    std::fs::create_dir(world.file("offshoot/spare")).unwrap();
    for number in 0..count {
        File::create(world.file(&format!("offshoot/spare/{number}"))).unwrap();
    }
    std::fs::write(world.file("offshoot/spare/next"), [0; 4]).unwrap();
    world.set("OFFSHOOT_SPARE_FILES", &count.to_string());
}

#[test]
fn files_that_were_made_ahead_are_taken_first() {
    for (count, left) in [(5, 0), (40, 26)] {
        let mut world = World::new(catalogs());
        with_spare_files(&mut world, count);
        world.run("first_session");
        // A map and a file for each of the seven that are there.
        let spares = std::fs::read_dir(world.file("offshoot/spare")).unwrap();
        assert_eq!(spares.count() as u32, left + 1);
        let here = std::fs::read(world.file(CLASS)).unwrap();
        assert!(here[13 * BLCKSZ..] == remote_page(CLASS, 13));
    }
}

#[test]
fn sessions_that_begin_at_once_keep_what_they_write() {
    for faults in [
        Faults::default(),
        Faults {
            delay_us_max: 2000,
            drop_one_in: 100,
            ..Faults::default()
        },
    ] {
        let mut world = World::new(catalogs());
        with_spare_files(&mut world, 5);
        world.server.set_faults(faults);
        let processes: Vec<_> = (0..4)
            .map(|own| world.spawn("catalogs_by_many", &[("OWN", own.to_string())]))
            .collect();
        for process in processes {
            succeeded(process);
        }
    }
}

/// Each process writes a block of its own in each file as soon as it can, and reads all others.
fn catalogs_by_many() {
    let own: u32 = std::env::var("OWN").unwrap().parse().unwrap();
    for path in [CLASS, ATTRIBUTE, "base/5/1255"] {
        let file = open(path);
        let written = [0xa0 + own as u8; BLCKSZ];
        file.write_all_at(&written, u64::from(own) * BLCKSZ as u64)
            .unwrap();
        for block in 4..14 {
            assert_eq!(page(&file, block), remote_page(path, block as u32));
        }
        assert_eq!(page(&open(path), u64::from(own)), written, "{path}");
    }
}
