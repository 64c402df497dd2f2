//! Presence of one relation file's blocks, in a file that all backends map. It is what makes fetching
//! race-free: a page from the server may only be written over a block that is still absent.
//!
//! | bytes | field |
//! | --- | --- |
//! | 0..8 | magic |
//! | 8..12 | tracked blocks: how many state bytes follow the header; never changes |
//! | 12..16 | remote blocks: blocks below it may be at the server only; it only ever falls |
//! | 16..64 | zero |
//! | 64.. | one state byte per tracked block: 0 absent, 1 filling, 2 present |
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

/// The content of a new map file for `blocks` blocks. It is written out, zeros and all: a hole that is
/// filled through a mapping when the disk is full kills the process.
pub fn new_content(blocks: u32) -> Vec<u8> {
    let mut bytes = vec![0; HEADER_BYTES + blocks as usize];
    bytes[0..8].copy_from_slice(&MAGIC.to_ne_bytes());
    bytes[8..12].copy_from_slice(&blocks.to_ne_bytes());
    bytes[12..16].copy_from_slice(&blocks.to_ne_bytes());
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
            .is_some_and(|state| state.load(Ordering::Acquire) == ABSENT)
    }

    /// Tries to become the one who writes an absent block.
    pub fn claim(&self, block: u32) -> Claim {
        let Some(state) = self.state(block) else {
            return Claim::Local;
        };
        match state.compare_exchange(ABSENT, FILLING, Ordering::SeqCst, Ordering::SeqCst) {
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
        match state.compare_exchange(ABSENT, PRESENT, Ordering::SeqCst, Ordering::SeqCst) {
            Err(FILLING) => Claim::Filling,
            _ => Claim::Local,
        }
    }
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
        let content = new_content(blocks);
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
        sys::write_start(fd.raw(), &new_content(1000)[..100]).unwrap();
        assert!(MapFile::map(&fd, 100).is_err(), "too few states");
    }
}
