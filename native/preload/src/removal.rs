//! Taking relation files away, for good.

use crate::error::Errno;
use crate::materialise::{self, Existence, is_at_server, is_gone, mark_gone, materialise};
use crate::path::RelPath;
use crate::path_lock::PathLock;
use crate::{fetch, hooks, real, sys};
use libc::c_int;

/// Whether a file that is to be removed was ever at the server.
enum Origin {
    Server,
    Own,
}

/// `unlink`. A file that is only at the server is removed too: by never letting it come.
pub fn unlink(path: &RelPath) -> Result<(), Errno> {
    let closed = is_gone(path)?;
    let origin = origin(path, closed)?;
    let _lock = PathLock::acquire(path.path())?;
    if !closed && matches!(origin, Origin::Server) {
        mark_gone(path)?;
    }
    // SAFETY: the path is NUL-terminated.
    let removed = check(unsafe { real::unlink(path.path().as_c_str().as_ptr()) });
    if removed == Ok(()) || removed == Err(Errno::ENOENT) {
        // The map goes last: a file without one counts as this compute's own.
        drop_map(path)?;
    }
    match (removed, origin) {
        (Err(Errno::ENOENT), Origin::Server) if !closed => Ok(()),
        (removed, _) => removed,
    }
}

fn origin(path: &RelPath, closed: bool) -> Result<Origin, Errno> {
    if closed {
        return Ok(Origin::Own);
    }
    if sys::exists(path.map_path().as_c_str())? {
        return Ok(Origin::Server);
    }
    match is_at_server(path) {
        Ok(true) => Ok(Origin::Server),
        Ok(false) => Ok(Origin::Own),
        // It cannot be known, but it can be kept from coming back.
        Err(_) if sys::exists(path.path().as_c_str())? => Ok(Origin::Server),
        Err(errno) => Err(errno),
    }
}

fn drop_map(path: &RelPath) -> Result<(), Errno> {
    match sys::unlink(path.map_path().as_c_str()) {
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// `rename` where at least one of the names is a relation file's. Postgres does not do it.
///
/// What is renamed becomes wholly this compute's own first, and both names are cut off from the server.
///
/// # Safety
/// Both are NUL-terminated paths.
pub unsafe fn rename(from: *const libc::c_char, to: *const libc::c_char) -> Result<(), Errno> {
    // SAFETY: the caller's promise.
    let (from_rel, to_rel) = unsafe { (RelPath::parse(from), RelPath::parse(to)) };
    if let Some(path) = &from_rel {
        make_own(path)?;
    }
    if let Some(path) = &to_rel {
        match unlink(path) {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(errno) => return Err(errno),
        }
    }
    // SAFETY: the caller's promise.
    check(unsafe { real::rename(from, to) })?;
    match &from_rel {
        Some(path) => drop_map(path),
        None => Ok(()),
    }
}

/// Fetches all of a file and cuts it off from the server.
fn make_own(path: &RelPath) -> Result<(), Errno> {
    if !sys::exists(path.path().as_c_str())? && materialise(path)? == Existence::Nowhere {
        return Err(Errno::ENOENT);
    }
    fetch_all(path)?;
    if is_gone(path)? {
        return Ok(());
    }
    mark_gone(path)
}

/// Fetches all of a file, for whoever reads it in a way that we do not see.
pub fn fetch_all(path: &RelPath) -> Result<(), Errno> {
    let fd = hooks::open_relation(path, libc::O_RDWR | libc::O_CLOEXEC, 0)?;
    let fetched = crate::open_file::get(fd).map_or(Ok(()), |file| fetch::ensure_all_local(&file));
    crate::open_file::remove(fd);
    drop(sys::Fd::from_raw(fd));
    fetched
}

/// After a directory has been made or removed here: whatever the server has under its name is not it.
pub fn close_directory(path: *const libc::c_char) -> Result<(), Errno> {
    // SAFETY: the real function has just taken the same path.
    match unsafe { crate::path::DirectoryPath::parse(path) } {
        Some(directory) => materialise::close(&directory),
        None => Ok(()),
    }
}

fn check(result: c_int) -> Result<(), Errno> {
    if result < 0 {
        return Err(Errno::last());
    }
    Ok(())
}
