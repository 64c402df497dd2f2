//! One process removes a relation file and makes its own of the same name while others open it for the
//! first time: what they get is the server's file, no file, or the new one, and never a mixture.

use crate::Scenario;
use crate::page_server::Faults;
use crate::world::{MadeUp, World, remote_page, succeeded};
use offshoot_layout::BLCKSZ;
use std::fs::{File, OpenOptions, remove_file};
use std::io::ErrorKind;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

pub const SCENARIOS: &[Scenario] = &[("remover", remover), ("opener", opener)];

const RELATIONS: u32 = 400;
const OPENERS: u64 = 4;
const BLOCKS: u32 = 8;
const OWN: [u8; BLCKSZ] = [0xab; BLCKSZ];

#[test]
fn a_removed_file_is_never_mixed_with_a_new_one() {
    let mut source = MadeUp::default();
    for relation in 0..RELATIONS {
        source = source.with(&path(relation), BLOCKS);
    }
    let world = World::new(source);
    world.server.set_faults(Faults {
        delay_us_max: 150,
        ..Faults::default()
    });
    let shared = File::create(world.file("shared")).unwrap();
    shared.set_len(u64::from(RELATIONS) * 16).unwrap();
    let mut processes: Vec<_> = (0..OPENERS)
        .map(|seed| world.spawn("opener", &[("SEED", seed.to_string())]))
        .collect();
    processes.push(world.spawn("remover", &[]));
    for process in processes {
        succeeded(process);
    }
    let maps = std::fs::read_dir(world.file("offshoot/map")).unwrap();
    assert_eq!(maps.count(), 0);
}

fn path(relation: u32) -> String {
    format!("base/5/{}", 1000 + relation)
}

/// For each relation, how many processes have come to it and whether its file has been replaced.
fn shared() -> &'static [[AtomicU64; 2]] {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open("shared")
        .unwrap();
    // SAFETY: a new mapping of a file of this size, which stays until the process ends.
    unsafe {
        let cells = libc::mmap(
            std::ptr::null_mut(),
            RELATIONS as usize * 16,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED,
            file.as_raw_fd(),
            0,
        );
        assert_ne!(cells, libc::MAP_FAILED);
        std::slice::from_raw_parts(cells.cast(), RELATIONS as usize)
    }
}

/// Waits for all the others to come to the relation too.
fn meet(cell: &[AtomicU64; 2]) {
    cell[0].fetch_add(1, Ordering::SeqCst);
    let start = Instant::now();
    while cell[0].load(Ordering::SeqCst) < OPENERS + 1 {
        assert!(start.elapsed() < Duration::from_secs(60), "alone");
        std::thread::yield_now();
    }
}

fn remover() {
    for (relation, cell) in (0..).zip(shared()) {
        meet(cell);
        let wait = Instant::now();
        // From before the openers' question to the server until after its answer.
        while wait.elapsed() < Duration::from_micros(u64::from(relation % 40) * 20) {
            std::hint::spin_loop();
        }
        remove_file(path(relation)).unwrap();
        let mut options = OpenOptions::new();
        let own = options
            .write(true)
            .create_new(true)
            .open(path(relation))
            .unwrap();
        own.write_all_at(&OWN.repeat(BLOCKS as usize), 0).unwrap();
        cell[1].store(1, Ordering::SeqCst);
    }
}

fn opener() {
    for (relation, cell) in (0..).zip(shared()) {
        meet(cell);
        let remote = remote_page(&path(relation), 5);
        let start = Instant::now();
        loop {
            assert!(start.elapsed() < Duration::from_secs(20), "never replaced");
            let is_replaced = cell[1].load(Ordering::SeqCst) == 1;
            let seen = look(&path(relation));
            match seen {
                Some(page) if page == OWN => {}
                Some(page) if page == remote && !is_replaced => {}
                None if !is_replaced => {}
                _ => panic!(
                    "{} replaced {is_replaced}: {:?}",
                    path(relation),
                    seen.map(|p| p[0])
                ),
            }
            if is_replaced {
                break;
            }
        }
    }
}

/// One page of the file, if there is one.
fn look(path: &str) -> Option<[u8; BLCKSZ]> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::NotFound);
            return None;
        }
    };
    let mut page = [0xee; BLCKSZ];
    match file.read_at(&mut page, 5 * BLCKSZ as u64).unwrap() {
        0 => None,
        count => {
            assert_eq!(count, BLCKSZ);
            Some(page)
        }
    }
}
