//! Asking whether a file is there and how long it is: one that is only at the server is brought here
//! first.

use super::{c_result, hooks};
use crate::env::settings;
use crate::error::Errno;
use crate::materialise::{Existence, materialise};
use crate::path::RelPath;
use crate::promotion::{self, Access};
use crate::{real, sys};
use libc::{c_char, c_int, stat as Stat};

hooks! {
    /// `stat`.
    fn stat(path: *const c_char, out: *mut Stat) -> c_int {
        // SAFETY: the caller's promise.
        unsafe { after_materialising(path, || stat_directly(path, out, 0)) }
    }

    /// `stat64`.
    fn stat64(path: *const c_char, out: *mut Stat) -> c_int {
        // SAFETY: the caller's promise.
        unsafe { stat(path, out) }
    }

    /// `lstat`.
    fn lstat(path: *const c_char, out: *mut Stat) -> c_int {
        let flags = libc::AT_SYMLINK_NOFOLLOW;
        // SAFETY: the caller's promise.
        unsafe { after_materialising(path, || stat_directly(path, out, flags)) }
    }

    /// `lstat64`.
    fn lstat64(path: *const c_char, out: *mut Stat) -> c_int {
        // SAFETY: the caller's promise.
        unsafe { lstat(path, out) }
    }

    /// `stat` as programs call it that were built against a glibc before 2.33.
    fn __xstat(version: c_int, path: *const c_char, out: *mut Stat) -> c_int {
        // SAFETY: the caller's promise.
        unsafe { after_materialising(path, || real::versioned_stat(version, path, out)) }
    }

    /// `stat64`, likewise.
    fn __xstat64(version: c_int, path: *const c_char, out: *mut Stat) -> c_int {
        // SAFETY: the caller's promise.
        unsafe { __xstat(version, path, out) }
    }

    /// `lstat`, likewise.
    fn __lxstat(version: c_int, path: *const c_char, out: *mut Stat) -> c_int {
        // SAFETY: the caller's promise.
        unsafe { after_materialising(path, || real::versioned_lstat(version, path, out)) }
    }

    /// `lstat64`, likewise.
    fn __lxstat64(version: c_int, path: *const c_char, out: *mut Stat) -> c_int {
        // SAFETY: the caller's promise.
        unsafe { __lxstat(version, path, out) }
    }

    /// `access`.
    fn access(path: *const c_char, mode: c_int) -> c_int {
        // SAFETY: the caller's promise.
        unsafe { after_materialising(path, || real::access(path, mode)) }
    }
}

/// libc exports `stat` and `lstat` only since glibc 2.33, so the kernel is asked directly.
///
/// # Safety
/// `path` is a NUL-terminated string and `out` is writable.
unsafe fn stat_directly(path: *const c_char, out: *mut Stat, flags: c_int) -> c_int {
    // SAFETY: the caller's promise.
    c_result(-1, || unsafe { sys::stat_at(path, out, flags).map(|()| 0) })
}

/// Calls `ask`, and calls it again if the file was not there and now is.
///
/// # Safety
/// `path` is null or a NUL-terminated string.
unsafe fn after_materialising(path: *const c_char, ask: impl Fn() -> c_int) -> c_int {
    // SAFETY: the caller's promise.
    if let Some(errno) = unsafe { promotion::refusal(path, Access::Ask) } {
        errno.set();
        return -1;
    }
    let result = ask();
    if result == 0 || Errno::last() != Errno::ENOENT {
        return result;
    }
    // SAFETY: the caller's promise.
    let Some(path) = settings().and_then(|_| unsafe { RelPath::parse(path) }) else {
        return result;
    };
    let brought = c_result(-1, || match materialise(&path)? {
        Existence::Here => Ok(0),
        Existence::Nowhere => Err(Errno::ENOENT),
    });
    if brought < 0 { brought } else { ask() }
}
