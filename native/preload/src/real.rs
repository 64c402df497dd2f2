//! The functions behind our hooks: those of the next library in line, usually libc.

use crate::error::Errno;
use libc::{DIR, FILE, c_char, c_int, c_void, iovec, mode_t, off_t, size_t, ssize_t, stat};
use std::ffi::CStr;
use std::sync::atomic::{AtomicPtr, Ordering};

/// A function's address, once it has been looked up.
struct Symbol {
    name: &'static CStr,
    address: AtomicPtr<c_void>,
}

impl Symbol {
    const fn new(name: &'static CStr) -> Symbol {
        Symbol {
            name,
            address: AtomicPtr::new(std::ptr::null_mut()),
        }
    }

    fn get(&self) -> *mut c_void {
        let address = self.address.load(Ordering::Acquire);
        if address.is_null() {
            return self.resolve();
        }
        address
    }

    /// dlsym learns which library is "next" from its return address, so it must not be called in tail
    /// position: the result is stored before it is returned.
    #[cold]
    #[inline(never)]
    fn resolve(&self) -> *mut c_void {
        // SAFETY: dlsym reads the name only.
        let found = unsafe { libc::dlsym(libc::RTLD_NEXT, self.name.as_ptr()) };
        self.address.store(found, Ordering::Release);
        found
    }
}

/// What a function returns when it failed.
trait Failure {
    const FAILURE: Self;
}

impl Failure for c_int {
    const FAILURE: c_int = -1;
}

impl Failure for ssize_t {
    const FAILURE: ssize_t = -1;
}

impl<T> Failure for *mut T {
    const FAILURE: *mut T = std::ptr::null_mut();
}

macro_rules! real {
    ($($(#[$variadic:ident])? $name:ident($($arg:ident: $ty:ty),*) -> $ret:ty = $symbol:literal;)*) => {
        $(
            /// The function behind ours; fails with ENOSYS if there is none.
            ///
            /// # Safety
            /// As of the C function.
            pub unsafe fn $name($($arg: $ty),*) -> $ret {
                let address = symbol::$name.get();
                if address.is_null() {
                    Errno(libc::ENOSYS).set();
                    return <$ret as Failure>::FAILURE;
                }
                type Function = unsafe extern "C" fn($($ty),*) -> $ret;
                // SAFETY: the symbol has this type; the arguments are the caller's.
                unsafe { std::mem::transmute::<*mut c_void, Function>(address)($($arg),*) }
            }
        )*

        #[allow(non_upper_case_globals)]
        mod symbol {
            use super::Symbol;
            $(pub static $name: Symbol = Symbol::new($symbol);)*
        }

        /// Looks all of them up, so that no signal handler has to.
        pub fn resolve_all() {
            $(symbol::$name.get();)*
        }
    };
}

// `open` and `openat` are variadic in C. On x86-64 and aarch64 Linux a variadic integer argument travels
// in the same register as a fixed one, so three (four) fixed arguments call them rightly.
real! {
    open(path: *const c_char, flags: c_int, mode: mode_t) -> c_int = c"open";
    openat(dir: c_int, path: *const c_char, flags: c_int, mode: mode_t) -> c_int = c"openat";
    close(fd: c_int) -> c_int = c"close";
    fopen(path: *const c_char, mode: *const c_char) -> *mut FILE = c"fopen";
    read(fd: c_int, buffer: *mut c_void, count: size_t) -> ssize_t = c"read";
    pread(fd: c_int, buffer: *mut c_void, count: size_t, offset: off_t) -> ssize_t = c"pread";
    preadv(fd: c_int, slices: *const iovec, count: c_int, offset: off_t) -> ssize_t = c"preadv";
    write(fd: c_int, buffer: *const c_void, count: size_t) -> ssize_t = c"write";
    pwrite(fd: c_int, buffer: *const c_void, count: size_t, offset: off_t) -> ssize_t = c"pwrite";
    pwritev(fd: c_int, slices: *const iovec, count: c_int, offset: off_t) -> ssize_t = c"pwritev";
    copy_file_range(from: c_int, from_offset: *mut off_t, to: c_int, to_offset: *mut off_t,
        count: size_t, flags: libc::c_uint) -> ssize_t = c"copy_file_range";
    ftruncate(fd: c_int, bytes: off_t) -> c_int = c"ftruncate";
    truncate(path: *const c_char, bytes: off_t) -> c_int = c"truncate";
    posix_fadvise(fd: c_int, offset: off_t, bytes: off_t, advice: c_int) -> c_int = c"posix_fadvise";
    unlink(path: *const c_char) -> c_int = c"unlink";
    rename(from: *const c_char, to: *const c_char) -> c_int = c"rename";
    access(path: *const c_char, mode: c_int) -> c_int = c"access";
    versioned_stat(version: c_int, path: *const c_char, stat: *mut stat) -> c_int = c"__xstat";
    versioned_lstat(version: c_int, path: *const c_char, stat: *mut stat) -> c_int = c"__lxstat";
    mkdir(path: *const c_char, mode: mode_t) -> c_int = c"mkdir";
    rmdir(path: *const c_char) -> c_int = c"rmdir";
    opendir(path: *const c_char) -> *mut DIR = c"opendir";
    setsid() -> c_int = c"setsid";
}
