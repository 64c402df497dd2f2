//! Presence of one relation file's blocks, in a file that all backends map. It is what makes fetching
//! race-free: a page from the server may only be written over a block that is still absent.
//!
//! | bytes | field |
//! | --- | --- |
//! | 0..8 | magic |
//! | 8..12 | tracked blocks: how many state bytes follow the header; never changes |
//! | 12..16 | remote blocks: blocks below it may be at the server only; it only ever falls |
//! | 16..64 | zero |
//! | 64.. | one state byte per tracked block: 0 absent, 1 filling, 2 present, 3.. absent and asked for |
//!
//! "Asked for" is a hint with the time of the question in it (`Tick`): somebody's read-ahead has asked the
//! server for the block, so that others need not. It holds nothing. Whoever has the page, or writes, takes
//! the block as if it were absent; the hint ends by itself when it is old, whatever became of who gave it.
//!
//! Numbers are in the machine's byte order: the file never leaves the machine.

use crate::error::Errno;
use crate::sys;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::time::{Duration, Instant};

const MAGIC: u64 = 0x4f46_4653_4d41_5031;
const HEADER_BYTES: usize = 64;
/// How long anyone waits for another process that writes a block.
pub const FILLING_WAIT_MAX: Duration = Duration::from_secs(10);

const ABSENT: u8 = 0;
const FILLING: u8 = 1;
const PRESENT: u8 = 2;
/// States from here on are absent, asked for at the tick that is the rest.
const ASKED: u8 = 3;

/// A moment that all processes agree on, coarse enough for a state byte: it wraps every two seconds. An
/// old hint that looks new then costs a short wait and no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tick(u8);

impl Tick {
    const MILLISECONDS: i64 = 8;
    const COUNT: u8 = u8::MAX - ASKED + 1;
    /// How many ticks a question counts as under way.
    const FRESH: u8 = 8;

    pub fn now() -> Tick {
        Tick((sys::coarse_milliseconds() / Tick::MILLISECONDS % i64::from(Tick::COUNT)) as u8)
    }

    fn is_fresh(self, now: Tick) -> bool {
        let age = (u16::from(now.0) + u16::from(Tick::COUNT) - u16::from(self.0))
            % u16::from(Tick::COUNT);
        age <= u16::from(Tick::FRESH)
    }
}

/// Whether only the server has a block in this state and nobody is writing it.
fn is_remote(state: u8) -> bool {
    state == ABSENT || state >= ASKED
}

#[repr(C)]
struct Header {
    magic: u64,
    tracked_blocks: u32,
    remote_blocks: AtomicU32,
}

/// What became of an attempt to claim a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// The caller alone may write the block, and must `fill` or `release` it at once.
    Won,
    /// The local file is right about this block.
    Local,
    /// Another process is writing it.
    Filling,
}

/// A mapped map file.
pub struct MapFile {
    base: *mut u8,
    bytes: usize,
    tracked_blocks: u32,
}

// SAFETY: the mapping is shared memory that is only accessed through atomics (the header's constant
// fields are read once, before the value exists), and it is unmapped only when the value is dropped.
unsafe impl Send for MapFile {}
// SAFETY: as above.
unsafe impl Sync for MapFile {}

/// The content of a new map file for `blocks` blocks, of which the first `present` are present. It is written out, zeros and all: a hole that is
/// filled through a mapping when the disk is full kills the process.
pub fn new_content(blocks: u32, present: u32) -> Vec<u8> {
    let mut bytes = vec![0; HEADER_BYTES + blocks as usize];
    bytes[0..8].copy_from_slice(&MAGIC.to_ne_bytes());
    bytes[8..12].copy_from_slice(&blocks.to_ne_bytes());
    bytes[12..16].copy_from_slice(&blocks.to_ne_bytes());
    bytes[HEADER_BYTES..][..present.min(blocks) as usize].fill(PRESENT);
    bytes
}

impl MapFile {
    /// Maps an open map file of `bytes` bytes. The descriptor may be closed afterwards.
    pub fn map(fd: &sys::Fd, bytes: usize) -> Result<MapFile, Errno> {
        if bytes < HEADER_BYTES {
            return Err(Errno::EIO);
        }
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping, placed by the kernel.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                bytes,
                protection,
                libc::MAP_SHARED,
                fd.raw(),
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(Errno::last());
        }
        let mut map = MapFile {
            base: base.cast(),
            bytes,
            tracked_blocks: 0,
        };
        let header = map.header();
        if header.magic != MAGIC || HEADER_BYTES + header.tracked_blocks as usize > bytes {
            return Err(Errno::EIO);
        }
        map.tracked_blocks = header.tracked_blocks;
        Ok(map)
    }

    fn header(&self) -> &Header {
        // SAFETY: the mapping is page-aligned, at least HEADER_BYTES long and lives as long as `self`;
        // any bytes are a valid Header.
        unsafe { &*self.base.cast::<Header>() }
    }

    fn states(&self) -> &[AtomicU8] {
        // SAFETY: `map` checked that so many bytes follow the header; AtomicU8 is one byte.
        unsafe {
            let start = self.base.add(HEADER_BYTES).cast();
            std::slice::from_raw_parts(start, self.tracked_blocks as usize)
        }
    }

    /// Blocks at and above this are the local file's alone.
    pub fn remote_blocks(&self) -> u32 {
        let blocks = self.header().remote_blocks.load(Ordering::SeqCst);
        blocks.min(self.tracked_blocks)
    }

    /// The block's state, if it is not purely local.
    fn state(&self, block: u32) -> Option<&AtomicU8> {
        if block < self.remote_blocks() {
            self.states().get(block as usize)
        } else {
            None
        }
    }

    /// Whether the local file is right about the block.
    pub fn is_local(&self, block: u32) -> bool {
        self.state(block)
            .is_none_or(|state| state.load(Ordering::Acquire) == PRESENT)
    }

    /// Whether only the server has the block and nobody is writing it.
    pub fn is_absent(&self, block: u32) -> bool {
        self.state(block)
            .is_some_and(|state| is_remote(state.load(Ordering::Acquire)))
    }

    /// Whether the block is absent and a process, perhaps this one, has just asked for it.
    pub fn is_asked(&self, block: u32, now: Tick) -> bool {
        self.state(block).is_some_and(|state| {
            let state = state.load(Ordering::Acquire);
            state >= ASKED && Tick(state - ASKED).is_fresh(now)
        })
    }

    /// Tells the others that an absent block has been asked for.
    pub fn note_asked(&self, block: u32, now: Tick) {
        if let Some(state) = self.state(block) {
            // Any other state is more than a hint.
            let _ = replace_remote(state, ASKED + now.0);
        }
    }

    /// Tries to become the one who writes an absent block.
    pub fn claim(&self, block: u32) -> Claim {
        let Some(state) = self.state(block) else {
            return Claim::Local;
        };
        match replace_remote(state, FILLING) {
            // A truncation lowers remote_blocks first and looks for claims then; whoever claims looks
            // at remote_blocks afterwards. So one of the two sees the other.
            Ok(_) if block >= self.remote_blocks() => {
                self.fill(block);
                Claim::Local
            }
            Ok(_) => Claim::Won,
            Err(FILLING) => Claim::Filling,
            Err(_) => Claim::Local,
        }
    }

    /// A claimed block has been written.
    pub fn fill(&self, block: u32) {
        if let Some(state) = self.states().get(block as usize) {
            state.store(PRESENT, Ordering::SeqCst);
        }
    }

    /// A claimed block could not be written: it is absent as before.
    pub fn release(&self, block: u32) {
        if let Some(state) = self.states().get(block as usize) {
            state.store(ABSENT, Ordering::SeqCst);
        }
    }

    /// Waits until nobody is writing the block.
    pub fn wait_while_filling(&self, block: u32) -> Result<(), Errno> {
        let Some(state) = self.states().get(block as usize) else {
            return Ok(());
        };
        wait_until(|| state.load(Ordering::SeqCst) != FILLING)
    }

    /// From here on the blocks from `blocks` on never come from the server. The caller cuts the local
    /// file afterwards; when this returns, nobody who claimed such a block is still writing it.
    pub fn truncate(&self, blocks: u32) -> Result<(), Errno> {
        let before = self
            .header()
            .remote_blocks
            .fetch_min(blocks, Ordering::SeqCst);
        let end = before.min(self.tracked_blocks);
        for block in blocks..end {
            while self.present_unless_filling(block) == Claim::Filling {
                self.wait_while_filling(block)?;
            }
        }
        Ok(())
    }

    fn present_unless_filling(&self, block: u32) -> Claim {
        let state = &self.states()[block as usize];
        match replace_remote(state, PRESENT) {
            Err(FILLING) => Claim::Filling,
            _ => Claim::Local,
        }
    }
}

/// Replaces an absent block's state, asked for or not; any other stays and is returned as the error.
fn replace_remote(state: &AtomicU8, new: u8) -> Result<u8, u8> {
    let replace = |old| is_remote(old).then_some(new);
    state.fetch_update(Ordering::SeqCst, Ordering::SeqCst, replace)
}

impl Drop for MapFile {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's own and no reference to it outlives the value.
        unsafe { libc::munmap(self.base.cast(), self.bytes) };
    }
}

/// Looks again and again, first at once, then every 100 µs, until it is so or the time is over (EIO).
pub fn wait_until(is_so: impl Fn() -> bool) -> Result<(), Errno> {
    const YIELDS: u32 = 50;
    const NAP: Duration = Duration::from_micros(100);
    for _ in 0..YIELDS {
        if is_so() {
            return Ok(());
        }
        std::thread::yield_now();
    }
    let start = Instant::now();
    while !is_so() {
        if start.elapsed() > FILLING_WAIT_MAX {
            return Err(Errno::EIO);
        }
        std::thread::sleep(NAP);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CString;
    use std::sync::atomic::AtomicUsize;

    fn map(blocks: u32) -> MapFile {
        let directory = tempfile::tempdir().unwrap();
        let path = CString::new(directory.path().join("map").to_str().unwrap()).unwrap();
        let fd = sys::open(&path, libc::O_RDWR | libc::O_CREAT, 0o600).unwrap();
        let content = new_content(blocks, 0);
        sys::write_start(fd.raw(), &content).unwrap();
        MapFile::map(&fd, content.len()).unwrap()
    }

    #[test]
    fn a_block_is_claimed_once() {
        let map = map(3);
        assert!(map.is_absent(2) && !map.is_local(2));
        assert_eq!(map.claim(2), Claim::Won);
        assert_eq!(map.claim(2), Claim::Filling);
        assert!(!map.is_local(2) && !map.is_absent(2));
        map.release(2);
        assert_eq!(map.claim(2), Claim::Won);
        map.fill(2);
        assert_eq!(map.claim(2), Claim::Local);
        assert!(map.is_local(2) && map.is_absent(0));
    }

    #[test]
    fn a_hint_holds_nothing() {
        let map = map(4);
        let now = Tick(1);
        for block in 0..4 {
            map.note_asked(block, now);
            assert!(map.is_asked(block, now) && map.is_absent(block) && !map.is_local(block));
        }
        assert_eq!(map.claim(0), Claim::Won);
        map.note_asked(0, now);
        assert!(!map.is_asked(0, now), "a claim is stronger");
        assert_eq!(map.claim(0), Claim::Filling);
        map.fill(0);
        map.note_asked(0, now);
        assert!(map.is_local(0) && !map.is_asked(0, now));
        assert_eq!(map.claim(1), Claim::Won);
        map.release(1);
        assert!(map.is_absent(1) && !map.is_asked(1, now));
        map.truncate(3).unwrap();
        map.note_asked(3, now);
        assert!(map.is_local(3) && !map.is_asked(3, now));
        assert_eq!(map.claim(3), Claim::Local);
    }

    #[test]
    fn a_hint_grows_old() {
        let last = Tick::COUNT - 1;
        let cases = [
            (0, 0, true),
            (0, Tick::FRESH, true),
            (0, Tick::FRESH + 1, false),
            (0, last, false),
            (last, 0, true),
            (last, Tick::FRESH - 1, true),
            (last, Tick::FRESH, false),
            (100, 99, false),
        ];
        let map = map(1);
        for (asked, now, fresh) in cases {
            map.note_asked(0, Tick(asked));
            assert_eq!(map.is_asked(0, Tick(now)), fresh, "{asked} {now}");
            assert!(map.is_absent(0));
        }
        assert!(Tick::now().0 < Tick::COUNT);
    }

    #[test]
    fn a_block_is_claimed_once_however_often_it_is_asked_for() {
        let map = map(1);
        for tick in 0..200 {
            let won = AtomicUsize::new(0);
            std::thread::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(|| map.note_asked(0, Tick(tick)));
                    scope.spawn(|| {
                        if map.claim(0) == Claim::Won {
                            won.fetch_add(1, Ordering::SeqCst);
                        }
                    });
                }
            });
            assert_eq!(won.load(Ordering::SeqCst), 1);
            map.release(0);
        }
    }

    #[test]
    fn what_lies_beyond_is_local() {
        let map = map(3);
        for block in [3, 4, u32::MAX] {
            assert!(map.is_local(block) && !map.is_absent(block));
            assert_eq!(map.claim(block), Claim::Local);
        }
    }

    #[test]
    fn a_truncation_is_for_ever() {
        let map = map(10);
        map.truncate(4).unwrap();
        map.truncate(8).unwrap();
        assert_eq!(map.remote_blocks(), 4);
        assert_eq!(map.claim(4), Claim::Local);
        assert_eq!(map.claim(3), Claim::Won);
    }

    #[test]
    fn a_truncation_waits_for_the_writer_of_a_block() {
        let map = map(2);
        assert_eq!(map.claim(1), Claim::Won);
        let done = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                map.truncate(0).unwrap();
                assert_eq!(done.load(Ordering::SeqCst), 1);
            });
            std::thread::sleep(Duration::from_millis(20));
            done.store(1, Ordering::SeqCst);
            map.fill(1);
        });
    }

    #[test]
    fn a_file_that_is_no_map_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = CString::new(directory.path().join("map").to_str().unwrap()).unwrap();
        let fd = sys::open(&path, libc::O_RDWR | libc::O_CREAT, 0o600).unwrap();
        sys::ftruncate(fd.raw(), 100).unwrap();
        assert!(MapFile::map(&fd, 10).is_err(), "too short");
        assert!(MapFile::map(&fd, 100).is_err(), "no magic");
        sys::write_start(fd.raw(), &new_content(1000, 0)[..100]).unwrap();
        assert!(MapFile::map(&fd, 100).is_err(), "too few states");
    }
}
