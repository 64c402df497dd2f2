//! A walk over all that a timeline has, in steps, which removes what nobody can read any more.
//!
//! What can be read is the timeline's window: every LSN from one on, and single ones before it. Of what is after the
//! window's begin everything stays; of what is before it what a read at the begin or at a single LSN comes across.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use offshoot_layout::Lsn;

use super::holders::PointHolders;
use super::removal::{Removal, remove};
use super::{Holders, Portion, Window, files, pages, sizes};
use crate::{EngineError, Tenant, Timeline, View};

/// How much one step looks at. It takes a snapshot for so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    pub entries_max: usize,
    pub time_max: Duration,
    /// What its transactions remove.
    pub portion: Portion,
}

impl Default for Look {
    fn default() -> Look {
        Look {
            entries_max: 20_000,
            time_max: Duration::from_millis(20),
            portion: Portion::default(),
        }
    }
}

/// What one step did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Collected {
    /// Where the next step goes on; `None` when all was looked at.
    pub next: Option<Vec<u8>>,
    pub looked_at: u64,
    pub removed: u64,
    /// Keys and values of what was removed.
    pub removed_bytes: u64,
    /// Pages, relations and files that make no sense, and of which all was left.
    pub damaged: u64,
    /// What stays for single LSNs alone, by whose they are; each holder at most once.
    pub kept: Vec<Kept>,
}

/// Versions of pages that could go if a holder, and those that come of it, let go of their LSNs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kept {
    pub holder: u32,
    /// Entries.
    pub versions: u64,
    /// Their keys and values.
    pub bytes: u64,
}

/// The parts of a walk, and what a cursor begins with.
const PAGES: u8 = 0;
const SIZES: u8 = 1;
const FILES: u8 = 2;

/// What the parts of a step share.
pub struct Step<'s> {
    pub timeline: u32,
    /// At the horizon, on the step's snapshot.
    pub view: &'s View,
    /// Ascending; the last is the horizon. Whatever is later stays whole.
    pub points: &'s [Lsn],
    pub holders: PointHolders<'s>,
    pub kept: HashMap<u32, Kept>,
    /// The same for pages: nobody reads them at the end of a timeline of which only single LSNs can be read.
    pub page_points: &'s [Lsn],
    pub removals: Vec<Removal>,
    pub looked_at: u64,
    pub damaged: u64,
    look: Look,
    deadline: Instant,
}

impl Step<'_> {
    /// The window's begin; of a closed one, the timeline's end, where it says what it has come to.
    pub fn horizon(&self) -> Lsn {
        self.view.lsn()
    }

    /// The earliest LSN that can be read.
    pub fn earliest(&self) -> Lsn {
        self.points.first().copied().unwrap_or_default()
    }

    /// The first point from `lsn` on, if it is before `newer`: who reads there comes across what is filed at `lsn` and
    /// not across what is filed at `newer`.
    pub fn point_between(&self, lsn: Lsn, newer: Lsn) -> Option<Lsn> {
        first_between(self.points, lsn, newer)
    }

    /// Counts an entry that stays for that holder.
    pub fn keep(&mut self, holder: u32, bytes: usize) {
        let kept = self.kept.entry(holder).or_default();
        kept.holder = holder;
        kept.versions += 1;
        kept.bytes += bytes as u64;
    }

    /// Whether it is time to remove what was found and to let go of the snapshot.
    pub fn is_over(&self) -> bool {
        self.looked_at >= self.look.entries_max as u64
            || self.removals.len() >= self.look.portion.entries_max
            || Instant::now() >= self.deadline
    }
}

fn first_between(points: &[Lsn], lsn: Lsn, newer: Lsn) -> Option<Lsn> {
    let at = points.partition_point(|point| *point < lsn);
    points.get(at).copied().filter(|point| *point < newer)
}

impl Tenant {
    /// Narrows what can be read of a timeline: what `window` does not cover is refused from now on, and removed by and by.
    /// Whoever narrows it has written that down durably, and knows every LSN that somebody still needs.
    ///
    /// # Errors
    /// `UnknownTimeline`; `BadRequest` when it would become wider, or begin behind the last record.
    pub fn narrow_window(&self, index: u32, window: Window) -> Result<(), EngineError> {
        let timeline = self.timeline(index)?;
        let last = timeline.last_record_lsn();
        if window.readable_from() > last && !window.is_closed() {
            return Err(EngineError::BadRequest(format!(
                "a window cannot begin at {}: the last record ends at {last}",
                window.readable_from()
            )));
        }
        timeline.narrow_window(window)
    }

    /// One step of a walk over a timeline; an empty `cursor` begins one. What it removes is what nobody can read by now,
    /// each entry for itself: broken off at any point, every page is what it was. `holders` are whose the window's single
    /// LSNs are: what stays for them is counted on the way.
    ///
    /// # Errors
    /// `UnknownTimeline`, `Store`, `BadRequest` for a cursor that is none.
    pub fn collect(
        &self,
        index: u32,
        cursor: &[u8],
        look: Look,
        holders: &Holders,
    ) -> Result<Collected, EngineError> {
        let timeline = self.timeline(index)?;
        let window = timeline.window();
        let (found, mut collected) = self.find(&timeline, (&window, holders), cursor, look)?;
        let (removed, bytes) = remove(self.store(), &found, look.portion)?;
        collected.removed = removed;
        collected.removed_bytes = bytes;
        Ok(collected)
    }

    /// What is to go, by a snapshot that is let go of before it goes: the writer adds only what is behind the window's
    /// begin, and what is before that changes by nobody else.
    fn find(
        &self,
        timeline: &Arc<Timeline>,
        (window, holders): (&Window, &Holders),
        cursor: &[u8],
        look: Look,
    ) -> Result<(Vec<Removal>, Collected), EngineError> {
        let horizon = match window.is_closed() {
            true => timeline.last_record_lsn(),
            false => window.readable_from(),
        };
        let points: Vec<Lsn> = window.kept().iter().copied().chain([horizon]).collect();
        let view = View::new(self.store().read()?, timeline, horizon);
        let mut step = Step {
            timeline: timeline.index(),
            view: &view,
            points: &points,
            page_points: &points[..points.len() - usize::from(window.is_closed())],
            holders: PointHolders::new(holders, &points),
            kept: HashMap::new(),
            removals: Vec::new(),
            looked_at: 0,
            damaged: 0,
            look,
            deadline: Instant::now() + look.time_max,
        };
        let (mut part, mut from) = match cursor.split_first() {
            Some((part, from)) => (*part, from.to_vec()),
            None => (PAGES, Vec::new()),
        };
        let next = loop {
            let rest = match part {
                PAGES => pages::walk(&mut step, &from)?,
                SIZES => sizes::walk(&mut step, &from)?,
                FILES => files::walk(&mut step, &from)?,
                _ => {
                    return Err(EngineError::BadRequest("an unknown cursor".to_owned()));
                }
            };
            match rest {
                Some(rest) => break Some([&[part], &rest[..]].concat()),
                None if part == FILES => break None,
                None if step.is_over() || !step.removals.is_empty() => break Some(vec![part + 1]),
                None => {
                    part += 1;
                    from.clear();
                }
            }
        };
        let collected = Collected {
            next,
            looked_at: step.looked_at,
            damaged: step.damaged,
            kept: step.kept.into_values().collect(),
            ..Collected::default()
        };
        Ok((step.removals, collected))
    }
}

/// Leaves all of what makes no sense, and hands on what says that the store cannot be read.
pub fn unless_damaged<T>(
    step: &mut Step<'_>,
    found: Result<T, EngineError>,
) -> Result<Option<T>, EngineError> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(EngineError::Damaged { .. } | EngineError::Wal(_) | EngineError::Redo(_)) => {
            step.damaged += 1;
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
