//! Has Postgres refuse statements that write, with the daemon's words, while the limits file says so, note when statements
//! begin, and tell sessions why the compute is shut down.
//!
//! Postgres knows read-only transactions, and its executor and its utility commands are called through pointers that
//! extensions may take. We take them: while writes are refused, each statement's transaction is a read-only one, and
//! Postgres' own checks do the rest. Its errors pass a third such pointer on their way out; there the words are put in.

use crate::limits;
use crate::statements::{self, Session};
use libc::{c_char, c_int, c_uint, c_void};
use std::ffi::CStr;
use std::sync::OnceLock;

type ExecutorStart = unsafe extern "C" fn(*mut c_void, c_int);
/// As of Postgres 14 and later.
type ProcessUtility = unsafe extern "C" fn(
    *mut c_void,
    *const c_char,
    bool,
    c_uint,
    *mut c_void,
    *mut c_void,
    *mut c_void,
    *mut c_void,
);
type EmitLog = unsafe extern "C" fn(*mut c_void);
type SetWords = unsafe extern "C" fn(*const c_char, ...) -> c_int;

/// Postgres' own functions and variables.
struct Postgres {
    executor_start: ExecutorStart,
    process_utility: ProcessUtility,
    transaction_read_only: *mut bool,
    session: Session,
    error_code: unsafe extern "C" fn() -> c_int,
    set_code: unsafe extern "C" fn(c_int) -> c_int,
    set_message: SetWords,
    set_hint: SetWords,
}

// SAFETY: addresses in the program, the same in all its processes; the variable is used by the one thread that
// Postgres has in each.
unsafe impl Send for Postgres {}
// SAFETY: as above.
unsafe impl Sync for Postgres {}

static POSTGRES: OnceLock<Postgres> = OnceLock::new();

/// Postgres' way to write five characters of an SQLSTATE in an integer.
const fn sqlstate(text: &[u8; 5]) -> c_int {
    let mut code = 0;
    let mut at = 0;
    while at < 5 {
        code |= ((text[at] - b'0') as c_int & 0x3f) << (6 * at);
        at += 1;
    }
    code
}

const READ_ONLY_SQL_TRANSACTION: c_int = sqlstate(b"25006");
const DISK_FULL: c_int = sqlstate(b"53100");
const ADMIN_SHUTDOWN: c_int = sqlstate(b"57P01");

fn find(name: &'static CStr) -> Result<*mut c_void, String> {
    // SAFETY: dlsym reads the name only.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    if found.is_null() {
        return Err(format!("Postgres has no {}", name.to_string_lossy()));
    }
    Ok(found)
}

/// Takes the pointers. Called by the constructor, when no extension is there yet: each of them keeps what it finds, as
/// is the custom, and calls it.
pub fn install() -> Result<(), String> {
    let start_hook = find(c"ExecutorStart_hook")?.cast::<Option<ExecutorStart>>();
    let utility_hook = find(c"ProcessUtility_hook")?.cast::<Option<ProcessUtility>>();
    let log_hook = find(c"emit_log_hook")?.cast::<Option<EmitLog>>();
    // SAFETY: the symbols have these types in every Postgres from 14 on.
    let postgres = unsafe {
        use std::mem::transmute;
        Postgres {
            executor_start: transmute::<*mut c_void, ExecutorStart>(find(
                c"standard_ExecutorStart",
            )?),
            process_utility: transmute::<*mut c_void, ProcessUtility>(find(
                c"standard_ProcessUtility",
            )?),
            transaction_read_only: find(c"XactReadOnly")?.cast(),
            session: Session {
                port: find(c"MyProcPort")?.cast_const().cast(),
                application_name: find(c"application_name")?.cast_const().cast(),
            },
            error_code: transmute::<*mut c_void, unsafe extern "C" fn() -> c_int>(find(
                c"geterrcode",
            )?),
            set_code: transmute::<*mut c_void, unsafe extern "C" fn(c_int) -> c_int>(find(
                c"errcode",
            )?),
            set_message: transmute::<*mut c_void, SetWords>(find(c"errmsg")?),
            set_hint: transmute::<*mut c_void, SetWords>(find(c"errhint")?),
        }
    };
    let _ = POSTGRES.set(postgres);
    // SAFETY: variables of the program, which has not begun to run.
    unsafe {
        start_hook.write(Some(on_executor_start));
        utility_hook.write(Some(on_process_utility));
        log_hook.write(Some(on_emit_log));
    }
    Ok(())
}

/// Errors of Postgres jump out of the calls below (longjmp), so these functions keep nothing that would have to be
/// dropped, and catch no panic: there is none.
fn begin_statement(postgres: &Postgres) {
    statements::begins(&postgres.session);
    if limits::writes_refused() {
        // SAFETY: a `bool` of the program, written by this process only. It ends with the transaction.
        unsafe { postgres.transaction_read_only.write(true) };
    }
}

unsafe extern "C" fn on_executor_start(query: *mut c_void, flags: c_int) {
    if let Some(postgres) = POSTGRES.get() {
        begin_statement(postgres);
        // SAFETY: the caller's arguments.
        unsafe { (postgres.executor_start)(query, flags) };
    }
}

#[allow(clippy::too_many_arguments)]
unsafe extern "C" fn on_process_utility(
    statement: *mut c_void,
    text: *const c_char,
    read_only_tree: bool,
    context: c_uint,
    parameters: *mut c_void,
    environment: *mut c_void,
    receiver: *mut c_void,
    completion: *mut c_void,
) {
    if let Some(postgres) = POSTGRES.get() {
        begin_statement(postgres);
        // SAFETY: the caller's arguments.
        unsafe {
            (postgres.process_utility)(
                statement,
                text,
                read_only_tree,
                context,
                parameters,
                environment,
                receiver,
                completion,
            );
        }
    }
}

/// Puts the daemon's words into errors that say that nothing can be written, or that a shutdown ends the session.
unsafe extern "C" fn on_emit_log(_error: *mut c_void) {
    let Some(postgres) = POSTGRES.get() else {
        return;
    };
    // SAFETY: an error is being reported; it is the one that these functions are about.
    let code = unsafe { (postgres.error_code)() };
    if code == ADMIN_SHUTDOWN {
        if let Some(text) = limits::farewell() {
            // SAFETY: as above; the text is a C string that Postgres copies.
            unsafe { (postgres.set_message)(c"%s".as_ptr(), text.as_ptr()) };
        }
        return;
    }
    let ours = code == READ_ONLY_SQL_TRANSACTION || code == DISK_FULL;
    if !ours || !limits::writes_refused() {
        return;
    }
    let Some(words) = limits::words().filter(|words| !words.message.is_empty()) else {
        return;
    };
    // SAFETY: as above; the texts are C strings that Postgres copies.
    unsafe {
        (postgres.set_code)(DISK_FULL);
        (postgres.set_message)(c"%s".as_ptr(), words.message.as_ptr());
        (postgres.set_hint)(c"%s".as_ptr(), words.hint.as_ptr());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_postgres_own() {
        // As errcodes.h has them, by the macros of elog.h.
        assert_eq!(DISK_FULL, 5 | (3 << 6) | (1 << 12));
        assert_eq!(READ_ONLY_SQL_TRANSACTION, 2 | (5 << 6) | (6 << 24));
        assert_eq!(sqlstate(b"XX000"), 40 | (40 << 6));
        assert_eq!(ADMIN_SHUTDOWN, 5 | (7 << 6) | (32 << 12) | (1 << 24));
    }
}
