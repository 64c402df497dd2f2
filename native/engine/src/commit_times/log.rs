//! Files the times of commits and rollbacks of one timeline while its WAL is taken in.

use offshoot_layout::Lsn;
use offshoot_store::{Store, Table};

use super::PgTime;
use super::chunk::{Chunk, ChunkDraft, Ending, chunk_key};
use super::search::RUNS_PREFIX_BYTES;
use crate::keys::file_key;
use crate::{EngineError, PageWriter};

/// Records in one run: more take longer to search, fewer take more room.
const RUN_RECORDS_MAX: usize = 1024;

/// Gathers them; the run that they become is filed with the batch that they belong to.
pub struct CommitLog {
    /// The newest time so far.
    newest: PgTime,
    /// Those before it are filed: after a crash some come a second time.
    filed_end: Lsn,
    run: Option<ChunkDraft>,
}

impl CommitLog {
    /// Goes on behind what the store has of the timeline.
    ///
    /// # Errors
    /// `Store`, `Damaged`.
    pub fn resume(store: &Store, timeline: u32) -> Result<CommitLog, EngineError> {
        let mut log = CommitLog {
            newest: PgTime::MIN,
            filed_end: Lsn::INVALID,
            run: None,
        };
        let last = file_key(timeline, &chunk_key(PgTime::MAX), Lsn::MAX);
        let snapshot = store.read()?;
        let found = snapshot.seek_le(Table::Files, &last)?;
        let same = |key: &[u8]| key.get(..RUNS_PREFIX_BYTES) == Some(&last[..RUNS_PREFIX_BYTES]);
        if let Some((key, value)) = found.filter(|(key, _)| same(key)) {
            let chunk = Chunk::parse(key, value)?;
            log.newest = chunk.base;
            for ending in chunk.endings() {
                let ending = ending?;
                log.newest = log.newest.max(ending.time);
                log.filed_end = ending.end;
            }
        }
        Ok(log)
    }

    pub fn add(&mut self, ending: &Ending, writer: &mut PageWriter) {
        if ending.end <= self.filed_end {
            return;
        }
        match &mut self.run {
            Some(run) => run.push(ending),
            None => self.run = Some(ChunkDraft::new(self.newest, ending)),
        }
        self.newest = self.newest.max(ending.time);
        self.filed_end = ending.end;
        let full = |run: &ChunkDraft| run.count >= RUN_RECORDS_MAX;
        if self.run.as_ref().is_some_and(full) {
            self.file(writer);
        }
    }

    /// To be called before each commit of the writer.
    pub fn file(&mut self, writer: &mut PageWriter) {
        if let Some(run) = self.run.take() {
            writer.file(&chunk_key(run.base), run.first_end, Some(&run.bytes));
        }
    }
}
