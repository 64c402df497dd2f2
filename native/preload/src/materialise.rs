//! Making a relation file that is only at the page server a file of this compute: a sparse one of the
//! right size, and before it the map that says that its blocks are still to be fetched.

use crate::client::{Start, retry};
use crate::env::{Settings, settings};
use crate::error::Errno;
use crate::install::slice_of;
use crate::listing;
use crate::map_file::{self, MapFile};
use crate::path::{DirectoryPath, RelPath, StackPath};
use crate::path_lock::PathLock;
use crate::session_catalogs;
use crate::spare_files;
use crate::stream::Deadline;
use crate::sys;
use offshoot_layout::{BLCKSZ, Fork, RELSEG_BLOCKS, RelFile, RelKey};
use std::fmt::Write;

const FILE_MODE: libc::mode_t = 0o600;

/// Whether a relation file exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existence {
    /// It is in the data directory, perhaps made just now.
    Here,
    /// Neither here nor at the server.
    Nowhere,
}

/// Brings an absent file here if it is at the server.
pub fn materialise(path: &RelPath) -> Result<Existence, Errno> {
    let brought = settings().is_some_and(|settings| session_catalogs::bring_with(settings, path));
    if brought && sys::exists(path.path().as_c_str())? {
        return Ok(Existence::Here);
    }
    match start_at_server(path, Wanted::SmallWhole)? {
        Some(start) => make(path, &start),
        None => Ok(Existence::Nowhere),
    }
}

/// Whether the server may give this file; a file of this compute's own must never be mixed with it.
pub fn is_at_server(path: &RelPath) -> Result<bool, Errno> {
    Ok(start_at_server(path, Wanted::Size)?.is_some())
}

/// What to ask for along with a file's existence.
#[derive(Clone, Copy)]
enum Wanted {
    Size,
    /// All of a small file too.
    SmallWhole,
}

/// Blocks of this segment at the server; `None` if it does not exist there or must not come back.
fn start_at_server(path: &RelPath, wanted: Wanted) -> Result<Option<Start>, Errno> {
    let Some(settings) = settings() else {
        return Ok(None);
    };
    if is_gone(path)? || !sys::exists(path.directory().path().as_c_str())? || is_orphan(path)? {
        return Ok(None);
    }
    let RelFile { rel, segment } = path.file;
    if matches!(wanted, Wanted::SmallWhole) && segment == 0 {
        let start = retry(settings, &rel, |client| client.small_whole(settings, rel))?;
        return Ok(start.map(|start| Start {
            blocks: start.blocks.min(RELSEG_BLOCKS),
            ..start
        }));
    }
    let blocks = retry(settings, &rel, |client| client.blocks(settings, rel))?;
    let blocks = blocks.and_then(|blocks| segment_blocks(blocks, segment));
    Ok(blocks.map(Start::without_pages))
}

/// Blocks of one segment of a fork of `blocks` blocks. Only the first segment can be empty.
fn segment_blocks(blocks: u32, segment: u32) -> Option<u32> {
    let before = segment.saturating_mul(RELSEG_BLOCKS);
    let own = blocks.saturating_sub(before).min(RELSEG_BLOCKS);
    (own > 0 || segment == 0).then_some(own)
}

/// Whether the file was dropped here, or nothing of its directory can be at the server any more.
pub fn is_gone(path: &RelPath) -> Result<bool, Errno> {
    Ok(sys::exists(path.gone_path().as_c_str())? || is_closed(&path.directory())?)
}

fn is_closed(directory: &DirectoryPath) -> Result<bool, Errno> {
    sys::exists(directory.closed_path().as_c_str())
}

/// Whether the file belongs to one that this compute has made, dropped or cut short: then what the server
/// has under its name is another relation's, or was cut off.
fn is_orphan(path: &RelPath) -> Result<bool, Errno> {
    // The nearest segment before it that is known here decides.
    let mut segment = *path;
    while let Some(before) = segment.segment_before() {
        match fate(&before)? {
            Fate::Unknown => segment = before,
            Fate::Whole => return Ok(false),
            Fate::OwnOrCut => return Ok(true),
        }
    }
    match path.file.rel.fork {
        Fork::Fsm | Fork::Vm => {
            let main = path.main_file();
            Ok(is_own(&main)? || is_gone(&main)?)
        }
        Fork::Main | Fork::Init => Ok(false),
    }
}

/// What has become of a segment here.
enum Fate {
    /// It has not been looked at yet.
    Unknown,
    /// It is here and as long as at the server, if that has a segment behind it.
    Whole,
    OwnOrCut,
}

fn fate(path: &RelPath) -> Result<Fate, Errno> {
    match sys::open(path.map_path().as_c_str(), libc::O_RDWR, 0) {
        Ok(fd) => {
            let bytes = sys::fstat(fd.raw())?.st_size as usize;
            let is_whole = MapFile::map(&fd, bytes)?.remote_blocks() == RELSEG_BLOCKS;
            Ok(if is_whole {
                Fate::Whole
            } else {
                Fate::OwnOrCut
            })
        }
        Err(Errno::ENOENT) => {
            let is_known = sys::exists(path.path().as_c_str())? || is_gone(path)?;
            Ok(if is_known {
                Fate::OwnOrCut
            } else {
                Fate::Unknown
            })
        }
        Err(errno) => Err(errno),
    }
}

/// Whether the file is here and was never at the server.
fn is_own(path: &RelPath) -> Result<bool, Errno> {
    Ok(sys::exists(path.path().as_c_str())? && !sys::exists(path.map_path().as_c_str())?)
}

/// Makes map and file, in this order: a file without a map counts as this compute's own. The pages that
/// have come along are in it before anybody can see it.
pub fn make(path: &RelPath, start: &Start) -> Result<Existence, Errno> {
    let _lock = PathLock::acquire(path.path())?;
    if is_gone(path)? {
        return Ok(Existence::Nowhere);
    }
    if sys::exists(path.path().as_c_str())? {
        return Ok(Existence::Here);
    }
    let map_path = path.map_path();
    let content = map_file::new_content(start.blocks, start.pages.len() as u32);
    make_file(&map_path, |fd| sys::write_start(fd, &content)).map_err(Errno::of_state)?;
    let made = make_file(path.path(), |fd| write_pages(fd, start));
    match made {
        Ok(()) => Ok(Existence::Here),
        Err(errno) => {
            sys::unlink(map_path.as_c_str()).map_err(Errno::of_state)?;
            // The directory was there a moment ago: the database is being dropped.
            if errno == Errno::ENOENT {
                Ok(Existence::Nowhere)
            } else {
                Err(errno)
            }
        }
    }
}

fn write_pages(fd: libc::c_int, start: &Start) -> Result<(), Errno> {
    let mut slices: Vec<_> = start.pages.iter().map(|page| slice_of(page)).collect();
    sys::write_all_at(fd, &mut slices, 0)?;
    if start.pages.len() == start.blocks as usize {
        return Ok(());
    }
    sys::ftruncate(fd, i64::from(start.blocks) * BLCKSZ as i64)
}

/// Makes a file appear with its content: nobody sees it shorter.
fn make_file(
    path: &StackPath,
    fill: impl FnOnce(libc::c_int) -> Result<(), Errno>,
) -> Result<(), Errno> {
    let (temporary, fd) = match spare_files::take() {
        Some(spare) => spare,
        None => temporary_file()?,
    };
    fill(fd.raw())?;
    sys::rename(&temporary, path.as_c_str())
}

fn temporary_file() -> Result<(std::ffi::CString, sys::Fd), Errno> {
    let path = temporary_path();
    let flags = libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC;
    let fd = sys::open(&path, flags, FILE_MODE).map_err(Errno::of_state)?;
    Ok((path, fd))
}

/// One name for each process is enough: path locks are held one at a time.
fn temporary_path() -> std::ffi::CString {
    let mut name = String::new();
    // Writing to a String cannot fail.
    let _ = write!(name, "offshoot/tmp/{}", sys::pid());
    std::ffi::CString::new(name).unwrap_or_default()
}

/// Brings every relation file of a database's directory here, so that a listing of it is complete.
pub fn materialise_all(directory: &DirectoryPath) -> Result<(), Errno> {
    let Some(settings) = settings() else {
        return Ok(());
    };
    if is_closed(directory)? || !sys::exists(directory.path().as_c_str())? {
        return Ok(());
    }
    let (spcnode, dbnode) = (directory.spcnode, directory.dbnode);
    let relations = list(settings, directory)?;
    for entry in relations {
        let rel = RelKey {
            spcnode,
            dbnode,
            relnode: entry.relnode,
            fork: entry.fork,
        };
        materialise_segments(directory, rel, entry.blocks)?;
    }
    close(directory)
}

fn list(
    settings: &Settings,
    directory: &DirectoryPath,
) -> Result<Vec<offshoot_pageproto::RelationEntry>, Errno> {
    let (spcnode, dbnode) = (directory.spcnode, directory.dbnode);
    retry(settings, directory.path(), |_| {
        let deadline = Deadline::after(settings.response_wait);
        listing::relations(settings, spcnode, dbnode, deadline)
    })
}

fn materialise_segments(directory: &DirectoryPath, rel: RelKey, blocks: u32) -> Result<(), Errno> {
    for segment in 0.. {
        let path = directory.file(rel, segment);
        let Some(own) = segment_blocks(blocks, segment) else {
            break;
        };
        if sys::exists(path.path().as_c_str())? {
            continue;
        }
        if is_gone(&path)? || is_orphan(&path)? {
            break;
        }
        make(&path, &Start::without_pages(own))?;
    }
    Ok(())
}

/// From here on nothing of this directory comes from the server: it is all here, or it was dropped, or
/// the directory is one that the server does not know.
pub fn close(directory: &DirectoryPath) -> Result<(), Errno> {
    make_mark(&directory.closed_path())
}

/// From here on the file never comes from the server.
pub fn mark_gone(path: &RelPath) -> Result<(), Errno> {
    make_mark(&path.gone_path())
}

fn make_mark(path: &StackPath) -> Result<(), Errno> {
    let flags = libc::O_WRONLY | libc::O_CREAT;
    let made = sys::open(path.as_c_str(), flags, FILE_MODE);
    made.map(drop).map_err(Errno::of_state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_segments() {
        let full = RELSEG_BLOCKS;
        let cases = [
            (0, 0, Some(0)),
            (0, 1, None),
            (1, 0, Some(1)),
            (full, 0, Some(full)),
            (full, 1, None),
            (full + 1, 1, Some(1)),
            (full + 1, 0, Some(full)),
            (3 * full + 7, 3, Some(7)),
            (3 * full + 7, 4, None),
            (u32::MAX, 32767, Some(full - 1)),
            (u32::MAX, u32::MAX, None),
        ];
        for (blocks, segment, expected) in cases {
            assert_eq!(
                segment_blocks(blocks, segment),
                expected,
                "{blocks} {segment}"
            );
        }
    }
}
