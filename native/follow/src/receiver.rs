//! The thread that receives a compute's WAL: read, write, fsync and acknowledge, with nothing in between.

use std::io::ErrorKind;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::walsender::{Connection, Message, Pause, WalMessage, write_copy_data};
use crate::{FollowError, Follower};

/// SQLSTATE: the slot is there already.
const DUPLICATE_OBJECT: &str = "42710";
/// What a server that shuts down ends its stream with, without a CopyDone.
const COMMAND_COMPLETE: u8 = b'C';
/// A CopyDone.
const COPY_DONE: [u8; 5] = [b'c', 0, 0, 0, 4];

/// Where the WAL comes from, and how often the source hears of us when there is none.
#[derive(Debug, Clone)]
pub struct ReceiverOptions {
    pub socket: PathBuf,
    pub user: String,
    /// What synchronous_standby_names calls us.
    pub application_name: String,
    pub slot: String,
    pub status_interval: Duration,
    /// Longest wait for the server while connecting.
    pub connect_timeout: Duration,
}

/// How a receiver came to its end.
#[derive(Debug)]
pub enum ReceiverEnd {
    Stopped,
    /// The server ended the stream, as it does when it shuts down.
    Ended,
    Failed(FollowError),
}

/// A running receiver. Dropping it stops it.
pub struct Receiver {
    stop: Arc<AtomicBool>,
    socket: UnixStream,
}

impl Receiver {
    /// Connects, makes the slot if it is not there, and starts streaming on a thread of its own, which
    /// calls `on_end` at its end.
    ///
    /// # Errors
    /// `Connection`, `Refused`, `Protocol`.
    pub fn start(
        follower: Arc<Follower>,
        options: ReceiverOptions,
        on_end: impl FnOnce(ReceiverEnd) + Send + 'static,
    ) -> Result<Receiver, FollowError> {
        let mut connection = Connection::open(
            &options.socket,
            &options.user,
            &options.application_name,
            options.connect_timeout,
        )?;
        let slot = quoted(&options.slot);
        let create = format!("CREATE_REPLICATION_SLOT {slot} PHYSICAL RESERVE_WAL");
        connection.command(&create, DUPLICATE_OBJECT)?;
        let (start, tli) = (follower.received(), follower.tli());
        let command = format!("START_REPLICATION SLOT {slot} PHYSICAL {start} TIMELINE {tli}");
        connection.start_replication(&command)?;
        let stop = Arc::new(AtomicBool::new(false));
        let socket = connection.handle()?;
        let mut session = Session {
            follower,
            connection,
            stop: Arc::clone(&stop),
            status_interval: options.status_interval,
        };
        let thread = std::thread::Builder::new().name("wal receiver".to_owned());
        thread
            .spawn(move || {
                // Whoever waits for its end hears of a panic too; nothing of the session is used after it.
                let end = catch_unwind(AssertUnwindSafe(|| session.run()));
                let end =
                    end.unwrap_or_else(|panic| ReceiverEnd::Failed(FollowError::of_panic(&*panic)));
                // Whoever is told may open the log anew.
                drop(session);
                on_end(end);
            })
            .map_err(FollowError::Connection)?;
        Ok(Receiver { stop, socket })
    }

    /// Ends it soon; `on_end` is called then.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stop();
    }
}

struct Session {
    follower: Arc<Follower>,
    connection: Connection,
    stop: Arc<AtomicBool>,
    status_interval: Duration,
}

impl Session {
    fn run(&mut self) -> ReceiverEnd {
        let end = self.stream();
        if self.stop.load(Ordering::Acquire) {
            return ReceiverEnd::Stopped;
        }
        match end {
            Ok(()) => ReceiverEnd::Ended,
            Err(error) => ReceiverEnd::Failed(error),
        }
    }

    /// Until the server ends it.
    fn stream(&mut self) -> Result<(), FollowError> {
        self.send_status()?;
        // The server may have sent WAL together with its consent.
        if self.take()? == Stream::Done {
            return Ok(());
        }
        let mut next_status = Instant::now() + self.status_interval;
        loop {
            let left = next_status.saturating_duration_since(Instant::now());
            match self.connection.wait(left)? {
                Pause::Ended => return Ok(()),
                Pause::TimedOut => self.send_status()?,
                Pause::Bytes => {
                    if self.take()? == Stream::Done {
                        return Ok(());
                    }
                }
            }
            next_status = Instant::now() + self.status_interval;
        }
    }

    /// Everything that has come: one fsync for all of it.
    fn take(&mut self) -> Result<Stream, FollowError> {
        let mut batch = self.follower.batch()?;
        let mut stream = Stream::GoesOn;
        let mut must_answer = false;
        self.connection.take_messages(|message| {
            match wal_message(&message)? {
                Some(WalMessage::Data { start, bytes }) => batch.append(start, bytes)?,
                Some(WalMessage::Keepalive {
                    reply_requested, ..
                }) => must_answer |= reply_requested,
                None => stream = Stream::Done,
            }
            Ok(())
        })?;
        let written = batch.finish()?;
        if written || must_answer {
            self.send_status()?;
        }
        if stream == Stream::Done {
            self.send(|out| out.extend_from_slice(&COPY_DONE))?;
        }
        Ok(stream)
    }

    fn send_status(&mut self) -> Result<(), FollowError> {
        let status = self.follower.status().to_bytes();
        self.send(|out| write_copy_data(out, &status))
    }

    /// A server that has gone may have said why: that is still to be read.
    fn send(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), FollowError> {
        match self.connection.send(write) {
            Err(FollowError::Connection(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            sent => sent,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stream {
    GoesOn,
    Done,
}

/// `None`: the server has nothing more to send.
fn wal_message<'m>(message: &Message<'m>) -> Result<Option<WalMessage<'m>>, FollowError> {
    match message.kind {
        b'd' => WalMessage::parse(message.body).map(Some),
        b'c' | COMMAND_COMPLETE => Ok(None),
        b'E' => Err(FollowError::Refused(crate::walsender::error_text(
            message.body,
            b'M',
        ))),
        kind => Err(FollowError::Protocol(format!(
            "a message of kind {} within its WAL",
            kind.escape_ascii()
        ))),
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
