//! Which descriptors are relation files with blocks at the server.

use crate::map_file::MapFile;
use crate::read_ahead::ReadAhead;
use libc::c_int;
use offshoot_layout::{BlockKey, RelFile};
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use std::sync::{Arc, Mutex};

/// Descriptors from here on cannot be relation files; Postgres keeps itself far below.
pub const DESCRIPTORS_MAX: usize = 65_536;

/// One opening of a relation file that has a map.
pub struct OpenFile {
    /// Open for reading and writing, whatever Postgres asked for: fetched pages are written to it.
    pub fd: c_int,
    pub file: RelFile,
    pub map: MapFile,
    pub read_ahead: Mutex<ReadAhead>,
    closed: AtomicBool,
}

impl OpenFile {
    pub fn new(fd: c_int, file: RelFile, map: MapFile) -> OpenFile {
        OpenFile {
            fd,
            file,
            map,
            read_ahead: Mutex::new(ReadAhead::default()),
            closed: AtomicBool::new(false),
        }
    }

    /// Whether `fd` is not this file any more.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// The page server's name for a block of this segment.
    pub fn key(&self, block: u32) -> BlockKey {
        BlockKey {
            rel: self.file.rel,
            block: self.file.first_block().saturating_add(block),
        }
    }
}

static OPEN_FILES: [AtomicPtr<OpenFile>; DESCRIPTORS_MAX] =
    [const { AtomicPtr::new(std::ptr::null_mut()) }; DESCRIPTORS_MAX];

fn slot(fd: c_int) -> Option<&'static AtomicPtr<OpenFile>> {
    OPEN_FILES.get(usize::try_from(fd).ok()?)
}

/// The relation file behind a descriptor. Takes no lock and allocates nothing: signal handlers write.
pub fn get(fd: c_int) -> Option<Arc<OpenFile>> {
    let file = slot(fd)?.load(Ordering::Acquire);
    if file.is_null() {
        return None;
    }
    // SAFETY: the slot holds one reference count of a live Arc; a program that closes a descriptor in
    // one thread while it uses it in another has lost already without us.
    unsafe {
        Arc::increment_strong_count(file);
        Some(Arc::from_raw(file))
    }
}

/// Remembers `file` under its descriptor, which is below `DESCRIPTORS_MAX`.
pub fn insert(file: OpenFile) -> Arc<OpenFile> {
    let file = Arc::new(file);
    if let Some(slot) = slot(file.fd) {
        let old = slot.swap(
            Arc::into_raw(Arc::clone(&file)).cast_mut(),
            Ordering::AcqRel,
        );
        release(old);
    }
    file
}

/// Forgets a descriptor that is about to be closed.
pub fn remove(fd: c_int) {
    let Some(slot) = slot(fd) else { return };
    if !slot.load(Ordering::Relaxed).is_null() {
        release(slot.swap(std::ptr::null_mut(), Ordering::AcqRel));
    }
}

fn release(file: *const OpenFile) {
    if file.is_null() {
        return;
    }
    // SAFETY: the pointer came out of a slot, whose reference count is now ours.
    let file = unsafe { Arc::from_raw(file) };
    file.closed.store(true, Ordering::Release);
}
