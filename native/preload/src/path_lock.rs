//! Locks on paths, between all processes of the compute: whoever makes a relation file come into being
//! or removes one holds its lock. The kernel takes a lock back when its process dies.

use crate::error::Errno;
use crate::path::StackPath;
use crate::{map_file, sys};
use std::sync::{Mutex, MutexGuard, PoisonError};

const LOCK_FILE: &std::ffi::CStr = c"offshoot/tmp/lock";
/// Paths share this many locks.
const LOCKS: u64 = 1 << 20;

struct LockFile {
    pid: libc::pid_t,
    fd: Option<sys::Fd>,
}

/// The lock file as this process opened it: a lock belongs to the opening, which a fork would share.
static LOCK_FILE_OPEN: Mutex<LockFile> = Mutex::new(LockFile { pid: 0, fd: None });

/// A held lock.
pub struct PathLock {
    open: MutexGuard<'static, LockFile>,
    byte: i64,
}

impl PathLock {
    /// Waits for the lock, at most as long as for a block that is being written (then EIO).
    pub fn acquire(path: &StackPath) -> Result<PathLock, Errno> {
        let mut open = LOCK_FILE_OPEN
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let fd = open.descriptor()?;
        let byte = (hash(path.as_bytes()) % LOCKS) as i64;
        map_file::wait_until(|| sys::lock_byte(fd, libc::F_WRLCK, byte).is_ok())?;
        Ok(PathLock { open, byte })
    }
}

impl Drop for PathLock {
    fn drop(&mut self) {
        if let Some(fd) = &self.open.fd {
            // Unlocking a byte that is locked does not fail.
            let _ = sys::lock_byte(fd.raw(), libc::F_UNLCK, self.byte);
        }
    }
}

impl LockFile {
    fn descriptor(&mut self) -> Result<libc::c_int, Errno> {
        let pid = sys::pid();
        if self.pid != pid {
            self.fd = None;
            self.pid = pid;
        }
        if let Some(fd) = &self.fd {
            return Ok(fd.raw());
        }
        let fd =
            sys::open(LOCK_FILE, libc::O_RDWR | libc::O_CREAT, 0o600).map_err(Errno::of_state)?;
        Ok(self.fd.insert(fd).raw())
    }
}

/// FNV-1a.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
