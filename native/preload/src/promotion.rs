//! A compute that reads only is a standby, and stays one: the file by which Postgres is told to end
//! its recovery is never there, and nobody can make it.

use crate::env::settings;
use crate::error::Errno;
use libc::c_char;
use std::ffi::CStr;

/// Postgres' PROMOTE_SIGNAL_FILE, in the data directory, where all of Postgres works.
const SIGNAL_FILE: &CStr = c"promote";

/// What somebody wants with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// To know whether it is there.
    Ask,
    /// To make or open it.
    Make,
}

/// Why that fails, if it is the file that must not be.
///
/// # Safety
/// `path` is null or a NUL-terminated string.
pub unsafe fn refusal(path: *const c_char, access: Access) -> Option<Errno> {
    if path.is_null() || !settings().is_some_and(|settings| settings.read_only) {
        return None;
    }
    // SAFETY: the caller's promise.
    let asked = unsafe { CStr::from_ptr(path) };
    let errno = match access {
        Access::Ask => Errno::ENOENT,
        Access::Make => Errno(libc::EROFS),
    };
    (asked == SIGNAL_FILE).then_some(errno)
}
