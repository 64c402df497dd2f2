//! Cutting files.

use super::{c_result, hooks, open_relation};
use crate::env::settings;
use crate::path::RelPath;
use crate::{open_file, real, relation_io, sys};
use libc::{c_char, c_int, off_t};

hooks! {
    /// `ftruncate`.
    fn ftruncate(fd: c_int, bytes: off_t) -> c_int {
        match open_file::get(fd) {
            Some(file) => c_result(-1, || relation_io::truncate(&file, bytes).map(|()| 0)),
            // SAFETY: the caller's promise.
            None => unsafe { real::ftruncate(fd, bytes) },
        }
    }

    /// `ftruncate64`.
    fn ftruncate64(fd: c_int, bytes: off_t) -> c_int {
        // SAFETY: the caller's promise.
        unsafe { ftruncate(fd, bytes) }
    }

    /// `truncate`.
    fn truncate(path: *const c_char, bytes: off_t) -> c_int {
        // SAFETY: the caller's promise.
        match settings().and_then(|_| unsafe { RelPath::parse(path) }) {
            Some(path) => c_result(-1, || truncate_relation(&path, bytes).map(|()| 0)),
            // SAFETY: the caller's promise.
            None => unsafe { real::truncate(path, bytes) },
        }
    }

    /// `truncate64`.
    fn truncate64(path: *const c_char, bytes: off_t) -> c_int {
        // SAFETY: the caller's promise.
        unsafe { truncate(path, bytes) }
    }
}

fn truncate_relation(path: &RelPath, bytes: off_t) -> Result<(), crate::error::Errno> {
    let fd = open_relation(path, libc::O_RDWR | libc::O_CLOEXEC, 0)?;
    let result = match open_file::get(fd) {
        Some(file) => relation_io::truncate(&file, bytes),
        None => sys::ftruncate(fd, bytes),
    };
    open_file::remove(fd);
    drop(sys::Fd::from_raw(fd));
    result
}
