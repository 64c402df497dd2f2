//! epoll and its wake-up call.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// What is waited for: a set of EPOLL… flags.
pub type Flags = u32;

pub const READ: Flags = libc::EPOLLIN as Flags;
pub const WRITE: Flags = libc::EPOLLOUT as Flags;

/// One thread's sockets. Level-triggered: what is left over is told again.
pub struct Poll(OwnedFd);

/// How many are told at a time.
const EVENTS_MAX: usize = 64;

impl Poll {
    pub fn new() -> io::Result<Poll> {
        // SAFETY: a plain system call.
        owned(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) }).map(Poll)
    }

    pub fn add(&self, fd: &OwnedFd, token: u64, flags: Flags) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, token, flags)
    }

    pub fn modify(&self, fd: &OwnedFd, token: u64, flags: Flags) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, fd, token, flags)
    }

    /// Closing does not do it as long as anybody has the socket open besides.
    pub fn remove(&self, fd: &OwnedFd) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_DEL, fd, 0, 0)
    }

    fn control(&self, what: libc::c_int, fd: &OwnedFd, token: u64, flags: Flags) -> io::Result<()> {
        let mut event = libc::epoll_event {
            events: flags,
            u64: token,
        };
        let (epoll, fd) = (self.0.as_raw_fd(), fd.as_raw_fd());
        // SAFETY: the event is ours, and read during the call only.
        checked(unsafe { libc::epoll_ctl(epoll, what, fd, &raw mut event) }).map(|_| ())
    }

    /// Replaces `ready` by the tokens of those for which something has come, an error or an end included; by none after
    /// `timeout` (none: waits for ever) or a signal.
    pub fn wait(&self, ready: &mut Vec<u64>, timeout: Option<Duration>) -> io::Result<()> {
        ready.clear();
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; EVENTS_MAX];
        // Rounded up, or the last millisecond would be spent in asking again and again.
        let timeout_ms = timeout.map_or(-1, |left| {
            i32::try_from(left.as_micros().div_ceil(1000)).unwrap_or(i32::MAX)
        });
        let (epoll, max) = (self.0.as_raw_fd(), EVENTS_MAX as libc::c_int);
        // SAFETY: there is room for as many events as is said.
        let count = unsafe { libc::epoll_wait(epoll, events.as_mut_ptr(), max, timeout_ms) };
        match checked(count) {
            Ok(count) => {
                let come = events.iter().take(count.unsigned_abs() as usize);
                ready.extend(come.map(|event| event.u64));
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Wakes a thread that waits in `Poll::wait`.
pub struct Bell(OwnedFd);

impl Bell {
    pub fn new() -> io::Result<Bell> {
        // SAFETY: a plain system call.
        owned(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) }).map(Bell)
    }

    pub fn fd(&self) -> &OwnedFd {
        &self.0
    }

    pub fn ring(&self) {
        let one = 1u64.to_ne_bytes();
        // SAFETY: eight bytes of ours. It fails only when it rings already, as loud as it can.
        unsafe { libc::write(self.0.as_raw_fd(), one.as_ptr().cast(), one.len()) };
    }

    pub fn silence(&self) {
        let mut count = [0u8; 8];
        // SAFETY: room for eight bytes. It fails only when it does not ring.
        unsafe { libc::read(self.0.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
    }
}

fn checked(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}

fn owned(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: the system has just made it for us.
    checked(fd).map(|fd| unsafe { OwnedFd::from_raw_fd(fd) })
}
