//! What the daemon has the compute refuse.

use crate::Scenario;
use crate::world::{MadeUp, World};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;

pub const SCENARIOS: &[Scenario] = &[
    ("limits_writes", refuse_writes),
    ("limits_memory", bound_memory),
];

const REMOTE: &str = "base/5/100";
const BYTES: usize = 4096;

fn limits_file(writes: u32) -> Vec<u8> {
    let mut bytes = vec![0; BYTES];
    bytes[..8].copy_from_slice(&0x4f46_4653_4c49_4d31u64.to_ne_bytes());
    bytes[8..12].copy_from_slice(&writes.to_ne_bytes());
    bytes
}

fn open(path: &str) -> File {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    options.open(path).unwrap()
}

fn refuse_writes() {
    let page = [7; 8192];
    let limits = open("offshoot/limits");
    let (remote, own, temporary) = (open(REMOTE), open("base/5/200"), open("base/5/t3_300"));
    let wal = open("pg_wal/000000010000000000000001");
    own.write_all_at(&page, 0).unwrap();
    limits.write_all_at(&1u32.to_ne_bytes(), 8).unwrap();
    for (file, end) in [(&remote, 3 * 8192), (&own, 8192)] {
        let refused = file.write_all_at(&page, end).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(libc::ENOSPC));
        // What is there can be changed.
        file.write_all_at(&page, end - 8192).unwrap();
    }
    for file in [&temporary, &wal] {
        file.write_all_at(&page, 0).unwrap();
    }
    limits.write_all_at(&0u32.to_ne_bytes(), 8).unwrap();
    remote.write_all_at(&page, 3 * 8192).unwrap();
    own.write_all_at(&page, 8192).unwrap();
    assert_eq!(own.metadata().unwrap().len(), 2 * 8192);
}

fn bound_memory() {
    let allocate = |bytes: usize| Vec::<u8>::new().try_reserve_exact(bytes);
    assert!(allocate(64 << 20).is_ok());
    assert!(allocate(512 << 20).is_err());
}

fn world() -> World {
    let mut world = World::new(MadeUp::default().with(REMOTE, 3));
    std::fs::create_dir(world.file("pg_wal")).unwrap();
    std::fs::write(world.file("offshoot/limits"), limits_file(0)).unwrap();
    let path = world.file("offshoot/limits");
    world.set("OFFSHOOT_LIMITS_FILE", path.to_str().unwrap());
    world
}

#[test]
fn relation_files_do_not_grow_while_writes_are_refused() {
    world().run("limits_writes");
}

#[test]
fn a_process_has_so_much_memory_of_its_own() {
    let mut world = world();
    world.set("OFFSHOOT_DATA_BYTES_MAX", &(256u64 << 20).to_string());
    world.run("limits_memory");
}

#[test]
fn a_limits_file_that_is_none_ends_the_process() {
    for content in [&b"short"[..], &[0; BYTES]] {
        let world = world();
        std::fs::write(world.file("offshoot/limits"), content).unwrap();
        let output = world
            .spawn("limits_writes", &[])
            .wait_with_output()
            .unwrap();
        assert!(!output.status.success());
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(words.contains("OFFSHOOT_LIMITS_FILE"), "{words}");
    }
}
