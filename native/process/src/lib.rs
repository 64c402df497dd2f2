//! Starts programs without copying this process' memory. See the README of this folder.

mod child;
mod program;

use std::ffi::c_int;
use std::io;
use std::sync::mpsc;

pub use program::{Program, User};

/// A thread that waits needs little.
const THREAD_STACK_BYTES: usize = 128 * 1024;

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// With this exit status.
    Code(c_int),
    /// By this signal.
    Signal(c_int),
}

/// Starts `program` and answers its process id as soon as it runs. `on_end` is called on a thread of its own when it
/// has ended; its id stays taken until `reap`.
///
/// # Errors
/// The system's, of the first step that failed: there is no such program or directory, no rights, no room.
pub fn start(
    program: Program,
    on_end: impl FnOnce(c_int, End) + Send + 'static,
) -> io::Result<c_int> {
    let (tell, told) = mpsc::sync_channel(1);
    std::thread::Builder::new()
        .name("program".to_owned())
        .stack_size(THREAD_STACK_BYTES)
        .spawn(move || {
            let started = child::run(&program);
            drop(program);
            let pid = started.as_ref().ok().copied();
            // Nobody listens any more only if the caller has panicked.
            let _ = tell.send(started);
            if let Some(pid) = pid {
                on_end(pid, await_end(pid));
            }
        })?;
    told.recv()
        .unwrap_or_else(|_| Err(io::Error::other("the thread of a program has ended")))
}

/// Gives the id of a program that has ended back to the system.
pub fn reap(pid: c_int) {
    // SAFETY: a null status is not written.
    unsafe { libc::waitpid(pid, std::ptr::null_mut(), libc::WNOHANG) };
}

/// Waits for the end and leaves it to be taken.
fn await_end(pid: c_int) -> End {
    loop {
        // SAFETY: all zeros is a valid siginfo_t, which the kernel fills during the call.
        let (result, info) = unsafe {
            let mut info: libc::siginfo_t = std::mem::zeroed();
            let flags = libc::WEXITED | libc::WNOWAIT;
            let id = pid.unsigned_abs();
            (libc::waitid(libc::P_PID, id, &raw mut info, flags), info)
        };
        if result == 0 {
            // SAFETY: waitid filled it for a child.
            let status = unsafe { info.si_status() };
            return if info.si_code == libc::CLD_EXITED {
                End::Code(status)
            } else {
                End::Signal(status)
            };
        }
        if io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
            // Somebody else has taken it: what it was is not known.
            return End::Code(-1);
        }
    }
}
