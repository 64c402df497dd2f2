//! When statements of clients began, in a file that all processes of the compute map: nobody else sees all of them.
//!
//! | bytes | field |
//! | --- | --- |
//! | 0..8 | magic |
//! | 8..16 | the first, milliseconds since 1970; 0: there was none |
//! | 16..24 | the newest, the same |
//! | 24..4096 | zero |
//!
//! Statements are what the executor or a utility command begins in a process that serves a client; those of the daemon's
//! own sessions do not count. Numbers are in the machine's byte order: the file never leaves the machine.

use crate::error::Errno;
use crate::sys;
use libc::{c_char, c_void};
use std::ffi::CStr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

const MAGIC: u64 = 0x4f46_4653_5354_4d31;
pub const FILE_BYTES: usize = 4096;
const FIRST: usize = 8;
const NEWEST: usize = 16;

/// What the daemon's own sessions call themselves.
const OWN_SESSION: &CStr = c"offshoot control";

/// A mapped file; it stays mapped as long as the process lives.
struct StatementsFile {
    base: *mut u8,
}

// SAFETY: shared memory of which only the two words are used, atomically.
unsafe impl Send for StatementsFile {}
// SAFETY: as above.
unsafe impl Sync for StatementsFile {}

static FILE: OnceLock<StatementsFile> = OnceLock::new();

/// Variables of Postgres.
pub struct Session {
    /// `MyProcPort`: not null in a process that serves a client.
    pub port: *const *const c_void,
    /// The parameter `application_name`.
    pub application_name: *const *const c_char,
}

// SAFETY: addresses in the program, read by the one thread that Postgres has in each process.
unsafe impl Send for Session {}
// SAFETY: as above.
unsafe impl Sync for Session {}

impl Session {
    fn is_clients(&self) -> bool {
        // SAFETY: variables of the program; the name is a C string or null.
        unsafe {
            if self.port.read().is_null() {
                return false;
            }
            let name = self.application_name.read();
            name.is_null() || CStr::from_ptr(name) != OWN_SESSION
        }
    }
}

/// Maps the file, once. Says in words what is wrong with it.
pub fn map(path: &CStr) -> Result<(), String> {
    let wrong = |errno: Errno| format!("OFFSHOOT_STATEMENTS_FILE cannot be used: {errno}");
    let fd = sys::open(path, libc::O_RDWR, 0).map_err(wrong)?;
    let bytes = sys::fstat(fd.raw()).map_err(wrong)?.st_size;
    if bytes != FILE_BYTES as i64 {
        return Err(format!(
            "OFFSHOOT_STATEMENTS_FILE has {bytes} bytes, not {FILE_BYTES}"
        ));
    }
    // SAFETY: a new mapping, placed by the kernel; it is never unmapped.
    let base = unsafe {
        let none = std::ptr::null_mut();
        let access = libc::PROT_READ | libc::PROT_WRITE;
        libc::mmap(none, FILE_BYTES, access, libc::MAP_SHARED, fd.raw(), 0)
    };
    if base == libc::MAP_FAILED {
        return Err(wrong(Errno::last()));
    }
    let base: *mut u8 = base.cast();
    // SAFETY: within the mapping, which is aligned to a page.
    if unsafe { base.cast::<u64>().read() } != MAGIC {
        return Err("OFFSHOOT_STATEMENTS_FILE is no statements file".to_owned());
    }
    let _ = FILE.set(StatementsFile { base });
    Ok(())
}

/// A statement begins in this process. Errors of Postgres may jump over whoever calls this: it keeps nothing.
pub fn begins(session: &Session) {
    let Some(file) = FILE.get() else {
        return;
    };
    if !session.is_clients() {
        return;
    }
    let now = now_ms();
    // SAFETY: within the mapping, aligned, alive for ever.
    let (first, newest) = unsafe {
        (
            AtomicU64::from_ptr(file.base.add(FIRST).cast()),
            AtomicU64::from_ptr(file.base.add(NEWEST).cast()),
        )
    };
    // All processes share the line: it is written only when the clock has moved.
    if newest.load(Ordering::Relaxed) == now {
        return;
    }
    if first.load(Ordering::Relaxed) == 0 {
        let _ = first.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
    }
    newest.store(now, Ordering::Relaxed);
}

/// To some milliseconds, which costs no system call.
fn now_ms() -> u64 {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: writes the one value.
    unsafe { libc::clock_gettime(libc::CLOCK_REALTIME_COARSE, &raw mut now) };
    let ms = now.tv_sec * 1000 + now.tv_nsec / 1_000_000;
    u64::try_from(ms).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CString;

    #[test]
    fn what_clients_begin_is_noted_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("statements");
        let c_path = CString::new(path.to_str().unwrap()).unwrap();
        std::fs::write(&path, [0; FILE_BYTES]).unwrap();
        assert!(map(&c_path).unwrap_err().contains("no statements file"));
        std::fs::write(&path, [0; 8]).unwrap();
        assert!(map(&c_path).unwrap_err().contains("8 bytes"));
        let mut content = [0; FILE_BYTES];
        content[..8].copy_from_slice(&MAGIC.to_ne_bytes());
        std::fs::write(&path, content).unwrap();
        map(&c_path).unwrap();
        let words = || {
            let content = std::fs::read(&path).unwrap();
            let word = |at: usize| u64::from_ne_bytes(content[at..at + 8].try_into().unwrap());
            (word(FIRST), word(NEWEST))
        };
        let (nobody, client): (*const c_void, *const c_void) =
            (std::ptr::null(), (&raw const content).cast());
        let (unset, own, other) = (std::ptr::null(), OWN_SESSION.as_ptr(), c"psql".as_ptr());
        let begin = |port: &*const c_void, name: &*const c_char| {
            begins(&Session {
                port,
                application_name: name,
            });
        };
        begin(&nobody, &other);
        begin(&client, &own);
        assert_eq!(words(), (0, 0));
        let before = now_ms();
        begin(&client, &unset);
        let (first, newest) = words();
        assert!(first >= before && first == newest);
        while now_ms() < first + 10 {
            std::thread::yield_now();
        }
        begin(&client, &other);
        let (still, newest) = words();
        assert!(still == first && newest >= first + 10);
    }
}
