//! Reading, writing and advice.

use super::{c_result, hooks};
use crate::{fetch, limits, open_file, real, relation_io};
use libc::{c_int, c_uint, c_void, iovec, off_t, size_t, ssize_t};

hooks! {
    /// `read`.
    fn read(fd: c_int, buffer: *mut c_void, count: size_t) -> ssize_t {
        match open_file::get(fd) {
            // SAFETY: the caller's promise.
            Some(file) => c_result(-1, || unsafe { relation_io::read(&file, buffer, count) }),
            // SAFETY: the caller's promise.
            None => unsafe { real::read(fd, buffer, count) },
        }
    }

    /// `read` with a run-time check of the buffer's size.
    fn __read_chk(fd: c_int, buffer: *mut c_void, count: size_t, size: size_t) -> ssize_t {
        if count > size {
            // SAFETY: libc's own function would end the process too.
            unsafe { libc::abort() };
        }
        // SAFETY: the caller's promise.
        unsafe { read(fd, buffer, count) }
    }

    /// `pread`.
    fn pread(fd: c_int, buffer: *mut c_void, count: size_t, offset: off_t) -> ssize_t {
        match open_file::get(fd) {
            Some(file) => c_result(-1, || {
                // SAFETY: the caller's promise.
                unsafe { relation_io::read_at(&file, buffer, count, offset) }
            }),
            // SAFETY: the caller's promise.
            None => unsafe { real::pread(fd, buffer, count, offset) },
        }
    }

    /// `pread64`.
    fn pread64(fd: c_int, buffer: *mut c_void, count: size_t, offset: off_t) -> ssize_t {
        // SAFETY: the caller's promise.
        unsafe { pread(fd, buffer, count, offset) }
    }

    /// `pread` with a run-time check of the buffer's size.
    fn __pread_chk(
        fd: c_int,
        buffer: *mut c_void,
        count: size_t,
        offset: off_t,
        size: size_t,
    ) -> ssize_t {
        if count > size {
            // SAFETY: libc's own function would end the process too.
            unsafe { libc::abort() };
        }
        // SAFETY: the caller's promise.
        unsafe { pread(fd, buffer, count, offset) }
    }

    /// `pread64` with a run-time check of the buffer's size.
    fn __pread64_chk(
        fd: c_int,
        buffer: *mut c_void,
        count: size_t,
        offset: off_t,
        size: size_t,
    ) -> ssize_t {
        // SAFETY: the caller's promise.
        unsafe { __pread_chk(fd, buffer, count, offset, size) }
    }

    /// `preadv`.
    fn preadv(fd: c_int, slices: *const iovec, count: c_int, offset: off_t) -> ssize_t {
        match open_file::get(fd) {
            Some(file) => c_result(-1, || {
                // SAFETY: the caller's promise.
                unsafe { relation_io::read_vector_at(&file, slices, count, offset) }
            }),
            // SAFETY: the caller's promise.
            None => unsafe { real::preadv(fd, slices, count, offset) },
        }
    }

    /// `preadv64`.
    fn preadv64(fd: c_int, slices: *const iovec, count: c_int, offset: off_t) -> ssize_t {
        // SAFETY: the caller's promise.
        unsafe { preadv(fd, slices, count, offset) }
    }

    /// `write`.
    fn write(fd: c_int, buffer: *const c_void, count: size_t) -> ssize_t {
        match open_file::get(fd) {
            // SAFETY: the caller's promise.
            Some(file) => c_result(-1, || unsafe { relation_io::write(&file, buffer, count) }),
            // SAFETY: the caller's promise.
            None => unsafe { real::write(fd, buffer, count) },
        }
    }

    /// `pwrite`.
    fn pwrite(fd: c_int, buffer: *const c_void, count: size_t, offset: off_t) -> ssize_t {
        if let Some(errno) = limits::refusal_of_write(fd, offset, count) {
            return c_result(-1, || Err(errno));
        }
        match open_file::get(fd) {
            Some(file) => c_result(-1, || {
                // SAFETY: the caller's promise.
                unsafe { relation_io::write_at(&file, buffer, count, offset) }
            }),
            // SAFETY: the caller's promise.
            None => unsafe { real::pwrite(fd, buffer, count, offset) },
        }
    }

    /// `pwrite64`.
    fn pwrite64(fd: c_int, buffer: *const c_void, count: size_t, offset: off_t) -> ssize_t {
        // SAFETY: the caller's promise.
        unsafe { pwrite(fd, buffer, count, offset) }
    }

    /// `pwritev`.
    fn pwritev(fd: c_int, slices: *const iovec, count: c_int, offset: off_t) -> ssize_t {
        match open_file::get(fd) {
            Some(file) => c_result(-1, || {
                // SAFETY: the caller's promise.
                unsafe { relation_io::write_vector_at(&file, slices, count, offset) }
            }),
            // SAFETY: the caller's promise.
            None => unsafe { real::pwritev(fd, slices, count, offset) },
        }
    }

    /// `pwritev64`.
    fn pwritev64(fd: c_int, slices: *const iovec, count: c_int, offset: off_t) -> ssize_t {
        // SAFETY: the caller's promise.
        unsafe { pwritev(fd, slices, count, offset) }
    }

    /// `copy_file_range` (CREATE DATABASE with file_copy_method=clone, Postgres 18): what it copies is
    /// made local first, and what it writes, so that the blocks around it stay right.
    fn copy_file_range(
        from: c_int,
        from_offset: *mut off_t,
        to: c_int,
        to_offset: *mut off_t,
        count: size_t,
        flags: c_uint,
    ) -> ssize_t {
        let fetched = c_result(-1, || {
            for file in [open_file::get(from), open_file::get(to)].iter().flatten() {
                fetch::ensure_all_local(file)?;
            }
            Ok(0)
        });
        if fetched < 0 {
            return -1;
        }
        // SAFETY: the caller's promise.
        unsafe { real::copy_file_range(from, from_offset, to, to_offset, count, flags) }
    }

    /// `posix_fadvise`: Postgres' own prefetch (WILLNEED) becomes pipelined page requests.
    fn posix_fadvise(fd: c_int, offset: off_t, bytes: off_t, advice: c_int) -> c_int {
        if advice == libc::POSIX_FADV_WILLNEED
            && let Some(file) = open_file::get(fd)
        {
            c_result((), || {
                relation_io::will_need(&file, offset, bytes);
                Ok(())
            });
        }
        // SAFETY: the caller's promise.
        unsafe { real::posix_fadvise(fd, offset, bytes, advice) }
    }

    /// `posix_fadvise64`.
    fn posix_fadvise64(fd: c_int, offset: off_t, bytes: off_t, advice: c_int) -> c_int {
        // SAFETY: the caller's promise.
        unsafe { posix_fadvise(fd, offset, bytes, advice) }
    }
}
