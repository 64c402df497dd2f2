//! Many processes on one segment: readers with read-ahead, writers and truncators, against a server that
//! is slow, drops connections and fails, readers of chunks in turns, and processes that ask for pages and
//! die. No read may ever see anything but the newest.
//!
//! As Postgres does with buffer locks, a block is locked while it is read or written, and the blocks
//! that are cut off while they are cut. Everything else happens at once: what is in flight for a block
//! while another process writes it or cuts it off, opening and closing, fetching the same block twice.

use crate::Scenario;
use crate::page_server::Faults;
use crate::world::{MadeUp, World, remote_page, succeeded};
use offshoot_layout::BLCKSZ;
use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};

pub const SCENARIOS: &[Scenario] = &[("mixed", mixed)];

const PATH: &str = "base/5/100";
const BLOCKS: u32 = 2048;
const OPERATIONS: u32 = 6000;
const PROCESSES: u64 = 6;
const ROUNDS: u64 = 3;

/// Two cells for each block, and the counter of chunks.
const SHARED_BYTES: usize = BLOCKS as usize * 16 + 8;

/// A block was cut off and not written since: zeros, or behind the end.
const CUT: u64 = u64::MAX;
const LOCKED: u64 = 1 << 63;

#[test]
fn no_read_is_ever_stale() {
    let faults = [
        Faults::default(),
        Faults {
            delay_us_max: 400,
            ..Faults::default()
        },
        Faults {
            delay_us_max: 200,
            drop_one_in: 300,
            error_one_in: 200,
            other_block_one_in: 300,
            silent: false,
        },
    ];
    for (round, faults) in (0..ROUNDS).zip(faults) {
        let world = World::new(MadeUp::default().with(PATH, BLOCKS));
        world.server.set_faults(faults);
        let shared = File::create(world.file("shared")).unwrap();
        shared.set_len(SHARED_BYTES as u64).unwrap();
        let processes: Vec<_> = (0..PROCESSES)
            .map(|at| {
                let seed = (round * PROCESSES + at + 1).to_string();
                world.spawn("mixed", &[("SEED", seed)])
            })
            .collect();
        for process in processes {
            succeeded(process);
        }
        assert!(world.server.counts().pages.load(Ordering::SeqCst) > 100);
    }
}

/// What all processes agree on: a lock and the generation of each block, 0 being the server's.
struct Agreed {
    cells: *mut AtomicU64,
}

impl Agreed {
    fn open() -> Agreed {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open("shared")
            .unwrap();
        // SAFETY: a new mapping of a file of this size.
        let cells = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                SHARED_BYTES,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                0,
            )
        };
        assert_ne!(cells, libc::MAP_FAILED);
        Agreed {
            cells: cells.cast(),
        }
    }

    fn cell(&self, at: usize) -> &AtomicU64 {
        // SAFETY: within the mapping, which is never unmapped.
        unsafe { &*self.cells.add(at) }
    }

    fn lock(&self, block: u32) -> BlockLock<'_> {
        let lock = self.cell(block as usize * 2);
        while lock.swap(LOCKED, Ordering::SeqCst) == LOCKED {
            std::thread::yield_now();
        }
        BlockLock {
            lock,
            generation: self.cell(block as usize * 2 + 1),
        }
    }
}

struct BlockLock<'a> {
    lock: &'a AtomicU64,
    generation: &'a AtomicU64,
}

impl Drop for BlockLock<'_> {
    fn drop(&mut self) {
        self.lock.store(0, Ordering::SeqCst);
    }
}

fn written_page(block: u32, generation: u64) -> [u8; BLCKSZ] {
    let mut page = [0; BLCKSZ];
    for (at, chunk) in page.chunks_exact_mut(8).enumerate() {
        let word = generation * 0x1_0000_0001 + u64::from(block) * 31 + at as u64;
        chunk.copy_from_slice(&word.to_be_bytes());
    }
    page
}

struct Process {
    agreed: Agreed,
    file: File,
    random: u64,
    scan_at: u32,
}

fn mixed() {
    let seed: u64 = std::env::var("SEED").unwrap().parse().unwrap();
    let mut process = Process {
        agreed: Agreed::open(),
        file: open(),
        random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
        scan_at: seed as u32 * 97 % BLOCKS,
    };
    for _ in 0..OPERATIONS {
        match process.number(1000) {
            0..580 => process.scan(),
            580..585 => process.chunk(),
            585..588 => process.ask_and_die(),
            588..700 => process.scan(),
            700..800 => {
                let block = process.number(BLOCKS);
                process.read(block);
            }
            800..840 => process.advise(),
            840..990 => {
                // Just ahead of a scan, where pages are in flight.
                let near = process.scan_at + process.number(40);
                process.write(near % BLOCKS);
            }
            990..997 => process.file = open(),
            _ => process.cut(),
        }
    }
}

fn open() -> File {
    loop {
        match OpenOptions::new().read(true).write(true).open(PATH) {
            Ok(file) => return file,
            Err(error) => assert_eq!(error.raw_os_error(), Some(libc::EIO), "made to fail"),
        }
    }
}

impl Process {
    fn number(&mut self, below: u32) -> u32 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        ((self.random >> 20) % u64::from(below)) as u32
    }

    fn scan(&mut self) {
        self.read(self.scan_at);
        self.scan_at = (self.scan_at + 1) % BLOCKS;
    }

    /// The next chunk of those that all processes share, as the workers of a parallel scan.
    fn chunk(&self) {
        const CHUNK: u32 = 16;
        let next = self.agreed.cell(BLOCKS as usize * 2);
        let at = next.fetch_add(1, Ordering::SeqCst) as u32 * CHUNK % BLOCKS;
        for block in at..at + CHUNK {
            self.read(block);
        }
    }

    /// Leaves hints behind that nobody fulfils.
    fn ask_and_die(&mut self) {
        let near = (self.scan_at + self.number(40)) % BLOCKS;
        // SAFETY: the child asks for pages and exits.
        match unsafe { libc::fork() } {
            0 => {
                advise(&self.file, near, 20);
                // SAFETY: ends the child without running what is the parent's.
                unsafe { libc::_exit(0) };
            }
            child => {
                // SAFETY: the status is not wanted.
                let ended = unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
                assert_eq!(ended, child);
            }
        }
    }

    fn read(&self, block: u32) {
        let lock = self.agreed.lock(block);
        let mut page = [0xee; BLCKSZ];
        let count = match self.file.read_at(&mut page, offset(block)) {
            Ok(count) => count,
            Err(error) => {
                assert_eq!(error.raw_os_error(), Some(libc::EIO), "made to fail");
                return;
            }
        };
        let generation = lock.generation.load(Ordering::SeqCst);
        let expected = match generation {
            CUT if count == 0 => return,
            CUT => [0; BLCKSZ],
            0 => remote_page(PATH, block),
            generation => written_page(block, generation),
        };
        assert_eq!(count, BLCKSZ, "block {block} generation {generation}");
        let start = u64::from_be_bytes(*page.first_chunk().unwrap());
        assert!(
            page == expected,
            "block {block} generation {generation}, starts {start:x}"
        );
    }

    fn write(&self, block: u32) {
        let lock = self.agreed.lock(block);
        let generation = match lock.generation.load(Ordering::SeqCst) {
            CUT => 1_000_000,
            generation => generation + 1,
        };
        self.file
            .write_all_at(&written_page(block, generation), offset(block))
            .unwrap();
        lock.generation.store(generation, Ordering::SeqCst);
    }

    fn advise(&mut self) {
        let block = self.number(BLOCKS);
        advise(&self.file, block, 3);
    }

    /// Cuts a few blocks off an end that moves down, so that much is left to fetch.
    fn cut(&mut self) {
        let kept = BLOCKS - BLOCKS / 4 + self.number(BLOCKS / 4);
        let locks: Vec<_> = (kept..BLOCKS)
            .map(|block| self.agreed.lock(block))
            .collect();
        self.file.set_len(offset(kept)).unwrap();
        for lock in locks {
            lock.generation.store(CUT, Ordering::SeqCst);
        }
    }
}

fn advise(file: &File, block: u32, blocks: u32) {
    let bytes = i64::from(blocks) * BLCKSZ as i64;
    let advice = libc::POSIX_FADV_WILLNEED;
    // SAFETY: no memory is passed.
    unsafe { libc::posix_fadvise(file.as_raw_fd(), offset(block) as i64, bytes, advice) };
}

fn offset(block: u32) -> u64 {
    u64::from(block) * BLCKSZ as u64
}
