//! The thread that turns a timeline's WAL into versions of pages.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use offshoot_engine::Ingest;
use offshoot_layout::Lsn;
use parking_lot::{Condvar, Mutex};

use crate::inbox::{Inbox, Room};
use crate::log_writer::LogPosition;
use crate::{Content, FollowError, LogDir};

/// Taken from the log at once.
const READ_BYTES: usize = 1 << 20;

/// What an indexer has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// End of the last record that is in the store: of a WAL that follows on nothing and of which no record has come
    /// yet, that is the end of the WAL before.
    pub indexed: Lsn,
    /// All bytes before it are indexed, as far as they are whole records.
    pub settled: Lsn,
}

/// Told after every commit, when there is room again for WAL (`Follower::has_room`), and once with an error
/// when indexing has ended for good.
pub type OnProgress = Box<dyn Fn(Result<Progress, &FollowError>) + Send + Sync>;

/// What the indexer and its callers share.
pub(crate) struct Shared {
    state: Mutex<State>,
    wake: Condvar,
    log: Arc<LogPosition>,
    on_progress: OnProgress,
}

struct State {
    progress: Progress,
    /// Somebody waits until everything before it is settled.
    wanted: Lsn,
    stop: bool,
    failure: Option<Arc<FollowError>>,
}

impl Shared {
    pub(crate) fn new(log: Arc<LogPosition>, ingest: &Ingest, on_progress: OnProgress) -> Shared {
        let progress = Progress {
            indexed: ingest.readable(),
            settled: ingest.position(),
        };
        Shared {
            state: Mutex::new(State {
                progress,
                wanted: Lsn::INVALID,
                stop: false,
                failure: None,
            }),
            wake: Condvar::new(),
            log,
            on_progress,
        }
    }

    pub(crate) fn progress(&self) -> Progress {
        self.state.lock().progress
    }

    pub(crate) fn failure(&self) -> Option<Arc<FollowError>> {
        self.state.lock().failure.clone()
    }

    /// There is more WAL.
    pub(crate) fn more(&self) {
        // The lock orders this after the indexer's look at the log.
        drop(self.state.lock());
        self.wake.notify_all();
    }

    /// Asks that everything before `lsn` be settled soon.
    pub(crate) fn want(&self, lsn: Lsn) {
        let mut state = self.state.lock();
        state.wanted = state.wanted.max(lsn);
        self.wake.notify_all();
    }

    pub(crate) fn stop(&self) {
        self.state.lock().stop = true;
        self.wake.notify_all();
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.state.lock().stop
    }

    fn reached(&self, progress: Progress) {
        self.state.lock().progress = progress;
        (self.on_progress)(Ok(progress));
    }

    /// There is room again for WAL.
    fn tell(&self) {
        (self.on_progress)(Ok(self.progress()));
    }

    fn failed(&self, error: FollowError) {
        let error = Arc::new(error);
        self.state.lock().failure = Some(Arc::clone(&error));
        (self.on_progress)(Err(&error));
    }
}

/// Where the WAL is that is to be indexed.
pub(crate) enum Source {
    Log(LogDir),
    Memory(Arc<Inbox>),
}

/// What the thread owns.
pub(crate) struct Indexer {
    shared: Arc<Shared>,
    source: Source,
    ingest: Ingest,
    /// The next byte to be indexed.
    fed: Lsn,
    /// An idle log is committed after so long.
    interval: Duration,
    committed_at: Instant,
    buffer: Vec<u8>,
}

/// What there is to do next.
enum Next {
    Read(Lsn),
    Commit,
    Stop,
}

impl Indexer {
    pub(crate) fn new(
        shared: Arc<Shared>,
        source: Source,
        ingest: Ingest,
        interval: Duration,
    ) -> Indexer {
        Indexer {
            shared,
            source,
            fed: ingest.position(),
            ingest,
            interval,
            committed_at: Instant::now(),
            buffer: Vec::new(),
        }
    }

    /// Until it is stopped, or cannot go on.
    pub(crate) fn run(mut self) {
        // Nothing of `self` is used after a panic, and what is shared stays behind a lock that does not poison.
        let done = catch_unwind(AssertUnwindSafe(|| self.index()));
        if let Err(error) = done.unwrap_or_else(|panic| Err(FollowError::of_panic(&*panic))) {
            self.shared.failed(error);
        }
        if let Source::Memory(inbox) = &self.source {
            inbox.end();
        }
    }

    fn index(&mut self) -> Result<(), FollowError> {
        self.make_ready()?;
        loop {
            match self.next() {
                Next::Read(behind) => self.read(behind)?,
                Next::Commit => self.commit()?,
                Next::Stop => {
                    if self.is_ahead() {
                        self.commit()?;
                    }
                    return Ok(());
                }
            }
        }
    }

    fn next(&self) -> Next {
        let mut state = self.shared.state.lock();
        loop {
            let flushed = self.shared.log.flushed();
            if state.stop {
                return Next::Stop;
            }
            let uncommitted = state.progress.settled < self.fed;
            if uncommitted && self.is_awaited(&state, flushed) {
                return Next::Commit;
            }
            if self.fed < flushed {
                return Next::Read(flushed);
            }
            let due = self.committed_at.checked_add(self.interval);
            match due.filter(|_| uncommitted) {
                Some(due) if due <= Instant::now() => return Next::Commit,
                Some(due) => {
                    self.shared.wake.wait_until(&mut state, due);
                }
                None => self.shared.wake.wait(&mut state),
            }
        }
    }

    /// Whether somebody waits for what was read, or for WAL that has not come yet.
    fn is_awaited(&self, state: &State, flushed: Lsn) -> bool {
        state.wanted > state.progress.settled && state.wanted.min(flushed) <= self.fed
    }

    fn read(&mut self, behind: Lsn) -> Result<(), FollowError> {
        let before = self.ingest.committed();
        let chunk = self.next_chunk(behind)?;
        self.ingest.feed(&chunk)?;
        self.fed = Lsn(self.fed.0 + chunk.len() as u64);
        match &self.source {
            Source::Log(_) => self.buffer = chunk,
            Source::Memory(inbox) => inbox.give_back(chunk),
        }
        if self.ingest.committed() > before {
            self.after_commit(self.ingest.committed())?;
        }
        Ok(())
    }

    /// WAL that comes next, of which there is some before `behind`.
    fn next_chunk(&mut self, behind: Lsn) -> Result<Vec<u8>, FollowError> {
        let lsn = self.fed;
        let chunk = match &self.source {
            Source::Memory(inbox) => {
                let (chunk, room) = inbox.take().unwrap_or((Vec::new(), Room::AsBefore));
                if room == Room::Again {
                    self.shared.tell();
                }
                chunk
            }
            Source::Log(dir) => {
                let mut chunk = std::mem::take(&mut self.buffer);
                chunk.resize((behind.0 - lsn.0).min(READ_BYTES as u64) as usize, 0);
                let bytes = dir.read(lsn, &mut chunk)?;
                chunk.truncate(bytes);
                chunk
            }
        };
        if chunk.is_empty() {
            let text = format!("there is no WAL at {lsn}, which was written before");
            return Err(offshoot_engine::EngineError::BadSource(text).into());
        }
        Ok(chunk)
    }

    fn is_ahead(&self) -> bool {
        self.ingest.position() > self.ingest.committed()
    }

    fn commit(&mut self) -> Result<(), FollowError> {
        if self.is_ahead() {
            self.ingest.commit()?;
        }
        self.after_commit(self.fed)
    }

    fn after_commit(&mut self, settled: Lsn) -> Result<(), FollowError> {
        self.committed_at = Instant::now();
        self.shared.reached(Progress {
            indexed: self.ingest.readable(),
            settled,
        });
        self.make_ready()
    }

    /// Segments that are indexed go, and one of them is used again; after a segment switch, what is indexed
    /// is ahead of what has come. Once the index has caught up and the segment at hand is half full, one of
    /// zeros is made for what comes.
    fn make_ready(&self) -> Result<(), FollowError> {
        let Source::Log(dir) = &self.source else {
            return Ok(());
        };
        let flushed = self.shared.log.flushed();
        let next = dir.number(flushed) + 1;
        let oldest_needed = dir.number(self.ingest.committed().min(self.fed));
        dir.retire_before(oldest_needed, next)?;
        let in_segment = flushed.0 % dir.segment_bytes();
        if self.fed >= flushed && in_segment >= dir.segment_bytes() / 2 {
            return match dir.make_segment(next, Content::Zeros) {
                // The writer will meet that itself, if there is no room by then.
                Err(error) if error.is_disk_full() => Ok(()),
                made => made,
            };
        }
        Ok(())
    }
}
