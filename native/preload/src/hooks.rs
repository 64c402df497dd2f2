//! The functions of libc that Postgres calls and this library answers.
//!
//! Each one passes everything through that is not a relation file. None lets a panic out: it becomes
//! EIO. The names with `64` are the same functions here, `off_t` being 64 bits wide.

mod directory;
mod metadata;
mod open;
mod read_write;
mod remove;
mod session;
mod truncate;

pub use open::open_relation;

use crate::error::Errno;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `body` as the inside of a C function that returns `failure` and sets errno when it fails.
fn c_result<T>(failure: T, body: impl FnOnce() -> Result<T, Errno>) -> T {
    let errno = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(value)) => return value,
        Ok(Err(errno)) => errno,
        Err(_) => Errno::EIO,
    };
    errno.set();
    failure
}

/// Defines C functions that the dynamic linker finds before libc's. The crate's own tests are linked
/// without them.
macro_rules! hooks {
    ($($(#[$doc:meta])* fn $name:ident($($arg:ident: $ty:ty),* $(,)?) -> $ret:ty $body:block)*) => {
        $(
            $(#[$doc])*
            ///
            /// # Safety
            /// As of the C function of this name.
            #[cfg_attr(not(test), unsafe(no_mangle))]
            pub unsafe extern "C" fn $name($($arg: $ty),*) -> $ret $body
        )*
    };
}
use hooks;
