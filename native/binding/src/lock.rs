//! A directory belongs to one process at a time.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;

use napi::Env;
use napi_derive::napi;
use parking_lot::Mutex;

use crate::failure::Failure;
use crate::work::now;

/// Holds the lock on a directory until `release` or the end of the process.
#[napi]
pub struct LockHandle {
    file: Mutex<Option<File>>,
}

#[napi]
impl LockHandle {
    /// Lets go of the directory; a second call does nothing.
    #[napi]
    pub fn release(&self) {
        self.file.lock().take();
    }
}

/// Locks `dir` by its file `lock` (flock). Throws code `locked` when another process has it.
#[napi]
pub fn lock_directory(env: &Env, dir: String) -> napi::Result<LockHandle> {
    now(env, || lock(Path::new(&dir)))
}

fn lock(dir: &Path) -> Result<LockHandle, Failure> {
    let path = dir.join("lock");
    let io = |error: std::io::Error| Failure::new("io", format!("{}: {error}", path.display()));
    let mut options = File::options();
    let file = options
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(io)?;
    // SAFETY: the descriptor is `file`'s, which lives until after the call.
    if unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } == 0 {
        return Ok(LockHandle {
            file: Mutex::new(Some(file)),
        });
    }
    let error = std::io::Error::last_os_error();
    if error.kind() != std::io::ErrorKind::WouldBlock {
        return Err(io(error));
    }
    Err(Failure::new(
        "locked",
        format!("another process is using {}", dir.display()),
    ))
}
