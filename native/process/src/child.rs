//! The moment between clone and execve.

use crate::program::Program;
use std::ffi::{c_char, c_int, c_long, c_void};
use std::io;

const STACK_BYTES: usize = 64 * 1024;
const STACK_ALIGNMENT: usize = 16;

/// Everything that the child reads and writes, in memory that it shares with the thread that made it, which waits.
struct Plan<'a> {
    program: &'a Program,
    argv: *const *const c_char,
    envp: *const *const c_char,
    null: *const c_char,
    /// What failed in the child; 0 as long as nothing has.
    errno: c_int,
}

/// Starts the program; the calling thread, and no other, waits until it runs.
pub fn run(program: &Program) -> io::Result<c_int> {
    let (argv, envp) = (program.argv(), program.envp());
    let mut plan = Plan {
        program,
        argv: argv.as_ptr(),
        envp: envp.as_ptr(),
        null: c"/dev/null".as_ptr(),
        errno: 0,
    };
    let mut stack = vec![0u8; STACK_BYTES];
    let top = stack.as_mut_ptr_range().end;
    // Stacks grow downwards on both architectures.
    let top = top.wrapping_sub(top.addr() % STACK_ALIGNMENT);
    let blocked = Blocked::all();
    // SAFETY: `enter` keeps to its stack and to `plan`; both outlive it, since this thread goes on only when the
    // child runs a program or has ended.
    let pid = unsafe {
        let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
        libc::clone(enter, top.cast(), flags, (&raw mut plan).cast())
    };
    let failed = io::Error::last_os_error();
    drop(blocked);
    if pid < 0 {
        return Err(failed);
    }
    // The child has written it behind the compiler's back.
    // SAFETY: `plan` is alive, and the child is not.
    let errno = unsafe { (&raw const plan.errno).read_volatile() };
    if errno == 0 {
        return Ok(pid);
    }
    // SAFETY: a null status is not written.
    unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
    Err(io::Error::from_raw_os_error(errno))
}

/// All signals held back from this thread: a handler of ours must not run in the child, on our memory.
struct Blocked(libc::sigset_t);

impl Blocked {
    fn all() -> Blocked {
        // SAFETY: both sets are written before they are read.
        unsafe {
            let mut all: libc::sigset_t = std::mem::zeroed();
            let mut before: libc::sigset_t = std::mem::zeroed();
            libc::sigfillset(&raw mut all);
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
            Blocked(before)
        }
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        // SAFETY: the set is the one that was in force before.
        unsafe {
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, std::ptr::null_mut())
        };
    }
}

extern "C" fn enter(plan: *mut c_void) -> c_int {
    // SAFETY: `run` passes its plan, and waits.
    let plan = unsafe { &mut *plan.cast::<Plan<'_>>() };
    // SAFETY: as above.
    plan.errno = unsafe { become_program(plan) };
    127
}

/// Returns the errno of the step that failed; does not return when all went well.
///
/// # Safety
/// Runs in a process of its own.
unsafe fn become_program(plan: &Plan<'_>) -> c_int {
    // SAFETY: plain system calls, on memory of the plan, which outlives them.
    unsafe {
        let errno = || *libc::__errno_location();
        let failed = |result: c_long| result < 0;
        let mut default: libc::sigaction = std::mem::zeroed();
        default.sa_sigaction = libc::SIG_DFL;
        for signal in 1..=libc::SIGSYS {
            // Those that cannot be handled cannot be set either.
            libc::sigaction(signal, &raw const default, std::ptr::null_mut());
        }
        if failed(libc::syscall(libc::SYS_setsid)) {
            return errno();
        }
        let (path, directory) = (&plan.program.path, &plan.program.directory);
        let null = libc::syscall(libc::SYS_openat, libc::AT_FDCWD, plan.null, libc::O_RDONLY);
        if failed(null) {
            return errno();
        }
        let output = c_long::from(plan.program.output);
        for (from, to) in [(null, 0), (output, 1), (output, 2)] {
            // Of the same number it would stay close-on-exec, and dup3 says so.
            if failed(libc::syscall(
                libc::SYS_dup3,
                from,
                to as c_long,
                0 as c_long,
            )) {
                return errno();
            }
        }
        // Ours are close-on-exec; what we have inherited may not be. Kernels before 5.9 do not know it.
        libc::syscall(
            libc::SYS_close_range,
            3 as c_long,
            c_long::from(u32::MAX),
            0 as c_long,
        );
        if failed(libc::syscall(libc::SYS_chdir, directory.as_ptr())) {
            return errno();
        }
        if let Some(user) = plan.program.user {
            let none = std::ptr::null::<libc::gid_t>();
            if failed(libc::syscall(libc::SYS_setgroups, 0 as c_long, none))
                || failed(libc::syscall(libc::SYS_setgid, c_long::from(user.gid)))
                || failed(libc::syscall(libc::SYS_setuid, c_long::from(user.uid)))
            {
                return errno();
            }
        }
        let mut nothing: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut nothing);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const nothing, std::ptr::null_mut());
        libc::syscall(libc::SYS_execve, path.as_ptr(), plan.argv, plan.envp);
        errno()
    }
}
