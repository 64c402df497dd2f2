//! Times of commits that nobody can ask for any more. Around each LSN that can be read stay the runs that say which
//! commit was the last before it, and which is the first behind it.

use std::ops::Bound;

use offshoot_layout::Lsn;
use offshoot_redo::rmgr::xact::Fate;
use offshoot_store::Table;

use super::collect::Step;
use super::removal::Removal;
use crate::commit_times::{Chunk, PgTime, chunk_key};
use crate::keys::file_key;
use crate::{EngineError, FileKey};

/// A run up to the horizon.
struct Run<'s> {
    first_end: Lsn,
    /// Ends of its first and last commit; what was rolled back does not count.
    commits: Option<(Lsn, Lsn)>,
    key: &'s [u8],
    value: &'s [u8],
    needed: bool,
}

pub fn removals(step: &mut Step<'_>) -> Result<Vec<Removal>, EngineError> {
    let mut runs = runs_of(step)?;
    for point in step.points {
        mark(&mut runs, *point);
    }
    let gone = runs.iter().filter(|run| !run.needed);
    Ok(gone
        .map(|run| Removal::always(Table::Files, run.key, run.value))
        .collect())
}

fn runs_of<'s>(step: &mut Step<'s>) -> Result<Vec<Run<'s>>, EngineError> {
    let bound = |file: FileKey, lsn| file_key(step.timeline, &file, lsn);
    let first = bound(chunk_key(PgTime::MIN), Lsn::INVALID);
    let last = bound(chunk_key(PgTime::MAX), Lsn::MAX);
    let range = (Bound::Included(&first[..]), Bound::Included(&last[..]));
    let mut runs = Vec::new();
    let horizon = step.horizon();
    for found in step.view.snapshot().range(Table::Files, range.0, range.1)? {
        let (key, value) = found?;
        step.looked_at += 1;
        let chunk = Chunk::parse(key, value)?;
        // They ascend in LSN too.
        if chunk.first_end > horizon {
            break;
        }
        let mut commits: Option<(Lsn, Lsn)> = None;
        for ending in chunk.endings() {
            let ending = ending?;
            if ending.fate == Fate::Committed {
                commits = Some((commits.map_or(ending.end, |first| first.0), ending.end));
            }
        }
        runs.push(Run {
            first_end: chunk.first_end,
            commits,
            key,
            value,
            needed: false,
        });
    }
    Ok(runs)
}

fn mark(runs: &mut [Run<'_>], point: Lsn) {
    let behind = runs.partition_point(|run| run.first_end <= point);
    for run in runs[..behind].iter_mut().rev() {
        run.needed = true;
        if run.commits.is_some_and(|(first, _)| first <= point) {
            break;
        }
    }
    for run in &mut runs[behind.saturating_sub(1)..] {
        run.needed = true;
        if run.commits.is_some_and(|(_, last)| last > point) {
            break;
        }
    }
}
