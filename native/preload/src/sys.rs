//! This library's own system calls. They bypass libc's file functions, whose names are our hooks: the
//! library cannot call itself.

use crate::error::Errno;
use libc::{c_int, c_long, c_void, off_t};
use std::ffi::CStr;

/// A file descriptor that closes itself, without passing through our `close`.
#[derive(Debug)]
pub struct Fd(c_int);

impl Fd {
    pub fn from_raw(fd: c_int) -> Fd {
        Fd(fd)
    }

    pub fn raw(&self) -> c_int {
        self.0
    }

    /// Hands the descriptor to whoever closes it from here on.
    pub fn into_raw(self) -> c_int {
        let fd = self.0;
        std::mem::forget(self);
        fd
    }
}

impl Drop for Fd {
    fn drop(&mut self) {
        // SAFETY: closing takes no memory of ours; the descriptor is owned.
        unsafe { libc::syscall(libc::SYS_close, self.0) };
    }
}

fn check(result: c_long) -> Result<c_long, Errno> {
    if result < 0 {
        return Err(Errno::last());
    }
    Ok(result)
}

/// `open`, always close-on-exec.
pub fn open(path: &CStr, flags: c_int, mode: libc::mode_t) -> Result<Fd, Errno> {
    let flags = flags | libc::O_CLOEXEC;
    // SAFETY: `path` is NUL-terminated and outlives the call.
    let result = unsafe {
        let path = path.as_ptr();
        libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path, flags, mode)
    };
    check(result).map(|fd| Fd(fd as c_int))
}

/// `lseek`.
pub fn seek(fd: c_int, offset: off_t, whence: c_int) -> Result<off_t, Errno> {
    // SAFETY: no memory is passed.
    check(unsafe { libc::syscall(libc::SYS_lseek, fd, offset, whence) })
}

/// `fstat`.
pub fn fstat(fd: c_int) -> Result<libc::stat, Errno> {
    // SAFETY: all zeros is a valid `stat`, and the kernel's layout is libc's on both architectures.
    unsafe {
        let mut stat: libc::stat = std::mem::zeroed();
        check(libc::syscall(libc::SYS_fstat, fd, &raw mut stat))?;
        Ok(stat)
    }
}

/// Where an open file is; `None` for what has no path.
pub fn path_of(fd: c_int) -> Option<Vec<u8>> {
    let link = std::ffi::CString::new(format!("/proc/self/fd/{fd}")).ok()?;
    let mut path = vec![0u8; libc::PATH_MAX as usize];
    // SAFETY: the kernel writes at most as many bytes as there are.
    let result = unsafe {
        let buffer = path.as_mut_ptr();
        libc::syscall(
            libc::SYS_readlinkat,
            libc::AT_FDCWD,
            link.as_ptr(),
            buffer,
            path.len(),
        )
    };
    path.truncate(usize::try_from(check(result).ok()?).ok()?);
    Some(path)
}

/// `newfstatat`; `flags` 0 or AT_SYMLINK_NOFOLLOW.
///
/// # Safety
/// `path` is a NUL-terminated string and `stat` is writable.
pub unsafe fn stat_at(
    path: *const libc::c_char,
    stat: *mut libc::stat,
    flags: c_int,
) -> Result<(), Errno> {
    // SAFETY: the caller's promise.
    let result = unsafe {
        libc::syscall(
            libc::SYS_newfstatat,
            libc::AT_FDCWD,
            path,
            stat,
            flags as c_long,
        )
    };
    check(result).map(drop)
}

/// Whether `path` is there; any error but ENOENT and ENOTDIR is returned.
pub fn exists(path: &CStr) -> Result<bool, Errno> {
    // SAFETY: `path` is NUL-terminated and outlives the call.
    let result = unsafe {
        let path = path.as_ptr();
        libc::syscall(libc::SYS_faccessat, libc::AT_FDCWD, path, libc::F_OK)
    };
    match check(result) {
        Ok(_) => Ok(true),
        Err(Errno(libc::ENOENT | libc::ENOTDIR)) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// `unlink`.
pub fn unlink(path: &CStr) -> Result<(), Errno> {
    // SAFETY: `path` is NUL-terminated and outlives the call.
    let result = unsafe { libc::syscall(libc::SYS_unlinkat, libc::AT_FDCWD, path.as_ptr(), 0) };
    check(result).map(drop)
}

/// `rename`.
pub fn rename(from: &CStr, to: &CStr) -> Result<(), Errno> {
    let at = libc::AT_FDCWD;
    // SAFETY: both paths are NUL-terminated and outlive the call.
    let result =
        unsafe { libc::syscall(libc::SYS_renameat2, at, from.as_ptr(), at, to.as_ptr(), 0) };
    check(result).map(drop)
}

/// `ftruncate`.
pub fn ftruncate(fd: c_int, bytes: off_t) -> Result<(), Errno> {
    // SAFETY: no memory is passed.
    check(unsafe { libc::syscall(libc::SYS_ftruncate, fd, bytes) }).map(drop)
}

/// Reads from the file's start until `buffer` is full or the file ends.
pub fn read_start(fd: c_int, buffer: &mut [u8]) -> Result<usize, Errno> {
    let mut done = 0;
    while done < buffer.len() {
        let rest = &mut buffer[done..];
        // SAFETY: the kernel writes at most `rest.len()` bytes to `rest`.
        let result = check(unsafe {
            let at = rest.as_mut_ptr();
            libc::syscall(libc::SYS_pread64, fd, at, rest.len(), done as off_t)
        });
        match result {
            Ok(0) => break,
            Ok(count) => done += count as usize,
            Err(Errno(libc::EINTR)) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(done)
}

/// Writes all of `slices`, one behind the other, at `offset`.
pub fn write_all_at(
    fd: c_int,
    mut slices: &mut [libc::iovec],
    mut offset: off_t,
) -> Result<(), Errno> {
    while !slices.is_empty() {
        // SAFETY: every iovec describes memory that its maker keeps borrowed during the call.
        let result = check(unsafe {
            let (at, count) = (slices.as_ptr(), slices.len());
            libc::syscall(libc::SYS_pwritev, fd, at, count, offset, 0 as c_long)
        });
        match result {
            Ok(0) => return Err(Errno(libc::ENOSPC)),
            Ok(count) => {
                offset += count;
                slices = skip(slices, count as usize);
            }
            Err(Errno(libc::EINTR)) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// What is left of `slices` behind their first `count` bytes.
fn skip(slices: &mut [libc::iovec], mut count: usize) -> &mut [libc::iovec] {
    let mut whole = 0;
    for slice in slices.iter() {
        if count < slice.iov_len {
            break;
        }
        count -= slice.iov_len;
        whole += 1;
    }
    let rest = &mut slices[whole..];
    if let Some(first) = rest.first_mut() {
        first.iov_base = first.iov_base.cast::<u8>().wrapping_add(count).cast();
        first.iov_len -= count;
    }
    rest
}

/// Writes `bytes` to the file's start.
pub fn write_start(fd: c_int, bytes: &[u8]) -> Result<(), Errno> {
    let slice = libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast::<c_void>(),
        iov_len: bytes.len(),
    };
    write_all_at(fd, &mut [slice], 0)
}

/// Writes a line to standard error in one call; a failure has nowhere to be told.
pub fn write_stderr(line: &[u8]) {
    // SAFETY: the kernel reads `line` during the call only.
    unsafe { libc::syscall(libc::SYS_write, 2, line.as_ptr(), line.len()) };
}

/// Tries to lock (or unlocks) one byte of a file for this open file description.
pub fn lock_byte(fd: c_int, kind: c_int, byte: off_t) -> Result<(), Errno> {
    // SAFETY: all zeros is a valid `flock`; the kernel reads it during the call only.
    let result = unsafe {
        let mut lock: libc::flock = std::mem::zeroed();
        lock.l_type = kind as libc::c_short;
        lock.l_whence = libc::SEEK_SET as libc::c_short;
        lock.l_start = byte;
        lock.l_len = 1;
        libc::syscall(libc::SYS_fcntl, fd, libc::F_OFD_SETLK, &raw const lock)
    };
    check(result).map(drop)
}

/// The most memory that this process, and each that it makes, may have for itself: the heap and private mappings that
/// can be written; not what is shared. Beyond it allocations fail.
pub fn limit_data(bytes: u64) -> Result<(), Errno> {
    let limit = libc::rlimit {
        rlim_cur: bytes,
        rlim_max: bytes,
    };
    // SAFETY: the kernel reads `limit` during the call only.
    check(c_long::from(unsafe {
        libc::setrlimit(libc::RLIMIT_DATA, &raw const limit)
    }))
    .map(drop)
}

/// A clock that all processes share and that only goes forward; a few milliseconds coarse, and cheap.
pub fn coarse_milliseconds() -> i64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the kernel writes one timespec; the clock exists on every Linux.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_COARSE, &raw mut time) };
    time.tv_sec * 1000 + time.tv_nsec / 1_000_000
}

/// The calling process; a forked child has another.
pub fn pid() -> libc::pid_t {
    // SAFETY: no memory is passed.
    unsafe { libc::getpid() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skip_stops_inside_a_slice() {
        let bytes = [0u8; 30];
        let start = bytes.as_ptr().cast_mut();
        let cases = [(0, 3, 10), (4, 3, 6), (10, 2, 10), (29, 1, 1)];
        for (count, left, first_len) in cases {
            let mut slices = [0usize, 10, 20].map(|at| libc::iovec {
                iov_base: start.wrapping_add(at).cast(),
                iov_len: 10,
            });
            let rest = skip(&mut slices, count);
            assert_eq!((rest.len(), rest[0].iov_len), (left, first_len), "{count}");
            assert_eq!(rest[0].iov_base.cast(), start.wrapping_add(count));
        }
        assert!(skip(&mut [], 0).is_empty());
    }
}
