//! Empty files that whoever started this compute has made ahead, when nobody waited for it: to make one takes a
//! file system many times as long as to open one, above all where many files have just been deleted.
//!
//! `offshoot/spare/0`, `1`, … are given out in this order by a counter that all processes share, the four bytes of
//! `offshoot/spare/next`. A number is given out once; one whose taker died over it is lost.

use crate::env::settings;
use crate::sys;
use std::ffi::CString;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

const COUNTER_FILE: &std::ffi::CStr = c"offshoot/spare/next";

struct Counter(*const AtomicU32);

// SAFETY: the mapping is never undone, and what is in it is only accessed as an atomic.
unsafe impl Send for Counter {}
// SAFETY: as above.
unsafe impl Sync for Counter {}

/// Mapped once; processes that are forked later share it.
static COUNTER: LazyLock<Option<Counter>> = LazyLock::new(|| {
    let fd = sys::open(COUNTER_FILE, libc::O_RDWR, 0).ok()?;
    let bytes = size_of::<AtomicU32>();
    if sys::fstat(fd.raw()).ok()?.st_size != bytes as i64 {
        return None;
    }
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping, placed by the kernel, of a file that is as long.
    let base = unsafe {
        let nowhere = std::ptr::null_mut();
        libc::mmap(nowhere, bytes, protection, libc::MAP_SHARED, fd.raw(), 0)
    };
    (base != libc::MAP_FAILED).then(|| Counter(base.cast_const().cast()))
});

/// An empty file, open for reading and writing, and its path; `None` when there are none, or none left.
pub fn take() -> Option<(CString, sys::Fd)> {
    let count = settings()?.spare_files;
    if count == 0 {
        return None;
    }
    let counter = COUNTER.as_ref()?;
    // SAFETY: mapped, page-aligned and never unmapped.
    let counter = unsafe { &*counter.0 };
    let next = |number| (number < count).then_some(number + 1);
    let number = counter.fetch_update(Ordering::SeqCst, Ordering::SeqCst, next);
    let path = CString::new(format!("offshoot/spare/{}", number.ok()?)).ok()?;
    let fd = sys::open(&path, libc::O_RDWR, 0).ok()?;
    Some((path, fd))
}
