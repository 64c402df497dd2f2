//! Several processes that read one relation together, as the workers of a parallel scan do, and hints of
//! processes that are gone.

use crate::Scenario;
use crate::reading::page;
use crate::world::{MadeUp, World, remote_page, succeeded};
use offshoot_layout::BLCKSZ;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

pub const SCENARIOS: &[Scenario] = &[("worker", worker), ("dead_asker", dead_asker)];

const PATH: &str = "base/5/100";
const BLOCKS: u32 = 4096;
const CHUNK: u32 = 32;
const WORKERS: u32 = 3;

fn world() -> World {
    World::new(MadeUp::default().with(PATH, BLOCKS))
}

#[test]
fn workers_hardly_ask_for_each_others_pages() {
    let world = world();
    // Each page that a worker has read leaves a byte here.
    File::create(world.file("done")).unwrap();
    let workers: Vec<_> = (0..WORKERS)
        .map(|at| world.spawn("worker", &[("WORKER", at.to_string())]))
        .collect();
    for worker in workers {
        succeeded(worker);
    }
    let done = std::fs::metadata(world.file("done")).unwrap().len();
    assert_eq!(done, u64::from(BLOCKS));
    let pages = world.server.counts().pages.load(Ordering::SeqCst);
    assert!(pages >= u64::from(BLOCKS));
    assert!(pages < u64::from(BLOCKS) * 5 / 4, "{pages}");
}

/// Every third chunk.
fn worker() {
    let own: u32 = std::env::var("WORKER").unwrap().parse().unwrap();
    let file = File::open(PATH).unwrap();
    let done = File::options().append(true).open("done").unwrap();
    for block in (0..BLOCKS).filter(|block| block / CHUNK % WORKERS == own) {
        assert_eq!(page(&file, u64::from(block)), remote_page(PATH, block));
        std::io::Write::write_all(&mut &done, &[1]).unwrap();
    }
}

#[test]
fn what_a_dead_process_asked_for_comes_all_the_same() {
    let world = world();
    world.run("dead_asker");
}

/// The child's questions are on its connection, which ends with it; the hints stay.
fn dead_asker() {
    const ASKED: u32 = 120;
    let file = File::open(PATH).unwrap();
    for round in 0..8 {
        let first = round * ASKED;
        // SAFETY: the child asks and exits.
        match unsafe { libc::fork() } {
            0 => {
                advise(&file, first, ASKED);
                // SAFETY: ends the child without running what is the parent's.
                unsafe { libc::_exit(0) };
            }
            child => {
                let mut status = 0;
                // SAFETY: a writable int.
                unsafe { libc::waitpid(child, &raw mut status, 0) };
                assert_eq!(status, 0);
            }
        }
        let start = Instant::now();
        for block in first..first + ASKED {
            assert_eq!(page(&file, u64::from(block)), remote_page(PATH, block));
        }
        // A wait for each block would be 240 ms.
        let elapsed = start.elapsed();
        assert!(elapsed < Duration::from_millis(200), "{elapsed:?}");
    }
}

fn advise(file: &File, block: u32, blocks: u32) {
    let offset = i64::from(block) * BLCKSZ as i64;
    let bytes = i64::from(blocks) * BLCKSZ as i64;
    let advice = libc::POSIX_FADV_WILLNEED;
    // SAFETY: no memory is passed.
    let advised = unsafe { libc::posix_fadvise(file.as_raw_fd(), offset, bytes, advice) };
    assert_eq!(advised, 0);
}
