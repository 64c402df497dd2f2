//! From a time to an LSN, and back.

use std::ops::Bound;

use offshoot_layout::Lsn;
use offshoot_redo::rmgr::xact::Fate;
use offshoot_store::Table;

use super::chunk::{Chunk, Ending, chunk_key};
use super::{PgTime, from_unix_seconds};
use crate::keys::{FileKeyBytes, FileKind, file_key};
use crate::{CheckPointState, EngineError, Link, Tenant, View};

/// Timeline and kind: what the keys of a timeline's runs start with.
pub const RUNS_PREFIX_BYTES: usize = 5;

/// A checkpoint record's time is cut to a second.
const CHECKPOINT_TIME_UNIT: PgTime = 1_000_000;

/// What a timeline's commit times say of a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LsnAtTime {
    /// `lsn` is the start of the first commit or rollback that is later than the moment.
    Found {
        lsn: Lsn,
        /// Time of the last commit before `lsn`, in LSN order.
        last_commit: Option<PgTime>,
        /// None is later than the moment: `lsn` is the end of what is there.
        is_newest: bool,
    },
    /// It is not known what was committed at the moment: only from `known_from` on, or never.
    TooEarly { known_from: Option<PgTime> },
}

/// The commits next to an LSN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommitsAround {
    /// The last that is in at the LSN.
    pub last: Option<PgTime>,
    /// The first that is not.
    pub next: Option<PgTime>,
}

impl Tenant {
    /// The LSN at which a timeline is as it was at `time`, by the clock of who wrote the WAL: that at which
    /// Postgres' recovery stops for recovery_target_time.
    ///
    /// # Errors
    /// `UnknownTimeline`, `Store`, `Damaged`.
    pub fn lsn_at_time(&self, index: u32, time: PgTime) -> Result<LsnAtTime, EngineError> {
        let mut view = self.readable_view(index, None)?;
        let newest = view.lsn();
        let readable_from = view.timeline().readable_from();
        let known_from = view.commit_times_known_from(readable_from)?;
        if known_from.is_none_or(|known_from| time < known_from) {
            return Ok(LsnAtTime::TooEarly { known_from });
        }
        let later = view.first_ending_after(time)?;
        let lsn = later.map_or(newest, |ending| ending.start.max(readable_from));
        view.move_to(lsn);
        Ok(LsnAtTime::Found {
            lsn,
            last_commit: view.last_commit()?.map(|commit| commit.time),
            is_newest: later.is_none(),
        })
    }

    /// The commits next to an LSN that can be read.
    ///
    /// # Errors
    /// `NotReadable`, `UnknownTimeline`, `Store`, `Damaged`.
    pub fn commits_around(&self, index: u32, lsn: Lsn) -> Result<CommitsAround, EngineError> {
        let view = self.readable_view(index, Some(lsn))?;
        Ok(CommitsAround {
            last: view.last_commit()?.map(|commit| commit.time),
            next: view.next_commit()?.map(|commit| commit.time),
        })
    }
}

impl View {
    /// From which moment on every ending is known that changes what can be read: where reading begins, all
    /// up to then are in. When there was none, the checkpoint before tells how late it was.
    fn commit_times_known_from(
        &mut self,
        readable_from: Lsn,
    ) -> Result<Option<PgTime>, EngineError> {
        let newest = self.lsn();
        self.move_to(readable_from);
        let mut known_from = None;
        for link in self.chain() {
            known_from = known_from.max(self.newest_time(*link)?);
        }
        if known_from.is_none() {
            let checkpoint = self.checkpoint_time()?;
            self.move_to(newest);
            let first = self.first_ending_after(PgTime::MIN)?;
            known_from = checkpoint
                .into_iter()
                .chain(first.map(|first| first.time))
                .min();
        }
        self.move_to(newest);
        Ok(known_from)
    }

    fn checkpoint_time(&self) -> Result<Option<PgTime>, EngineError> {
        let state = self.file(&CheckPointState::FILE)?;
        let state = state.map(CheckPointState::parse).transpose()?;
        let seconds = state.map(|state| state.control.check_point_copy.time);
        let known = seconds.filter(|seconds| *seconds != 0);
        Ok(known.map(|seconds| from_unix_seconds(seconds).saturating_add(CHECKPOINT_TIME_UNIT)))
    }

    fn first_ending_after(&self, time: PgTime) -> Result<Option<Ending>, EngineError> {
        for link in self.chain().rev() {
            let bound = chunk_bound(*link, time, Lsn::MAX);
            let found = self.first_from(*link, &bound, |ending| ending.time > time)?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// The first commit that is not in at this LSN. A timeline is readable from where it branched.
    fn next_commit(&self) -> Result<Option<Ending>, EngineError> {
        let newest = self.timeline().last_record_lsn();
        let own = self.timeline().chain(newest);
        let own = own
            .first()
            .filter(|link| link.timeline == self.timeline().index());
        let Some(link) = own else {
            return Ok(None);
        };
        let here = Link {
            lsn: self.lsn(),
            ..*link
        };
        let from = match self.newest_chunk(here)? {
            Some(chunk) => chunk_bound(here, chunk.base, chunk.first_end),
            None => chunk_bound(here, PgTime::MIN, Lsn::INVALID),
        };
        self.first_from(*link, &from, |ending| {
            ending.fate == Fate::Committed && ending.end > self.lsn()
        })
    }

    /// The last commit before this LSN.
    fn last_commit(&self) -> Result<Option<Ending>, EngineError> {
        for link in self.chain() {
            let mut at = *link;
            // A run may be of rollbacks alone.
            while let Some(chunk) = self.newest_chunk(at)? {
                let mut last = None;
                for ending in chunk.endings() {
                    let is_in =
                        |ending: &Ending| ending.fate == Fate::Committed && ending.end <= link.lsn;
                    last = Some(ending?).filter(is_in).or(last);
                }
                if last.is_some() {
                    return Ok(last);
                }
                at.lsn = Lsn(chunk.first_end.0.saturating_sub(1));
            }
        }
        Ok(None)
    }

    /// The newest time on one timeline.
    fn newest_time(&self, link: Link) -> Result<Option<PgTime>, EngineError> {
        let Some(chunk) = self.newest_chunk(link)? else {
            return Ok(None);
        };
        let mut newest = chunk.base;
        for ending in chunk.endings() {
            let ending = ending?;
            if ending.end <= link.lsn {
                newest = newest.max(ending.time);
            }
        }
        Ok(Some(newest))
    }

    /// The first of one timeline that `wanted` accepts, in the run at or before `bound` or behind it.
    fn first_from(
        &self,
        link: Link,
        bound: &FileKeyBytes,
        wanted: impl Fn(&Ending) -> bool,
    ) -> Result<Option<Ending>, EngineError> {
        let first = chunk_bound(link, PgTime::MIN, Lsn::INVALID);
        let prefix = &first[..RUNS_PREFIX_BYTES];
        let at = self.snapshot().seek_le(Table::Files, bound)?;
        let at = at.map(|(key, _)| key).filter(|key| key.starts_with(prefix));
        let last = chunk_bound(link, PgTime::MAX, Lsn::MAX);
        let range = (at.unwrap_or(&first), &last[..]);
        let runs = self.snapshot().range(
            Table::Files,
            Bound::Included(range.0),
            Bound::Included(range.1),
        )?;
        for run in runs {
            let (key, value) = run?;
            for ending in Chunk::parse(key, value)?.endings() {
                let ending = ending?;
                if ending.end > link.lsn {
                    return Ok(None);
                }
                if wanted(&ending) {
                    return Ok(Some(ending));
                }
            }
        }
        Ok(None)
    }

    /// The last run of a timeline that begins at or before an LSN. Keys ascend in LSN too, but begin with a
    /// time: the time is found by halving.
    fn newest_chunk(&self, link: Link) -> Result<Option<Chunk<'_>>, EngineError> {
        let (mut low, mut high) = (PgTime::MIN, PgTime::MAX);
        let mut middle = high;
        let mut best = None;
        loop {
            let found = self.chunk_at(link, middle)?;
            match found {
                Some(chunk) if chunk.first_end > link.lsn => high = chunk.base,
                _ => {
                    best = found.or(best);
                    match middle.checked_add(1) {
                        Some(next) => low = next,
                        None => return Ok(best),
                    }
                }
            }
            if low > high {
                return Ok(best);
            }
            middle = low.midpoint(high);
        }
    }

    /// The last run at or before a time, and at that time at or before the link's LSN.
    fn chunk_at(&self, link: Link, time: PgTime) -> Result<Option<Chunk<'_>>, EngineError> {
        let key = chunk_bound(link, time, link.lsn);
        let found = self.snapshot().seek_le(Table::Files, &key)?;
        let same = |key: &[u8]| key.starts_with(&file_prefix(link));
        let found = found.filter(|(found, _)| same(found));
        found
            .map(|(key, value)| Chunk::parse(key, value))
            .transpose()
    }
}

fn chunk_bound(link: Link, base: PgTime, lsn: Lsn) -> FileKeyBytes {
    file_key(link.timeline, &chunk_key(base), lsn)
}

fn file_prefix(link: Link) -> [u8; RUNS_PREFIX_BYTES] {
    let [a, b, c, d] = link.timeline.to_be_bytes();
    [a, b, c, d, FileKind::CommitTimes as u8]
}
