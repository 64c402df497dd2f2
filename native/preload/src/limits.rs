//! What the daemon has this compute refuse, in a file that all its processes map: whether anything more may be
//! written, and with which words that is refused; and what sessions are told when the compute is shut down.
//!
//! | bytes | field |
//! | --- | --- |
//! | 0..8 | magic |
//! | 8..12 | writes: 0 allowed, 1 refused |
//! | 12..64 | zero |
//! | 64..1088 | message, UTF-8, ends with a NUL |
//! | 1088..2112 | hint, the same |
//! | 2112..3136 | what is told at the end, the same; empty: Postgres' own words |
//! | 3136..4096 | zero |
//!
//! The daemon alone writes it, the words before the word. Numbers are in the machine's byte order: the file never
//! leaves the machine.

use crate::error::Errno;
use crate::sys;
use libc::{c_char, c_int, off_t};
use std::ffi::CStr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

const MAGIC: u64 = 0x4f46_4653_4c49_4d31;
pub const FILE_BYTES: usize = 4096;
const MESSAGE: usize = 64;
const HINT: usize = 1088;
const TEXT_END: usize = 2112;
const FAREWELL: usize = TEXT_END;

/// A mapped limits file; it stays mapped as long as the process lives.
struct LimitsFile {
    base: *const u8,
}

// SAFETY: shared memory that only another process writes; the word is read atomically, and the texts are copied out
// byte by byte between fixed ends.
unsafe impl Send for LimitsFile {}
// SAFETY: as above.
unsafe impl Sync for LimitsFile {}

static LIMITS: OnceLock<LimitsFile> = OnceLock::new();

/// Maps the file, once. Says in words what is wrong with it.
pub fn map(path: &CStr) -> Result<(), String> {
    let wrong = |errno: Errno| format!("OFFSHOOT_LIMITS_FILE cannot be read: {errno}");
    let fd = sys::open(path, libc::O_RDONLY, 0).map_err(wrong)?;
    let bytes = sys::fstat(fd.raw()).map_err(wrong)?.st_size;
    if bytes != FILE_BYTES as i64 {
        return Err(format!(
            "OFFSHOOT_LIMITS_FILE has {bytes} bytes, not {FILE_BYTES}"
        ));
    }
    // SAFETY: a new mapping, placed by the kernel; it is never unmapped.
    let base = unsafe {
        let none = std::ptr::null_mut();
        libc::mmap(
            none,
            FILE_BYTES,
            libc::PROT_READ,
            libc::MAP_SHARED,
            fd.raw(),
            0,
        )
    };
    if base == libc::MAP_FAILED {
        return Err(wrong(Errno::last()));
    }
    let base: *const u8 = base.cast();
    // SAFETY: within the mapping, which is aligned to a page.
    if unsafe { base.cast::<u64>().read() } != MAGIC {
        return Err("OFFSHOOT_LIMITS_FILE is no limits file".to_owned());
    }
    let _ = LIMITS.set(LimitsFile { base });
    Ok(())
}

/// Whether nothing more may be written.
pub fn writes_refused() -> bool {
    LIMITS.get().is_some_and(|limits| {
        // SAFETY: within the mapping, aligned, alive for ever; the daemon writes the word as one.
        let word = unsafe { AtomicU32::from_ptr(limits.base.add(8).cast_mut().cast()) };
        word.load(Ordering::Acquire) != 0
    })
}

/// What whoever is refused is told: message and hint, each ended by a NUL.
pub struct Words {
    pub message: Text,
    pub hint: Text,
}

/// A C string of bounded length.
pub struct Text([u8; HINT - MESSAGE]);

impl Text {
    /// Copied, for the daemon may be writing it; the last byte stays a NUL whatever is there.
    fn read(base: *const u8, from: usize) -> Text {
        let mut bytes = [0; HINT - MESSAGE];
        for (at, byte) in bytes.iter_mut().take(HINT - MESSAGE - 1).enumerate() {
            // SAFETY: from + at stays below the end of the last text, within the mapping.
            *byte = unsafe { base.add(from + at).read_volatile() };
        }
        Text(bytes)
    }

    pub fn as_ptr(&self) -> *const c_char {
        self.0.as_ptr().cast()
    }

    pub fn is_empty(&self) -> bool {
        self.0[0] == 0
    }
}

pub fn words() -> Option<Words> {
    let base = LIMITS.get()?.base;
    const { assert!(HINT - MESSAGE == TEXT_END - HINT) };
    Some(Words {
        message: Text::read(base, MESSAGE),
        hint: Text::read(base, HINT),
    })
}

/// What sessions are told that end because the compute does; undefined while it is not known why.
pub fn farewell() -> Option<Text> {
    let base = LIMITS.get()?.base;
    const { assert!(FAREWELL + (HINT - MESSAGE) <= FILE_BYTES) };
    Some(Text::read(base, FAREWELL)).filter(|text| !text.is_empty())
}

/// The errno with which a write is refused that would make a relation file longer. Postgres knows what to do then: the
/// statement fails as on a full disk. Everything else passes: a page that is there already has its WAL written.
pub fn refusal_of_write(fd: c_int, offset: off_t, count: usize) -> Option<Errno> {
    if !writes_refused() || count == 0 {
        return None;
    }
    let size = sys::fstat(fd).ok()?.st_size;
    let end = offset.saturating_add(i64::try_from(count).unwrap_or(i64::MAX));
    (end > size && is_relation_file(&sys::path_of(fd)?)).then_some(Errno(libc::ENOSPC))
}

/// By its name: `D/R`, with a fork and a segment, below wherever. Temporary tables (`tN_R`) and files are none.
fn is_relation_file(path: &[u8]) -> bool {
    let mut parts = path.rsplit(|&byte| byte == b'/');
    let (Some(name), Some(parent)) = (parts.next(), parts.next()) else {
        return false;
    };
    let digits = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let mut ends = name.splitn(2, |&byte| byte == b'.');
    let (relation, segment) = (ends.next().unwrap_or(name), ends.next());
    let fork = [&b"_fsm"[..], b"_vm", b"_init"];
    let stem = fork
        .iter()
        .find_map(|end| relation.strip_suffix(*end))
        .unwrap_or(relation);
    digits(stem) && segment.is_none_or(digits) && (digits(parent) || parent == b"global")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relation_files_are_known_by_their_names() {
        let are = [
            "/d/base/5/16384",
            "/d/base/5/16384.12",
            "/d/base/5/16384_fsm",
            "/d/base/5/16384_vm.1",
            "/d/global/1262",
            "/elsewhere/PG_15_202209061/5/99",
        ];
        let are_not = [
            "/d/base/5/t3_16384",
            "/d/base/pgsql_tmp/pgsql_tmp12.0",
            "/d/pg_wal/000000010000000000000003",
            "/d/pg_xact/0000",
            "/d/base/5/pg_filenode.map",
            "/d/base/5/PG_VERSION",
            "/d/base/5/16384.",
            "/d/base/5/",
            "16384",
            "",
        ];
        for path in are {
            assert!(is_relation_file(path.as_bytes()), "{path}");
        }
        for path in are_not {
            assert!(!is_relation_file(path.as_bytes()), "{path}");
        }
    }
}
