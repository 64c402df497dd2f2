//! A timeline that grows: its log, its indexer, and whoever writes to the log.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use offshoot_engine::Tenant;
use offshoot_layout::{Lsn, wal_segment};
use offshoot_wal::WalParams;
use parking_lot::{Mutex, MutexGuard};

use crate::indexer::{Indexer, OnProgress, Progress, Shared};
use crate::log_writer::{LogPosition, LogWriter};
use crate::walsender::{Status, WalMessage};
use crate::{FollowError, LogDir};

/// Which WAL, and where its log is.
#[derive(Debug, Clone)]
pub struct FollowOptions {
    pub index: u32,
    pub dir: PathBuf,
    pub wal: WalParams,
    /// The first record of a WAL that follows on nothing that is there: a compute's checkpoint record. Absent
    /// when the log goes on.
    pub wal_start: Option<Lsn>,
    /// How long indexed WAL may wait for more before it is committed, when nobody waits for it.
    pub index_interval: Duration,
}

/// A timeline's log while it may grow. Dropping it stops the indexer; what was committed stays, and what
/// is in the log is indexed when it is opened again.
pub struct Follower {
    shared: Arc<Shared>,
    writer: Mutex<LogWriter>,
    position: Arc<LogPosition>,
    indexer: Mutex<Option<JoinHandle<()>>>,
    tli: u32,
    seg_size: u32,
}

/// WAL on its way into the log. Dropped without `finish`, it is to come again.
pub struct Batch<'f> {
    follower: &'f Follower,
    writer: MutexGuard<'f, LogWriter>,
    began: Lsn,
}

impl Batch<'_> {
    /// # Errors
    /// `Gap`, `Io`.
    pub fn append(&mut self, start: Lsn, bytes: &[u8]) -> Result<(), FollowError> {
        self.writer.append(start, bytes)
    }

    /// Puts it on disk; whether there was any.
    ///
    /// # Errors
    /// `Io`.
    pub fn finish(mut self) -> Result<bool, FollowError> {
        if self.writer.at() == self.began {
            return Ok(false);
        }
        self.writer.flush()?;
        self.follower.shared.more();
        Ok(true)
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        self.writer.abandon();
    }
}

impl Follower {
    /// Opens the log, drops from it what was not written whole, and begins to index the rest.
    ///
    /// # Errors
    /// `Io`; `Unindexed`; `Damaged`, with nothing changed; `Engine` when the timeline is unknown or its state damaged.
    pub fn open(
        tenant: &Tenant,
        options: &FollowOptions,
        on_progress: OnProgress,
    ) -> Result<Follower, FollowError> {
        let dir = LogDir::open(&options.dir, options.wal)?;
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
        let shared = Shared::new(Arc::clone(writer.position()), position, on_progress);
        let shared = Arc::new(shared);
        let indexer = Indexer::new(Arc::clone(&shared), dir, ingest, options.index_interval);
        let thread = std::thread::Builder::new().name("indexer".to_owned());
        let thread = thread.spawn(move || indexer.run());
        let thread =
            thread.map_err(FollowError::io("start a thread for", Path::new("indexing")))?;
        Ok(Follower {
            shared,
            position: Arc::clone(writer.position()),
            writer: Mutex::new(writer),
            indexer: Mutex::new(Some(thread)),
            tli: options.wal.tli,
            seg_size: options.wal.seg_size,
        })
    }

    /// The next byte wanted; those before it are in the log, on disk.
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

    /// Takes messages of a walsender, in order, and puts their WAL on disk.
    ///
    /// # Errors
    /// `Protocol`, `Gap`, `Io`, `Closed`: all of it has to come again.
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

    /// What to tell a source that outlives us, by its slot. A log that is opened again goes on at the end of its
    /// last whole record, so the slot must keep the segment in which that lies: what is on disk is owned up
    /// to only when the index has come to the same segment.
    #[must_use]
    pub fn source_status(&self) -> Status {
        let status = self.status();
        let segment = |lsn| wal_segment::start_of(lsn, self.seg_size);
        match segment(status.applied) == segment(status.flushed) {
            true => status,
            false => Status {
                flushed: status.applied,
                ..status
            },
        }
    }

    /// What to tell the source now.
    #[must_use]
    pub fn status(&self) -> Status {
        let flushed = self.received();
        Status {
            flushed,
            applied: self.progress().indexed.min(flushed),
        }
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
