//! A timeline that grows: its log, its indexer, and whoever writes to the log.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use offshoot_engine::{Ingest, Tenant};
use offshoot_layout::{Lsn, wal_segment};
use offshoot_wal::WalParams;
use parking_lot::{Mutex, MutexGuard};

use crate::inbox::{Inbox, InboxWriter};
use crate::indexer::{Indexer, OnProgress, Progress, Shared, Source};
use crate::log_writer::{LogPosition, LogWriter};
use crate::walsender::{Status, WalMessage};
use crate::{FollowError, LogDir};

/// Where WAL is that has been received and not yet indexed.
#[derive(Debug, Clone)]
pub enum Keep {
    /// In a log, on disk: for a source that nobody could ask again. It is told that WAL is flushed once it is there.
    Log(PathBuf),
    /// In memory: for a source that keeps its WAL until it is told that it is flushed, which it is once it is
    /// in the store. Nothing is written twice.
    Memory {
        /// Past so much there is no room (`Follower::has_room`) until half of it is indexed.
        bytes_max: usize,
    },
}

/// Which WAL, and where it waits.
#[derive(Debug, Clone)]
pub struct FollowOptions {
    pub index: u32,
    pub keep: Keep,
    pub wal: WalParams,
    /// The first record of a WAL that follows on nothing that is there: a compute's checkpoint record. Absent
    /// when the WAL goes on, and in memory.
    pub wal_start: Option<Lsn>,
    /// How long indexed WAL may wait for more before it is committed, when nobody waits for it.
    pub index_interval: Duration,
}

/// A timeline while it may grow. Dropping it stops the indexer; what was committed stays, and what is in a log
/// is indexed when it is opened again.
pub struct Follower {
    shared: Arc<Shared>,
    writer: Mutex<Writer>,
    position: Arc<LogPosition>,
    indexer: Mutex<Option<JoinHandle<()>>>,
    /// Where WAL waits that is kept in memory.
    inbox: Option<Arc<Inbox>>,
    tli: u32,
}

/// Where received WAL goes.
enum Writer {
    Log(LogWriter),
    Memory(InboxWriter),
}

/// WAL on its way to the indexer. Dropped without `finish`, what lies behind `Follower::received` is to come
/// again.
pub struct Batch<'f> {
    follower: &'f Follower,
    writer: MutexGuard<'f, Writer>,
    began: Lsn,
}

impl Batch<'_> {
    /// # Errors
    /// `Gap`, `Io`.
    pub fn append(&mut self, start: Lsn, bytes: &[u8]) -> Result<(), FollowError> {
        match &mut *self.writer {
            Writer::Log(writer) => writer.append(start, bytes),
            Writer::Memory(writer) => writer.append(start, bytes),
        }
    }

    /// Puts it on disk if there is a log, and gives it to the indexer; whether there was any.
    ///
    /// # Errors
    /// `Io`.
    pub fn finish(mut self) -> Result<bool, FollowError> {
        if self.writer.at() == self.began {
            return Ok(false);
        }
        match &mut *self.writer {
            Writer::Log(writer) => writer.flush().map(|_| ())?,
            Writer::Memory(writer) => writer.hand_on()?,
        }
        self.follower.shared.more();
        Ok(true)
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        match &mut *self.writer {
            Writer::Log(writer) => writer.abandon(),
            Writer::Memory(writer) => writer.abandon(),
        }
    }
}

impl Writer {
    fn at(&self) -> Lsn {
        match self {
            Writer::Log(writer) => writer.at(),
            Writer::Memory(writer) => writer.at(),
        }
    }

    fn is_broken(&self) -> bool {
        matches!(self, Writer::Log(writer) if writer.is_broken())
    }
}

impl Follower {
    /// Begins to index: what is in the log, if there is one, without what was not written whole; then what comes.
    ///
    /// # Errors
    /// `Io`; `Unindexed`; `Damaged`, with nothing changed; `Engine` when the timeline is unknown or its state damaged.
    pub fn open(
        tenant: &Tenant,
        options: &FollowOptions,
        on_progress: OnProgress,
    ) -> Result<Follower, FollowError> {
        match &options.keep {
            Keep::Log(dir) => Follower::open_log(tenant, options, dir, on_progress),
            Keep::Memory { bytes_max } => {
                Follower::open_inbox(tenant, options, *bytes_max, on_progress)
            }
        }
    }

    fn open_log(
        tenant: &Tenant,
        options: &FollowOptions,
        dir: &Path,
        on_progress: OnProgress,
    ) -> Result<Follower, FollowError> {
        let dir = LogDir::open(dir, options.wal)?;
        if let Some(start) = options.wal_start {
            refuse_unindexed(tenant, options, &dir)?;
            dir.start_anew(start)?;
        }
        let start = dir.start()?;
        let ingest = tenant.resume_ingest(options.index, options.wal, start)?;
        let position = ingest.position();
        let begins = Some(position) == start;
        // Before a WAL's first record lies its first page's header, which the source sends too.
        let from = match begins {
            true => wal_segment::start_of(position, options.wal.seg_size),
            false => position,
        };
        let end = dir.end(position, ingest.last_record_start())?;
        let end = if end == position { from } else { end };
        // It may have been written by a process that was killed before it flushed.
        dir.flush(position, end)?;
        let writer = LogWriter::new(dir.clone(), end);
        let position = Arc::clone(writer.position());
        let shared = Shared::new(Arc::clone(&position), &ingest, on_progress);
        let source = Source::Log(dir);
        Follower::begin(
            options,
            shared,
            source,
            ingest,
            |_| Writer::Log(writer),
            position,
        )
    }

    fn open_inbox(
        tenant: &Tenant,
        options: &FollowOptions,
        bytes_max: usize,
        on_progress: OnProgress,
    ) -> Result<Follower, FollowError> {
        let ingest = tenant.resume_ingest(options.index, options.wal, None)?;
        let inbox = Arc::new(Inbox::new(ingest.position(), bytes_max));
        let position = Arc::clone(inbox.position());
        let shared = Shared::new(Arc::clone(&position), &ingest, on_progress);
        let source = Source::Memory(Arc::clone(&inbox));
        let writer = |shared| Writer::Memory(InboxWriter::new(inbox, shared));
        Follower::begin(options, shared, source, ingest, writer, position)
    }

    fn begin(
        options: &FollowOptions,
        shared: Shared,
        source: Source,
        ingest: Ingest,
        writer: impl FnOnce(Arc<Shared>) -> Writer,
        position: Arc<LogPosition>,
    ) -> Result<Follower, FollowError> {
        let shared = Arc::new(shared);
        let inbox = match &source {
            Source::Log(_) => None,
            Source::Memory(inbox) => Some(Arc::clone(inbox)),
        };
        let indexer = Indexer::new(Arc::clone(&shared), source, ingest, options.index_interval);
        let thread = std::thread::Builder::new().name("indexer".to_owned());
        let thread = thread.spawn(move || indexer.run());
        let thread =
            thread.map_err(FollowError::io("start a thread for", Path::new("indexing")))?;
        Ok(Follower {
            writer: Mutex::new(writer(Arc::clone(&shared))),
            shared,
            position,
            indexer: Mutex::new(Some(thread)),
            inbox,
            tli: options.wal.tli,
        })
    }

    /// The next byte wanted; those before it are in the log, on disk, or in memory.
    #[must_use]
    pub fn received(&self) -> Lsn {
        self.position.flushed()
    }

    /// How far the index has come.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.shared.progress()
    }

    /// Why indexing ended for good.
    #[must_use]
    pub fn failure(&self) -> Option<Arc<FollowError>> {
        self.shared.failure()
    }

    /// Whether more WAL should be brought. If not, `OnProgress` says when; what comes nevertheless is taken.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.inbox.as_ref().is_none_or(|inbox| inbox.has_room())
    }

    /// Takes messages of a walsender, in order, and puts their WAL on disk, or into memory.
    ///
    /// # Errors
    /// `Protocol`, `Gap`, `Io`, `Closed`: what is behind `received` has to come again.
    pub fn write<'m>(
        &self,
        messages: impl IntoIterator<Item = &'m [u8]>,
    ) -> Result<Status, FollowError> {
        let mut batch = self.batch()?;
        for message in messages {
            if let WalMessage::Data { start, bytes } = WalMessage::parse(message)? {
                batch.append(start, bytes)?;
            }
        }
        batch.finish()?;
        Ok(self.status())
    }

    /// Begins to take WAL that goes on disk together. One at a time; a second caller waits.
    ///
    /// # Errors
    /// `Closed`: indexing has ended, so nobody would ever read it; or a flush has failed.
    pub fn batch(&self) -> Result<Batch<'_>, FollowError> {
        let writer = self.writer.lock();
        if self.shared.is_stopped() || self.failure().is_some() || writer.is_broken() {
            return Err(FollowError::Closed);
        }
        let began = writer.at();
        Ok(Batch {
            follower: self,
            writer,
            began,
        })
    }

    /// What to tell the source now.
    #[must_use]
    pub fn status(&self) -> Status {
        let received = self.received();
        let applied = self.progress().indexed.min(received);
        let flushed = match self.inbox {
            None => received,
            Some(_) => applied,
        };
        Status { flushed, applied }
    }

    /// Asks that the log be indexed up to `lsn`, or as far as it has come; answers the position whose
    /// settling to wait for.
    pub fn want(&self, lsn: Option<Lsn>) -> Lsn {
        let wanted = lsn.unwrap_or_else(|| self.received());
        self.shared.want(wanted);
        wanted
    }

    /// Postgres' number of the timeline that is received.
    #[must_use]
    pub fn tli(&self) -> u32 {
        self.tli
    }

    /// Commits what is indexed and ends. A second call does nothing.
    pub fn close(&self) {
        self.shared.stop();
        if let Some(thread) = self.indexer.lock().take() {
            // A panic in it is a bug; the log is whole all the same.
            let _ = thread.join();
        }
    }
}

/// A new WAL makes the log forget the one before: that must be in the store.
fn refuse_unindexed(
    tenant: &Tenant,
    options: &FollowOptions,
    dir: &LogDir,
) -> Result<(), FollowError> {
    let ingest = tenant.resume_ingest(options.index, options.wal, dir.start()?)?;
    let indexed = ingest.position();
    let end = dir.end(indexed, ingest.last_record_start())?;
    match end > indexed {
        true => Err(FollowError::Unindexed { indexed, end }),
        false => Ok(()),
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.close();
    }
}
