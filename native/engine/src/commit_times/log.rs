//! Files the commit times of one timeline while its WAL is taken in.

use offshoot_layout::Lsn;
use offshoot_store::{Store, Table};

use super::PgTime;
use super::chunk::{Chunk, ChunkDraft, Commit, chunk_key};
use super::search::RUNS_PREFIX_BYTES;
use crate::keys::file_key;
use crate::{EngineError, PageWriter};

/// Commits in one run: more take longer to search, fewer take more room.
const RUN_COMMITS_MAX: usize = 1024;

/// Gathers commits; the run that they become is filed with the batch that they belong to.
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
            for commit in chunk.commits() {
                let commit = commit?;
                log.newest = log.newest.max(commit.time);
                log.filed_end = commit.end;
            }
        }
        Ok(log)
    }

    pub fn add(&mut self, commit: &Commit, writer: &mut PageWriter) {
        if commit.end <= self.filed_end {
            return;
        }
        match &mut self.run {
            Some(run) => run.push(commit),
            None => self.run = Some(ChunkDraft::new(self.newest, commit)),
        }
        self.newest = self.newest.max(commit.time);
        self.filed_end = commit.end;
        let full = |run: &ChunkDraft| run.commits >= RUN_COMMITS_MAX;
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
