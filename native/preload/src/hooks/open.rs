//! Opening and closing.

use super::{c_result, hooks};
use crate::env::settings;
use crate::error::Errno;
use crate::map_file::MapFile;
use crate::materialise::{Existence, is_at_server, materialise};
use crate::open_file::{self, DESCRIPTORS_MAX, OpenFile};
use crate::path::RelPath;
use crate::path_lock::PathLock;
use crate::promotion::{self, Access};
use crate::{real, relation_io, removal, sys};
use libc::{FILE, c_char, c_int, mode_t};
use std::sync::Arc;

/// How often an opening starts over because the file changed under it.
const ATTEMPTS_MAX: u32 = 100;

hooks! {
    /// `open`. The third argument is variadic in C; on x86-64 and aarch64 Linux it comes in the same
    /// register as a fixed one. Without O_CREAT it is whatever the register held, and nobody looks.
    fn open(path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
        // SAFETY: the caller's promise.
        match settings().and_then(|_| unsafe { RelPath::parse(path) }) {
            Some(path) => c_result(-1, || open_relation(&path, flags, mode)),
            // SAFETY: the caller's promise.
            None => forget_old(unsafe { real::open(path, flags, mode) }),
        }
    }

    /// `open64`.
    fn open64(path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
        // SAFETY: the caller's promise.
        unsafe { open(path, flags, mode) }
    }

    /// `open` as it is called with compile-time checks and without a mode.
    fn __open_2(path: *const c_char, flags: c_int) -> c_int {
        // SAFETY: the caller's promise.
        unsafe { open(path, flags, 0) }
    }

    /// `open64` as it is called with compile-time checks and without a mode.
    fn __open64_2(path: *const c_char, flags: c_int) -> c_int {
        // SAFETY: the caller's promise.
        unsafe { open(path, flags, 0) }
    }

    /// `openat`: a relation file only when it is relative to the working directory.
    fn openat(dir: c_int, path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
        if dir == libc::AT_FDCWD {
            // SAFETY: the caller's promise.
            return unsafe { open(path, flags, mode) };
        }
        // SAFETY: the caller's promise.
        forget_old(unsafe { real::openat(dir, path, flags, mode) })
    }

    /// `openat64`.
    fn openat64(dir: c_int, path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
        // SAFETY: the caller's promise.
        unsafe { openat(dir, path, flags, mode) }
    }

    /// `creat`.
    fn creat(path: *const c_char, mode: mode_t) -> c_int {
        // SAFETY: the caller's promise.
        unsafe { open(path, libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC, mode) }
    }

    /// `creat64`.
    fn creat64(path: *const c_char, mode: mode_t) -> c_int {
        // SAFETY: the caller's promise.
        unsafe { creat(path, mode) }
    }

    /// `fopen`: what it reads we do not see, so a relation file (pg_read_binary_file) is fetched whole.
    fn fopen(path: *const c_char, mode: *const c_char) -> *mut FILE {
        // SAFETY: the caller's promise.
        if let Some(errno) = unsafe { promotion::refusal(path, Access::Make) } {
            errno.set();
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's promise.
        if let Some(path) = settings().and_then(|_| unsafe { RelPath::parse(path) }) {
            let fetched = c_result(-1, || removal::fetch_all(&path).map(|()| 0));
            if fetched < 0 && Errno::last() != Errno::ENOENT {
                return std::ptr::null_mut();
            }
        }
        // SAFETY: the caller's promise.
        unsafe { real::fopen(path, mode) }
    }

    /// `fopen64`.
    fn fopen64(path: *const c_char, mode: *const c_char) -> *mut FILE {
        // SAFETY: the caller's promise.
        unsafe { fopen(path, mode) }
    }

    /// `close`.
    fn close(fd: c_int) -> c_int {
        c_result((), || {
            open_file::remove(fd);
            Ok(())
        });
        // SAFETY: the caller's promise.
        unsafe { real::close(fd) }
    }
}

/// A number that comes back from the kernel is not the relation file it may once have been.
fn forget_old(fd: c_int) -> c_int {
    if fd >= 0 {
        open_file::remove(fd);
    }
    fd
}

/// `open` of a relation file.
pub fn open_relation(path: &RelPath, flags: c_int, mode: mode_t) -> Result<c_int, Errno> {
    let exclusive = libc::O_CREAT | libc::O_EXCL;
    if flags & exclusive == exclusive {
        return create(path, flags, mode);
    }
    for _ in 0..ATTEMPTS_MAX {
        match open_here(path, flags)? {
            Opening::Done(fd) => return Ok(fd),
            Opening::Changed => {}
            Opening::Absent => match materialise(path)? {
                Existence::Here => {}
                Existence::Nowhere if flags & libc::O_CREAT == 0 => return Err(Errno::ENOENT),
                // Whoever else creates it meanwhile is as good as we.
                Existence::Nowhere => match create(path, flags | libc::O_EXCL, mode) {
                    Err(Errno::EEXIST) => {}
                    done => return done,
                },
            },
        }
    }
    Err(Errno::EIO)
}

/// Makes a new file of this compute's own.
fn create(path: &RelPath, flags: c_int, mode: mode_t) -> Result<c_int, Errno> {
    if sys::exists(path.path().as_c_str())? || is_at_server(path)? {
        return Err(Errno::EEXIST);
    }
    // Under the lock, so that it is not taken for one of the same name that is being removed.
    let _lock = PathLock::acquire(path.path())?;
    // SAFETY: the path is NUL-terminated.
    let fd = forget_old(unsafe { real::open(path.path().as_c_str().as_ptr(), flags, mode) });
    if fd < 0 {
        return Err(Errno::last());
    }
    Ok(fd)
}

enum Opening {
    Done(c_int),
    /// The file is not in the data directory.
    Absent,
    /// It came or went between two of our steps.
    Changed,
}

/// Opens a file that is in the data directory.
///
/// A file that came from the server has a map from before it appears until after it is removed, and a
/// name that lost its map never gets one again. So a map that is still there when the file has been
/// opened is the file's map, and a file that is not yet removed when there was no map before nor after
/// is this compute's own.
fn open_here(path: &RelPath, flags: c_int) -> Result<Opening, Errno> {
    let map_path = path.map_path();
    let map = match sys::open(map_path.as_c_str(), libc::O_RDWR, 0) {
        Ok(fd) => Some(fd),
        Err(Errno::ENOENT) => None,
        Err(errno) => return Err(errno),
    };
    let wanted = flags & !(libc::O_CREAT | libc::O_EXCL | libc::O_TRUNC);
    let flags_here = match map {
        // Fetched pages are written through this descriptor.
        Some(_) => wanted & !libc::O_ACCMODE | libc::O_RDWR,
        None => wanted,
    };
    // SAFETY: the path is NUL-terminated.
    let fd = unsafe { real::open(path.path().as_c_str().as_ptr(), flags_here, 0) };
    if fd < 0 {
        return match Errno::last() {
            Errno::ENOENT => Ok(Opening::Absent),
            errno => Err(errno),
        };
    }
    let guard = sys::Fd::from_raw(forget_old(fd));
    let file = match &map {
        Some(map) => {
            let stat = sys::fstat(map.raw())?;
            if stat.st_nlink == 0 {
                return Ok(Opening::Changed);
            }
            Some(track(path, fd, MapFile::map(map, stat.st_size as usize)?)?)
        }
        None => {
            if sys::exists(map_path.as_c_str())? || sys::fstat(fd)?.st_nlink == 0 {
                return Ok(Opening::Changed);
            }
            None
        }
    };
    if flags & libc::O_TRUNC != 0 {
        match &file {
            Some(file) => relation_io::truncate(file, 0)?,
            None => sys::ftruncate(fd, 0)?,
        }
    }
    Ok(Opening::Done(guard.into_raw()))
}

fn track(path: &RelPath, fd: c_int, map: MapFile) -> Result<Arc<OpenFile>, Errno> {
    if usize::try_from(fd).is_ok_and(|fd| fd >= DESCRIPTORS_MAX) {
        return Err(Errno(libc::EMFILE));
    }
    Ok(open_file::insert(OpenFile::new(fd, path.file, map)))
}
