//! What can go wrong, and what a caller of libc is told.

use libc::c_int;

/// An errno value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Errno(pub c_int);

impl Errno {
    pub const EEXIST: Errno = Errno(libc::EEXIST);
    pub const EIO: Errno = Errno(libc::EIO);
    pub const ENOENT: Errno = Errno(libc::ENOENT);

    /// The calling thread's errno.
    pub fn last() -> Errno {
        // SAFETY: the pointer is valid for the thread's life.
        Errno(unsafe { *libc::__errno_location() })
    }

    /// Makes this the calling thread's errno.
    pub fn set(self) {
        // SAFETY: the pointer is valid for the thread's life.
        unsafe { *libc::__errno_location() = self.0 }
    }

    /// For our own state files: to Postgres "no such file" would mean that the relation does not exist.
    pub fn of_state(self) -> Errno {
        if self == Errno::ENOENT {
            Errno::EIO
        } else {
            self
        }
    }
}

impl std::fmt::Display for Errno {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(&std::io::Error::from_raw_os_error(self.0), f)
    }
}

/// Why the page server's answer is not here.
#[derive(Debug, thiserror::Error)]
pub enum PreloadError {
    /// A file of this compute could not be written or mapped.
    #[error("{0}")]
    System(Errno),
    /// No connection, or one that cannot be trusted any more; trying again may help.
    #[error("{0}")]
    Lost(String),
    /// The server answered that it cannot; trying again does not help.
    #[error("{0}")]
    Refused(String),
    /// Postgres wants to cancel the query or to end the process.
    #[error("gave up because the query was cancelled")]
    Interrupted,
}

impl From<Errno> for PreloadError {
    fn from(errno: Errno) -> Self {
        PreloadError::System(errno)
    }
}

impl From<offshoot_pageproto::ProtoError> for PreloadError {
    fn from(error: offshoot_pageproto::ProtoError) -> Self {
        PreloadError::Lost(format!("malformed answer: {error}"))
    }
}
