//! Whether Postgres wants this process to stop what it does. The flags are Postgres' own variables,
//! found by name; in any other program there are none.

use std::ffi::CStr;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};

static QUERY_CANCEL_PENDING: AtomicPtr<libc::c_int> = AtomicPtr::new(null_mut());
static PROC_DIE_PENDING: AtomicPtr<libc::c_int> = AtomicPtr::new(null_mut());
static IN_RECOVERY: AtomicPtr<bool> = AtomicPtr::new(null_mut());

fn find<T>(name: &CStr) -> *mut T {
    // SAFETY: dlsym reads the name only.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    found.cast()
}

/// Looks the flags up; called once, by the constructor.
pub fn resolve() {
    QUERY_CANCEL_PENDING.store(find(c"QueryCancelPending"), Ordering::Release);
    PROC_DIE_PENDING.store(find(c"ProcDiePending"), Ordering::Release);
    IN_RECOVERY.store(find(c"InRecovery"), Ordering::Release);
}

/// Whether the program is the Postgres server (and not a shell that starts it).
pub fn is_postgres() -> bool {
    !find::<libc::c_int>(c"ProcDiePending").is_null()
}

/// Whether a query cancel or the end of the process was asked for.
pub fn pending() -> bool {
    [&QUERY_CANCEL_PENDING, &PROC_DIE_PENDING]
        .iter()
        .any(|flag| {
            let flag = flag.load(Ordering::Acquire);
            // SAFETY: a `volatile sig_atomic_t` of the program, alive as long as it is; a signal
            // handler of this process may write it, hence volatile.
            !flag.is_null() && unsafe { flag.read_volatile() } != 0
        })
}

/// Whether this is the startup process of a hot standby.
pub fn in_recovery() -> bool {
    let flag = IN_RECOVERY.load(Ordering::Acquire);
    // SAFETY: a `bool` of the program, alive as long as it is, written by this process only.
    !flag.is_null() && unsafe { flag.read_volatile() }
}
