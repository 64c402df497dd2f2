//! What is written here is never overwritten with what the server has.

use crate::Scenario;
use crate::reading::page;
use crate::world::{MadeUp, World, remote_page};
use offshoot_layout::BLCKSZ;
use std::fs::OpenOptions;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::sync::atomic::Ordering;

pub const SCENARIOS: &[Scenario] = &[("whole", whole), ("part", part), ("pending", pending)];

fn files() -> MadeUp {
    MadeUp::default().with("base/5/100", 100)
}

#[test]
fn whole_pages_are_written_without_asking_the_server() {
    let world = World::new(files());
    world.run("whole");
    // One that was read, and the first, which comes when the file is opened.
    assert_eq!(world.server.counts().pages.load(Ordering::SeqCst), 2);
}

fn whole() {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .open("base/5/100")
        .unwrap();
    let own = [7u8; BLCKSZ * 3];
    file.write_all_at(&own, 10 * BLCKSZ as u64).unwrap();
    file.seek(SeekFrom::Start(20 * BLCKSZ as u64)).unwrap();
    file.write_all(&own).unwrap();
    file.write_all_at(&own, 99 * BLCKSZ as u64).unwrap();
    for block in [10, 11, 12, 20, 21, 22, 99, 100, 101] {
        assert_eq!(page(&file, block), [7; BLCKSZ], "{block}");
    }
    assert_eq!(page(&file, 50), remote_page("base/5/100", 50));
    file.seek(SeekFrom::Start(11 * BLCKSZ as u64)).unwrap();
    let mut read = [0; BLCKSZ * 2];
    file.read_exact(&mut read).unwrap();
    assert!(read == [7; BLCKSZ * 2]);
}

#[test]
fn a_part_of_a_page_is_written_into_the_servers() {
    World::new(files()).run("part");
}

fn part() {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open("base/5/100")
        .unwrap();
    file.write_all_at(&[9; BLCKSZ + 20], 3 * BLCKSZ as u64 - 10)
        .unwrap();
    let mut before = remote_page("base/5/100", 2);
    before[BLCKSZ - 10..].fill(9);
    let mut after = remote_page("base/5/100", 4);
    after[..10].fill(9);
    assert_eq!(page(&file, 2), before);
    assert_eq!(page(&file, 3), [9; BLCKSZ]);
    assert_eq!(page(&file, 4), after);
}

#[test]
fn a_page_in_flight_does_not_overwrite_what_is_written_meanwhile() {
    World::new(files()).run("pending");
}

fn pending() {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open("base/5/100")
        .unwrap();
    // Block 0 brings 1 to 4 along; they are on their way when 2 is written.
    assert_eq!(page(&file, 0), remote_page("base/5/100", 0));
    file.write_all_at(&[5; BLCKSZ], 2 * BLCKSZ as u64).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(20));
    for block in [1, 2, 3, 4, 5, 6] {
        let expected = match block {
            2 => [5; BLCKSZ],
            _ => remote_page("base/5/100", block as u32),
        };
        assert_eq!(page(&file, block), expected, "{block}");
    }
}
