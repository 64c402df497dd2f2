//! A blocking connection to a walsender of this machine, over its Unix socket.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::message::{Message, error_text, first_message, write_query, write_startup};
use crate::FollowError;

/// Taken from the socket at once.
const READ_BYTES: usize = 256 << 10;
const AUTHENTICATION_OK: [u8; 4] = [0; 4];

/// What ended a wait for bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    Bytes,
    TimedOut,
    /// The server closed the connection.
    Ended,
}

/// Bytes of the server that are not taken yet lie in `inbox`.
pub struct Connection {
    stream: UnixStream,
    inbox: Vec<u8>,
    /// Bytes of `inbox` that are done with.
    taken: usize,
    out: Vec<u8>,
}

impl Connection {
    /// Connects as `user` for physical replication. The server has to trust who may open its socket.
    ///
    /// # Errors
    /// `Connection`, `Refused`, `Protocol`.
    pub fn open(
        socket: &Path,
        user: &str,
        application_name: &str,
        timeout: Duration,
    ) -> Result<Connection, FollowError> {
        let connect = || {
            let stream = UnixStream::connect(socket)?;
            stream.set_read_timeout(Some(timeout))?;
            stream.set_write_timeout(Some(timeout))?;
            Ok(stream)
        };
        let mut connection = Connection {
            stream: connect().map_err(FollowError::Connection)?,
            inbox: Vec::with_capacity(2 * READ_BYTES),
            taken: 0,
            out: Vec::new(),
        };
        let parameters = [
            ("user", user),
            ("replication", "true"),
            ("application_name", application_name),
        ];
        write_startup(&mut connection.out, &parameters);
        connection.flush()?;
        connection.until(b'Z', |message| match message.kind {
            b'R' if message.body != AUTHENTICATION_OK => Err(FollowError::Refused(
                "the server wants a password of a local standby".to_owned(),
            )),
            _ => Ok(()),
        })?;
        Ok(connection)
    }

    /// The handle of the socket, to be shut down by another thread.
    ///
    /// # Errors
    /// `Connection`.
    pub fn handle(&self) -> Result<UnixStream, FollowError> {
        self.stream.try_clone().map_err(FollowError::Connection)
    }

    /// Runs a replication command whose result does not matter. An error whose SQLSTATE is `tolerated` is
    /// none.
    ///
    /// # Errors
    /// As `open`.
    pub fn command(&mut self, text: &str, tolerated: &str) -> Result<(), FollowError> {
        write_query(&mut self.out, text);
        self.flush()?;
        let mut refused = None;
        self.until_tolerating(b'Z', |message| {
            if message.kind == b'E' && error_text(message.body, b'C') != tolerated {
                refused = Some(error_text(message.body, b'M'));
            }
            Ok(())
        })?;
        refused.map_or(Ok(()), |text| Err(FollowError::Refused(text)))
    }

    /// Runs START_REPLICATION; from here on there are only CopyData messages.
    ///
    /// # Errors
    /// As `open`.
    pub fn start_replication(&mut self, text: &str) -> Result<(), FollowError> {
        write_query(&mut self.out, text);
        self.flush()?;
        self.until(b'W', |_| Ok(()))
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// `Connection`.
    pub fn send(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), FollowError> {
        write(&mut self.out);
        self.flush()
    }

    fn flush(&mut self) -> Result<(), FollowError> {
        let sent = self.stream.write_all(&self.out);
        self.out.clear();
        sent.map_err(FollowError::Connection)
    }

    /// Whole messages that are here, in order, until one is `None` of `take`'s business; each counts as
    /// taken.
    ///
    /// # Errors
    /// `Protocol`; what `take` says.
    pub fn take_messages(
        &mut self,
        mut take: impl FnMut(Message<'_>) -> Result<(), FollowError>,
    ) -> Result<(), FollowError> {
        while let Some(message) = first_message(&self.inbox[self.taken..])? {
            let bytes = message.bytes;
            take(message)?;
            self.taken += bytes;
        }
        if self.taken == self.inbox.len() {
            self.inbox.clear();
            self.taken = 0;
        }
        Ok(())
    }

    /// Waits for bytes.
    ///
    /// # Errors
    /// `Connection`.
    pub fn wait(&mut self, timeout: Duration) -> Result<Pause, FollowError> {
        match self.poll(timeout).map_err(FollowError::Connection)? {
            false => Ok(Pause::TimedOut),
            true => self.fill(),
        }
    }

    /// Whether there is something to be read.
    fn poll(&self, timeout: Duration) -> io::Result<bool> {
        let mut poll = libc::pollfd {
            fd: self.stream.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        let milliseconds = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: one pollfd, which lives as long as the call.
        match unsafe { libc::poll(&raw mut poll, 1, milliseconds) } {
            0 => Ok(false),
            1 => Ok(true),
            _ => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::Interrupted => Ok(false),
                error => Err(error),
            },
        }
    }

    fn fill(&mut self) -> Result<Pause, FollowError> {
        if self.taken > 0 {
            self.inbox.drain(..self.taken);
            self.taken = 0;
        }
        let began = self.inbox.len();
        self.inbox.resize(began + READ_BYTES, 0);
        let read = self.stream.read(&mut self.inbox[began..]);
        self.inbox
            .truncate(began + read.as_ref().map_or(0, |bytes| *bytes));
        match read {
            Ok(0) => Ok(Pause::Ended),
            Ok(_) => Ok(Pause::Bytes),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(Pause::TimedOut),
            Err(error) => Err(FollowError::Connection(error)),
        }
    }

    /// Takes messages up to one of this kind; an ErrorResponse is an error.
    fn until(
        &mut self,
        kind: u8,
        mut take: impl FnMut(&Message<'_>) -> Result<(), FollowError>,
    ) -> Result<(), FollowError> {
        self.until_tolerating(kind, |message| match message.kind {
            b'E' => Err(FollowError::Refused(error_text(message.body, b'M'))),
            _ => take(message),
        })
    }

    fn until_tolerating(
        &mut self,
        kind: u8,
        mut take: impl FnMut(&Message<'_>) -> Result<(), FollowError>,
    ) -> Result<(), FollowError> {
        loop {
            while let Some(message) = first_message(&self.inbox[self.taken..])? {
                let (found, bytes) = (message.kind, message.bytes);
                take(&message)?;
                self.taken += bytes;
                if found == kind {
                    return Ok(());
                }
            }
            if self.fill()? == Pause::Ended {
                let text = "it was closed by the server";
                let error = io::Error::new(io::ErrorKind::UnexpectedEof, text);
                return Err(FollowError::Connection(error));
            }
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}
