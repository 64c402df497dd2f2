//! A batch is committed by a thread of its own while the next one is collected.

use std::sync::Arc;
use std::thread::JoinHandle;

use offshoot_layout::Lsn;
use parking_lot::Mutex;

use crate::EngineError;
use crate::pending_batch::{Destination, PendingBatch};

/// At most one batch that is being committed, and what it leaves behind.
#[derive(Default)]
pub(crate) struct CommitBehind {
    running: Option<Running>,
    /// Could not be committed; it comes before any other.
    failed: Option<(PendingBatch, Destination, Lsn)>,
    /// Memory of a batch that is done.
    spare: Option<PendingBatch>,
}

struct Running {
    batch: Arc<Mutex<PendingBatch>>,
    to: Destination,
    reaches: Lsn,
    thread: JoinHandle<Result<(), EngineError>>,
}

impl CommitBehind {
    /// Begins to commit the batch; when that has succeeded, the timeline's last record ends at `reaches`.
    /// Answers an empty batch for what comes next. `settle` comes first.
    pub(crate) fn begin(
        &mut self,
        batch: PendingBatch,
        to: Destination,
        reaches: Lsn,
    ) -> Result<PendingBatch, EngineError> {
        let batch = Arc::new(Mutex::new(batch));
        let thread = std::thread::Builder::new().name("commit".to_owned());
        let (its_batch, its_to) = (Arc::clone(&batch), to.clone());
        match thread.spawn(move || commit(&mut its_batch.lock(), &its_to, reaches)) {
            Ok(thread) => {
                self.running = Some(Running {
                    batch,
                    to,
                    reaches,
                    thread,
                });
            }
            // As it was done before there was a thread for it.
            Err(_) => {
                let mut batch = std::mem::take(&mut *batch.lock());
                let done = commit(&mut batch, &to, reaches);
                self.ended(batch, to, reaches, done)?;
            }
        }
        Ok(self.spare.take().unwrap_or_default())
    }

    /// Waits for the batch that is being committed; one that failed before is tried again.
    pub(crate) fn settle(&mut self) -> Result<(), EngineError> {
        if let Some(running) = self.running.take() {
            let Running {
                batch,
                to,
                reaches,
                thread,
            } = running;
            let done = match thread.join() {
                Ok(done) => done,
                // A bug in this thread's own work, as if it had done it itself.
                Err(panic) => std::panic::resume_unwind(panic),
            };
            let batch = std::mem::take(&mut *batch.lock());
            return self.ended(batch, to, reaches, done);
        }
        match self.failed.take() {
            Some((mut batch, to, reaches)) => {
                let done = commit(&mut batch, &to, reaches);
                self.ended(batch, to, reaches, done)
            }
            None => Ok(()),
        }
    }

    /// Whether nothing is being committed.
    pub(crate) fn is_idle(&self) -> bool {
        let running = self.running.as_ref();
        running.is_none_or(|running| running.thread.is_finished())
    }

    fn ended(
        &mut self,
        batch: PendingBatch,
        to: Destination,
        reaches: Lsn,
        done: Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        match &done {
            Ok(()) => self.spare = Some(batch),
            Err(_) => self.failed = Some((batch, to, reaches)),
        }
        done
    }
}

/// Nobody may write to the timeline while a commit is still under way.
impl Drop for CommitBehind {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            // What it came to is in the store, and nobody is left to be told.
            let _ = running.thread.join();
        }
    }
}

fn commit(batch: &mut PendingBatch, to: &Destination, reaches: Lsn) -> Result<(), EngineError> {
    batch.commit(to, Lsn::INVALID, std::iter::empty())?;
    to.timeline.advance_last_record_lsn(reaches);
    Ok(())
}
