//! What was cut off never comes back from the server.

use crate::Scenario;
use crate::reading::page;
use crate::world::{MadeUp, World, remote_page};
use offshoot_layout::BLCKSZ;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;

pub const SCENARIOS: &[Scenario] = &[
    ("cut", cut),
    ("cut_by_path", cut_by_path),
    ("cut_segments", cut_segments),
    ("cut_ahead", cut_ahead),
];

const SEGMENT: u32 = 131_072;

fn files() -> MadeUp {
    MadeUp::default()
        .with("base/5/100", 100)
        .with("base/5/200", 2 * SEGMENT + 5)
}

#[test]
fn a_file_that_was_cut_and_grew_again_has_zeros_and_its_own() {
    World::new(files()).run("cut");
}

fn cut() {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open("base/5/100")
        .unwrap();
    let other = File::open("base/5/100").unwrap();
    file.set_len(50 * BLCKSZ as u64).unwrap();
    assert_eq!(other.read_at(&mut [0; 1], 50 * BLCKSZ as u64).unwrap(), 0);
    file.write_all_at(&[3; BLCKSZ], 60 * BLCKSZ as u64).unwrap();
    for file in [&other, &File::open("base/5/100").unwrap()] {
        assert_eq!(page(file, 49), remote_page("base/5/100", 49));
        assert_eq!(page(file, 50), [0; BLCKSZ]);
        assert_eq!(page(file, 59), [0; BLCKSZ]);
        assert_eq!(page(file, 60), [3; BLCKSZ]);
    }
    // In the middle of a page: its start stays the server's.
    file.set_len(10 * BLCKSZ as u64 + 100).unwrap();
    file.set_len(12 * BLCKSZ as u64).unwrap();
    let mut expected = [0; BLCKSZ];
    expected[..100].copy_from_slice(&remote_page("base/5/100", 10)[..100]);
    assert_eq!(page(&other, 10), expected);
    assert_eq!(page(&other, 11), [0; BLCKSZ]);
}

#[test]
fn a_file_that_is_only_at_the_server_is_cut() {
    World::new(files()).run("cut_by_path");
}

fn cut_by_path() {
    // SAFETY: a path.
    assert_eq!(unsafe { libc::truncate(c"base/5/100".as_ptr(), 0) }, 0);
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open("base/5/100")
        .unwrap();
    assert_eq!(file.read_at(&mut [0; 1], 0).unwrap(), 0);
    file.set_len(5 * BLCKSZ as u64).unwrap();
    assert_eq!(page(&file, 4), [0; BLCKSZ]);
    // SAFETY: a path.
    assert_eq!(unsafe { libc::truncate(c"base/5/101".as_ptr(), 0) }, -1);
    assert_eq!(
        std::io::Error::last_os_error().raw_os_error(),
        Some(libc::ENOENT)
    );
}

#[test]
fn segments_behind_a_cut_do_not_come() {
    World::new(files()).run("cut_segments");
}

fn cut_segments() {
    let first = OpenOptions::new()
        .read(true)
        .write(true)
        .open("base/5/200")
        .unwrap();
    first.set_len(BLCKSZ as u64).unwrap();
    // Never opened before the cut: nothing here knows of them but the server.
    assert!(File::open("base/5/200.1").is_err());
    assert!(File::open("base/5/200.2").is_err());
    first.set_len(u64::from(SEGMENT) * BLCKSZ as u64).unwrap();
    assert!(
        File::open("base/5/200.1").is_err(),
        "grown again, by its own"
    );
    let own = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open("base/5/200.1");
    own.unwrap().set_len(BLCKSZ as u64).unwrap();
    assert_eq!(page(&File::open("base/5/200.1").unwrap(), 0), [0; BLCKSZ]);
}

#[test]
fn pages_in_flight_during_a_cut_are_thrown_away() {
    World::new(files()).run("cut_ahead");
}

fn cut_ahead() {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open("base/5/100")
        .unwrap();
    for block in 0..20 {
        page(&file, block);
    }
    file.set_len(21 * BLCKSZ as u64).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(20));
    assert_eq!(page(&file, 20), remote_page("base/5/100", 20));
    file.set_len(100 * BLCKSZ as u64).unwrap();
    for block in 21..100 {
        assert_eq!(page(&file, block), [0; BLCKSZ], "{block}");
    }
}
