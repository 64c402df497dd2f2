//! Listing, making and removing directories of databases.

use super::{c_result, hooks};
use crate::env::{Settings, settings};
use crate::materialise::materialise_all;
use crate::path::DirectoryPath;
use crate::{interrupt, real, removal, sys};
use libc::{DIR, c_char, c_int, mode_t};

hooks! {
    /// `opendir`: a database's directory shows all its relations (CREATE DATABASE … STRATEGY file_copy,
    /// ALTER DATABASE … SET TABLESPACE, pg_database_size, base backup).
    fn opendir(path: *const c_char) -> *mut DIR {
        let listed = settings().filter(|settings| is_for_all(settings));
        // SAFETY: the caller's promise.
        if let Some(directory) = listed.and_then(|_| unsafe { DirectoryPath::parse(path) }) {
            let brought = c_result(-1, || materialise_all(&directory).map(|()| 0));
            if brought < 0 {
                return std::ptr::null_mut();
            }
        }
        // SAFETY: the caller's promise.
        unsafe { real::opendir(path) }
    }

    /// `mkdir`: a directory that is made here is not the server's.
    fn mkdir(path: *const c_char, mode: mode_t) -> c_int {
        // SAFETY: the caller's promise.
        let made = unsafe { real::mkdir(path, mode) };
        if made < 0 || settings().is_none() {
            return made;
        }
        let closed = c_result(-1, || removal::close_directory(path).map(|()| 0));
        if closed < 0 {
            // SAFETY: the caller's promise.
            unsafe { real::rmdir(path) };
        }
        closed
    }

    /// `rmdir`: a directory that is removed here does not come back from the server.
    fn rmdir(path: *const c_char) -> c_int {
        // SAFETY: the caller's promise.
        let removed = unsafe { real::rmdir(path) };
        if removed < 0 || settings().is_none() {
            return removed;
        }
        c_result(-1, || removal::close_directory(path).map(|()| 0))
    }
}

/// The postmaster looks for leftover temporary files, and the startup process of a standby for init
/// forks: neither needs the relations, and bringing them all would cost the start dearly.
fn is_for_all(settings: &Settings) -> bool {
    settings.loader_pid != sys::pid() && !interrupt::in_recovery()
}
