use crate::poll::{Flags, Poll};
use crate::socket;
use std::io;
use std::os::fd::OwnedFd;

/// One of the two sockets of a connection, and what it is waited for.
pub struct Side {
    fd: OwnedFd,
    token: u64,
    waited_for: Flags,
}

impl Side {
    pub fn new(fd: OwnedFd, token: u64) -> Side {
        Side {
            fd,
            token,
            waited_for: 0,
        }
    }

    pub fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    /// Without any flag it is out of the poll altogether: that would go on telling of a connection that is broken.
    ///
    /// # Errors
    /// The system has no room for it.
    pub fn wait_for(&mut self, flags: Flags, poll: &Poll) -> io::Result<()> {
        match (self.waited_for, flags) {
            (before, now) if before == now => return Ok(()),
            (0, _) => poll.add(&self.fd, self.token, flags)?,
            (_, 0) => poll.remove(&self.fd)?,
            _ => poll.modify(&self.fd, self.token, flags)?,
        }
        self.waited_for = flags;
        Ok(())
    }

    pub fn close(self, poll: &Poll) {
        drop(self.left(poll));
    }

    pub fn reset(self, poll: &Poll) {
        socket::reset(self.left(poll));
    }

    fn left(self, poll: &Poll) -> OwnedFd {
        if self.waited_for != 0 {
            // It is there, so that this cannot fail.
            let _ = poll.remove(&self.fd);
        }
        self.fd
    }
}
