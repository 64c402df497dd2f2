//! Removing and renaming files.

use super::{c_result, hooks};
use crate::env::settings;
use crate::path::RelPath;
use crate::{real, removal};
use libc::{c_char, c_int};

hooks! {
    /// `unlink`.
    fn unlink(path: *const c_char) -> c_int {
        // SAFETY: the caller's promise.
        match settings().and_then(|_| unsafe { RelPath::parse(path) }) {
            Some(path) => c_result(-1, || removal::unlink(&path).map(|()| 0)),
            // SAFETY: the caller's promise.
            None => unsafe { real::unlink(path) },
        }
    }

    /// `rename`.
    fn rename(from: *const c_char, to: *const c_char) -> c_int {
        let is_relation = settings().is_some_and(|_| {
            // SAFETY: the caller's promise.
            [from, to].iter().any(|&path| unsafe { RelPath::parse(path) }.is_some())
        });
        if is_relation {
            // SAFETY: the caller's promise.
            return c_result(-1, || unsafe { removal::rename(from, to).map(|()| 0) });
        }
        // SAFETY: the caller's promise.
        unsafe { real::rename(from, to) }
    }
}
