//! Which paths are relation files or database directories, and where this library keeps its own state
//! about them. Nothing here allocates.
//!
//! | state | path |
//! | --- | --- |
//! | presence of a relation file's blocks | `offshoot/map/base@5@1259` |
//! | a relation file that must never come back | `offshoot/gone/base@5@1259` |
//! | a directory of which nothing more is at the server | `offshoot/gone/base@5` |
//! | a directory whose catalogs were brought together | `offshoot/tmp/catalogs@base@5` |

use offshoot_layout::{Fork, RelFile, RelKey};
use std::ffi::{CStr, c_char};
use std::fmt::{self, Write};

/// Longest path that can be a relation file's, with room for our prefixes; longer ones are not ours.
const PATH_BYTES_MAX: usize = 128;
const STATE_PATH_BYTES: usize = PATH_BYTES_MAX + 32;

/// A NUL-terminated path on the stack.
#[derive(Clone, Copy)]
pub struct StackPath {
    bytes: [u8; STATE_PATH_BYTES],
    len: usize,
}

impl StackPath {
    fn new() -> Self {
        StackPath {
            bytes: [0; STATE_PATH_BYTES],
            len: 0,
        }
    }

    /// `prefix` and then `path` with `@` for `/`: one flat directory holds them all.
    fn flat(prefix: &str, path: &[u8]) -> Self {
        let mut out = StackPath::new();
        out.push(prefix.as_bytes());
        let start = out.len;
        out.push(path);
        for byte in &mut out.bytes[start..] {
            if *byte == b'/' {
                *byte = b'@';
            }
        }
        out
    }

    /// What does not fit is left out; nothing that was parsed is that long.
    fn push(&mut self, bytes: &[u8]) {
        let end = (self.len + bytes.len()).min(STATE_PATH_BYTES - 1);
        let taken = end - self.len;
        self.bytes[self.len..end].copy_from_slice(&bytes[..taken]);
        self.len = end;
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    pub fn as_c_str(&self) -> &CStr {
        // The last byte is never written, so there is always a NUL.
        CStr::from_bytes_until_nul(&self.bytes).unwrap_or(c"")
    }
}

impl Write for StackPath {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text.as_bytes());
        Ok(())
    }
}

impl fmt::Display for StackPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.as_bytes()))
    }
}

/// The path of one segment file of a permanent relation, relative to the data directory.
#[derive(Clone, Copy)]
pub struct RelPath {
    pub file: RelFile,
    path: StackPath,
}

impl RelPath {
    /// # Safety
    /// `path` is null or a NUL-terminated string.
    pub unsafe fn parse(path: *const c_char) -> Option<RelPath> {
        // SAFETY: the caller's promise.
        let bytes = unsafe { path_bytes(path)? };
        RelPath::of_bytes(bytes)
    }

    fn of_bytes(bytes: &[u8]) -> Option<RelPath> {
        let file = RelFile::parse(bytes, tablespace_major(bytes))?;
        let mut path = StackPath::new();
        path.push(bytes);
        Some(RelPath { file, path })
    }

    /// As given, without `./` in front.
    pub fn path(&self) -> &StackPath {
        &self.path
    }

    pub fn directory(&self) -> DirectoryPath {
        let bytes = self.path.as_bytes();
        let end = bytes.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
        let mut path = StackPath::new();
        path.push(&bytes[..end]);
        DirectoryPath {
            spcnode: self.file.rel.spcnode,
            dbnode: self.file.rel.dbnode,
            path,
        }
    }

    pub fn map_path(&self) -> StackPath {
        StackPath::flat("offshoot/map/", self.path.as_bytes())
    }

    pub fn gone_path(&self) -> StackPath {
        StackPath::flat("offshoot/gone/", self.path.as_bytes())
    }

    /// The same relation's main fork, first segment.
    pub fn main_file(&self) -> RelPath {
        let main = RelKey {
            fork: Fork::Main,
            ..self.file.rel
        };
        self.directory().file(main, 0)
    }

    /// The segment before this one.
    pub fn segment_before(&self) -> Option<RelPath> {
        let before = self.file.segment.checked_sub(1)?;
        Some(self.directory().file(self.file.rel, before))
    }
}

/// The path of a database's directory in one tablespace.
#[derive(Clone, Copy)]
pub struct DirectoryPath {
    pub spcnode: u32,
    pub dbnode: u32,
    path: StackPath,
}

impl DirectoryPath {
    /// # Safety
    /// `path` is null or a NUL-terminated string.
    pub unsafe fn parse(path: *const c_char) -> Option<DirectoryPath> {
        // SAFETY: the caller's promise.
        let mut bytes = unsafe { path_bytes(path)? };
        while let Some(rest) = bytes.strip_suffix(b"/") {
            bytes = rest;
        }
        // A directory of relation files is whatever makes a relation file's path of a file's name.
        let mut probe = StackPath::new();
        probe.push(bytes);
        probe.push(b"/1");
        RelPath::of_bytes(probe.as_bytes()).map(|file| file.directory())
    }

    pub fn path(&self) -> &StackPath {
        &self.path
    }

    pub fn closed_path(&self) -> StackPath {
        StackPath::flat("offshoot/gone/", self.path.as_bytes())
    }

    pub fn catalogs_mark_path(&self) -> StackPath {
        StackPath::flat("offshoot/tmp/catalogs@", self.path.as_bytes())
    }

    /// One file of this directory; `rel` is of this database and tablespace.
    pub fn file(&self, rel: RelKey, segment: u32) -> RelPath {
        let mut path = self.path;
        // Writing to a StackPath cannot fail.
        let _ = write!(path, "/{}{}", rel.relnode, rel.fork.suffix());
        if segment > 0 {
            let _ = write!(path, ".{segment}");
        }
        let file = RelFile { rel, segment };
        RelPath { file, path }
    }
}

/// The path without leading `./` (base backup walks from "."); `None` if it cannot be a relation's.
///
/// # Safety
/// `path` is null or a NUL-terminated string that outlives the result.
unsafe fn path_bytes<'a>(path: *const c_char) -> Option<&'a [u8]> {
    if path.is_null() {
        return None;
    }
    // SAFETY: the caller's promise.
    let mut bytes = unsafe { CStr::from_ptr(path) }.to_bytes();
    while let Some(rest) = bytes.strip_prefix(b"./") {
        bytes = rest;
    }
    let usable = matches!(bytes.first(), Some(b'b' | b'g' | b'p')) && bytes.len() < PATH_BYTES_MAX;
    usable.then_some(bytes)
}

/// The major version that a tablespace path names (`pg_tblspc/16400/PG_15_202209061/…`): the library
/// serves whichever Postgres loads it. 0 for other paths, which need none.
fn tablespace_major(path: &[u8]) -> u32 {
    let major = || {
        let rest = path.strip_prefix(b"pg_tblspc/")?;
        let version = rest.split(|&byte| byte == b'/').nth(1)?;
        let number = version.strip_prefix(b"PG_")?.split(|&b| b == b'_').next()?;
        std::str::from_utf8(number).ok()?.parse().ok()
    };
    major().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CString;

    fn rel(path: &str) -> Option<RelPath> {
        let path = CString::new(path).unwrap();
        // SAFETY: NUL-terminated.
        unsafe { RelPath::parse(path.as_ptr()) }
    }

    fn directory(path: &str) -> Option<DirectoryPath> {
        let path = CString::new(path).unwrap();
        // SAFETY: NUL-terminated.
        unsafe { DirectoryPath::parse(path.as_ptr()) }
    }

    #[test]
    fn relation_paths_and_their_state() {
        let cases = [
            ("base/5/1259", "base/5/1259", "base@5@1259"),
            (
                "./base/5/1259_fsm.2",
                "base/5/1259_fsm.2",
                "base@5@1259_fsm.2",
            ),
            ("global/1262", "global/1262", "global@1262"),
            (
                "pg_tblspc/9/PG_17_202406281/5/7",
                "pg_tblspc/9/PG_17_202406281/5/7",
                "pg_tblspc@9@PG_17_202406281@5@7",
            ),
        ];
        for (text, path, flat) in cases {
            let parsed = rel(text).unwrap();
            assert_eq!(parsed.path().to_string(), path);
            assert_eq!(
                parsed.map_path().to_string(),
                format!("offshoot/map/{flat}")
            );
            assert_eq!(
                parsed.gone_path().as_c_str().to_str().unwrap(),
                format!("offshoot/gone/{flat}")
            );
        }
    }

    #[test]
    fn neighbours() {
        let file = rel("pg_tblspc/9/PG_15_202209061/5/7_vm.2").unwrap();
        let main = "pg_tblspc/9/PG_15_202209061/5/7";
        assert_eq!(file.main_file().path().to_string(), main);
        let before = file.segment_before().unwrap();
        assert_eq!(before.path().to_string(), format!("{main}_vm.1"));
        assert_eq!(before.file.segment, 1);
        assert!(rel("base/5/1").unwrap().segment_before().is_none());
        assert_eq!(
            rel("global/7").unwrap().directory().path().to_string(),
            "global"
        );
    }

    #[test]
    fn directories() {
        let cases = [
            ("base/5", Some((1663, 5))),
            ("./base/5/", Some((1663, 5))),
            ("global", Some((1664, 0))),
            ("pg_tblspc/9/PG_15_202209061/5", Some((9, 5))),
            ("pg_tblspc/9/PG_15_202209061", None),
            ("base", None),
            ("base/pgsql_tmp", None),
            ("pg_xact", None),
            ("/data/base/5", None),
        ];
        for (text, expected) in cases {
            let parsed = directory(text);
            assert_eq!(parsed.map(|d| (d.spcnode, d.dbnode)), expected, "{text}");
        }
        let closed = directory("base/5/").unwrap().closed_path().to_string();
        assert_eq!(closed, "offshoot/gone/base@5");
    }

    #[test]
    fn other_paths_are_not_ours() {
        let long = format!("base/5/{}", "1".repeat(500));
        let others = [
            "base/5/t3_16384",
            "base/5/PG_VERSION",
            "/etc/passwd",
            "",
            &long,
        ];
        assert!(others.iter().all(|path| rel(path).is_none()));
        // SAFETY: null is allowed.
        assert!(unsafe { RelPath::parse(std::ptr::null()) }.is_none());
    }
}
