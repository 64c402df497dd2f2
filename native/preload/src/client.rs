//! This process' access to the page server: a connection made when it is needed, made anew after a fork
//! or a failure, and the retries around it.

use crate::connection::{Answer, Connection};
use crate::env::Settings;
use crate::error::{Errno, PreloadError};
use crate::stream::Deadline;
use crate::{interrupt, log, sys};
use offshoot_layout::{BlockKey, Fork, Page, RelKey};
use offshoot_pageproto::Request;
use std::collections::HashSet;
use std::fmt::Display;
use std::ops::Range;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

const BACKOFF_MIN: Duration = Duration::from_millis(1);
const BACKOFF_MAX: Duration = Duration::from_secs(1);
/// Relations remembered not to exist at the server.
const MISSING_MAX: usize = 1024;

/// Forks up to this long come with all their pages when they are first looked at.
const SMALL_BLOCKS_MAX: u32 = 8;
/// First pages asked for together with a main fork's size, before it is known.
const GUESS_BLOCKS: u32 = 1;

/// What is known of a fork at the base LSN when it is first looked at.
pub struct Start {
    pub blocks: u32,
    /// Its first pages; fewer than `blocks` or all.
    pub pages: Vec<Box<Page>>,
}

impl Start {
    pub fn without_pages(blocks: u32) -> Start {
        let pages = Vec::new();
        Start { blocks, pages }
    }
}

/// The page server as this process sees it.
pub struct Client {
    pid: libc::pid_t,
    connection: Option<Connection>,
    /// Relations that do not exist at the base LSN, which never changes.
    missing: HashSet<RelKey>,
}

static CLIENT: LazyLock<Mutex<Client>> = LazyLock::new(|| {
    Mutex::new(Client {
        pid: 0,
        connection: None,
        missing: HashSet::new(),
    })
});

impl Client {
    /// This process' client.
    pub fn lock() -> MutexGuard<'static, Client> {
        let mut client = CLIENT.lock().unwrap_or_else(PoisonError::into_inner);
        let pid = sys::pid();
        if client.pid != pid {
            // A connection from before the fork is the parent's; only our copy of it is closed.
            client.connection = None;
            client.pid = pid;
        }
        client
    }

    /// The connection, made now if there is none.
    pub fn connection(&mut self, settings: &Settings) -> Result<&mut Connection, PreloadError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(settings, Deadline::after(settings.response_wait))?,
        };
        Ok(self.connection.insert(connection))
    }

    /// Forgets the connection and what is in flight on it.
    pub fn disconnect(&mut self) {
        self.connection = None;
    }

    /// Blocks of a fork at the base LSN; `None` if it does not exist.
    pub fn blocks(
        &mut self,
        settings: &Settings,
        rel: RelKey,
    ) -> Result<Option<u32>, PreloadError> {
        let found = self.start_of(settings, rel, 0..0)?;
        Ok(found.map(|start| start.blocks))
    }

    /// Size of a fork at the base LSN and all its pages if it is small; `None` if it does not exist.
    pub fn small_whole(
        &mut self,
        settings: &Settings,
        rel: RelKey,
    ) -> Result<Option<Start>, PreloadError> {
        let pages_max = SMALL_BLOCKS_MAX.min(settings.read_ahead_pages_max);
        // Most main forks that are asked for are there, and somebody wants to read them.
        let guess = match rel.fork {
            Fork::Main => GUESS_BLOCKS.min(pages_max),
            Fork::Fsm | Fork::Vm | Fork::Init => 0,
        };
        let found = self.start_of(settings, rel, 0..guess)?;
        let Some(mut start) = found else {
            return Ok(None);
        };
        if start.blocks <= pages_max && start.pages.len() == guess.min(start.blocks) as usize {
            let rest = guess.min(start.blocks)..start.blocks;
            let deadline = Deadline::after(settings.response_wait);
            let connection = self.connection(settings)?;
            let asked = ask_pages(connection, rel, rest);
            connection.send(deadline)?;
            take_pages(connection, &asked, deadline, &mut start.pages)?;
        }
        Ok(Some(start))
    }

    /// Asks for a fork's size and, in the same breath, for these first of its pages.
    fn start_of(
        &mut self,
        settings: &Settings,
        rel: RelKey,
        guess: Range<u32>,
    ) -> Result<Option<Start>, PreloadError> {
        if self.missing.contains(&rel) {
            return Ok(None);
        }
        let connection = self.connection(settings)?;
        let deadline = Deadline::after(settings.response_wait);
        let (exists, nblocks) = ask_size(connection, rel);
        let asked = ask_pages(connection, rel, guess);
        connection.send(deadline)?;
        let exists = connection.wait(exists, deadline, None)?;
        let nblocks = connection.wait(nblocks, deadline, None)?;
        match (exists, nblocks) {
            (Answer::Exists(false), _) => {
                self.remember_missing(rel);
                Ok(None)
            }
            (Answer::Exists(true), Answer::Nblocks(blocks)) => {
                let mut pages = Vec::new();
                let asked = &asked[..asked.len().min(blocks as usize)];
                take_pages(connection, asked, deadline, &mut pages)?;
                Ok(Some(Start { blocks, pages }))
            }
            (Answer::Refused(text), _) | (_, Answer::Refused(text)) => {
                Err(PreloadError::Refused(text))
            }
            _ => Err(PreloadError::Lost("it mixed up its answers".to_owned())),
        }
    }

    fn remember_missing(&mut self, rel: RelKey) {
        if self.missing.len() >= MISSING_MAX {
            self.missing.clear();
        }
        self.missing.insert(rel);
    }
}

/// Whether it exists and its size, both at once: the second answer says nothing (an error, or 0) when the
/// first is no.
pub fn ask_size(connection: &mut Connection, rel: RelKey) -> (u64, u64) {
    let exists = connection.ask(Request::Exists { rel });
    (exists, connection.ask(Request::Nblocks { rel }))
}

pub fn ask_pages(connection: &mut Connection, rel: RelKey, blocks: Range<u32>) -> Vec<u64> {
    let ask = |block| {
        let key = BlockKey { rel, block };
        connection.ask(Request::GetPage { key })
    };
    blocks.map(ask).collect()
}

/// Takes the pages up to the first that is refused: whoever reads that one will ask again and hear why.
pub fn take_pages(
    connection: &mut Connection,
    asked: &[u64],
    deadline: Deadline,
    pages: &mut Vec<Box<Page>>,
) -> Result<(), PreloadError> {
    for &id in asked {
        match connection.wait(id, deadline, None)? {
            Answer::PageItself(page) => pages.push(page),
            Answer::Refused(_) => break,
            _ => return Err(PreloadError::Lost("it mixed up its answers".to_owned())),
        }
    }
    Ok(())
}

/// Tries `attempt` until it succeeds, is refused, or the time for retries is over; what went wrong is
/// logged here, once, with `subject`.
pub fn retry<T>(
    settings: &Settings,
    subject: &dyn Display,
    mut attempt: impl FnMut(&mut Client) -> Result<T, PreloadError>,
) -> Result<T, Errno> {
    let start = Instant::now();
    let mut backoff = BACKOFF_MIN;
    let mut client = Client::lock();
    loop {
        let error = match attempt(&mut client) {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        // Whatever was in flight may be half-read.
        if !matches!(error, PreloadError::Refused(_) | PreloadError::System(_)) {
            client.disconnect();
        }
        let error = match error {
            // Not at the first failure, which may be an idle connection that the server has closed.
            PreloadError::Lost(_) if backoff > BACKOFF_MIN && interrupt::pending() => {
                PreloadError::Interrupted
            }
            other => other,
        };
        let reason = match error {
            PreloadError::System(errno) => {
                log::line(format_args!("{subject}: cannot keep the page: {errno}"));
                return Err(errno);
            }
            PreloadError::Lost(reason) if start.elapsed() < settings.retry => reason,
            error => {
                log::line(format_args!("{subject}: page server: {error}"));
                return Err(Errno::EIO);
            }
        };
        if backoff == BACKOFF_MIN * 2 {
            // Nor is the first failure worth a line.
            log::line(format_args!(
                "{subject}: page server: {reason}; trying again"
            ));
        }
        // A signal ends the sleep early; then the flags above are looked at sooner.
        nap(backoff.min(settings.retry.saturating_sub(start.elapsed())));
        backoff = (backoff * 2).min(BACKOFF_MAX);
    }
}

fn nap(time: Duration) {
    let time = libc::timespec {
        tv_sec: time.as_secs() as libc::time_t,
        tv_nsec: i64::from(time.subsec_nanos()),
    };
    // SAFETY: the kernel reads `time` during the call only.
    unsafe { libc::nanosleep(&raw const time, std::ptr::null_mut()) };
}
