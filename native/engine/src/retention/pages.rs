//! Versions of pages that nobody can read any more, extent by extent.

use std::collections::HashMap;
use std::ops::{Bound, Range};
use std::sync::Arc;

use offshoot_layout::{BlockKey, Lsn, RelKey};
use offshoot_store::Table;

use super::collect::{Step, unless_damaged};
use super::removal::Removal;
use crate::extent::{EXTENT_BLOCKS, extent_holds};
use crate::keys::{extent_key, lsn_at_end, parse_version_key, sized_rel, version_key};
use crate::redo_record::RecordChain;
use crate::sizes::{SizeHistory, add_cuts, newest_entry};
use crate::value::{Version, parse_version};
use crate::{EngineError, View};

/// Histories of a fork's size that are remembered; with many points, few of them are asked for again.
const HISTORIES_MAX: usize = 1024;

/// Versions behind the horizon that are passed, before the next block is sought instead.
const PASSED_MAX: usize = 16;

/// The 16 blocks of one extent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Unit {
    rel: RelKey,
    number: u32,
}

impl Unit {
    fn block(&self, slot: u32) -> BlockKey {
        BlockKey {
            rel: self.rel,
            block: self.number * EXTENT_BLOCKS + slot,
        }
    }
}

/// A version of one block.
struct Item<'s> {
    lsn: Lsn,
    kind: Kind<'s>,
    /// Who needs it; 0: not one holder alone. `None`: nobody.
    needed_by: Option<u32>,
}

enum Kind<'s> {
    /// A value of `versions`.
    Single(&'s [u8]),
    /// It is in that one of the unit's extents.
    InExtent(usize),
}

/// Goes on at the unit of the key `from`, or at the first.
pub fn walk(step: &mut Step<'_>, from: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
    let mut voids = Voids::default();
    let mut next = match from {
        [] => first_unit(
            step,
            &step.timeline.to_be_bytes(),
            &step.timeline.to_be_bytes(),
        )?,
        from => {
            let (rel, block, _) = parse_version_key(from)
                .ok_or_else(|| EngineError::BadRequest("a cursor that is no key".to_owned()))?;
            let unit = Unit {
                rel,
                number: block / EXTENT_BLOCKS,
            };
            unit_from(step, unit)?
        }
    };
    while let Some(unit) = next {
        if step.is_over() {
            let key = version_key(step.timeline, &unit.block(0), Lsn::INVALID);
            return Ok(Some(key.to_vec()));
        }
        let found = unit_removals(step, &unit, &mut voids);
        if let Some(found) = unless_damaged(step, found)? {
            step.removals.extend(found.removals);
            for (holder, bytes) in found.kept {
                step.keep(holder, bytes);
            }
        }
        next = match after(unit) {
            Some(unit) => unit_from(step, unit)?,
            None => None,
        };
    }
    Ok(None)
}

/// The unit after one; blocks end at 2^32.
fn after(unit: Unit) -> Option<Unit> {
    let number = unit.number + 1;
    if number <= u32::MAX / EXTENT_BLOCKS {
        return Some(Unit { number, ..unit });
    }
    None
}

/// The first one that anything is stored of, from `unit` on.
fn unit_from(step: &Step<'_>, unit: Unit) -> Result<Option<Unit>, EngineError> {
    let version = version_key(step.timeline, &unit.block(0), Lsn::INVALID);
    let extent = extent_key(step.timeline, &unit.block(0), Lsn::INVALID);
    first_unit(step, &version, &extent)
}

fn first_unit(step: &Step<'_>, version: &[u8], extent: &[u8]) -> Result<Option<Unit>, EngineError> {
    let snapshot = step.view.snapshot();
    let own = |key: &[u8]| key.starts_with(&step.timeline.to_be_bytes());
    let parsed = |key: &[u8]| {
        parse_version_key(key)
            .ok_or_else(|| EngineError::damaged("version key", format!("{key:02x?}")))
    };
    let mut units = Vec::new();
    if let Some((key, _)) = snapshot.seek_ge(Table::Versions, version)?
        && own(key)
    {
        let (rel, block, _) = parsed(key)?;
        let number = block / EXTENT_BLOCKS;
        units.push(Unit { rel, number });
    }
    if let Some((key, _)) = snapshot.seek_ge(Table::Extents, extent)?
        && own(key)
    {
        let (rel, number, _) = parsed(key)?;
        units.push(Unit { rel, number });
    }
    Ok(units.into_iter().min())
}

/// What is to become of a unit's entries.
#[derive(Default)]
struct Found {
    removals: Vec<Removal>,
    /// Holders, and the bytes of an entry that stays for them alone.
    kept: Vec<(u32, usize)>,
}

fn unit_removals(
    step: &mut Step<'_>,
    unit: &Unit,
    voids: &mut Voids,
) -> Result<Found, EngineError> {
    let view = step.view;
    let extents = extents_of(step, unit)?;
    let singles = singles_of(step, unit)?;
    let mut extents_needed_by: Vec<Option<u32>> = vec![None; extents.len()];
    let mut found = Found::default();
    for (slot, singles) in (0..).zip(&singles) {
        let key = unit.block(slot);
        let mut items = items_of(&key, &extents, singles)?;
        mark_needed(step, view, &key, &mut items, voids)?;
        for item in &items {
            match item.kind {
                Kind::InExtent(at) => {
                    let before = extents_needed_by[at];
                    extents_needed_by[at] = both(step, before, item.needed_by);
                }
                Kind::Single(value) => {
                    let key = version_key(step.timeline, &key, item.lsn);
                    found.add(Table::Versions, &key, value, item.needed_by);
                }
            }
        }
    }
    for ((lsn, value), needed_by) in extents.iter().zip(extents_needed_by) {
        let key = extent_key(step.timeline, &unit.block(0), *lsn);
        found.add(Table::Extents, &key, value, needed_by);
    }
    Ok(found)
}

impl Found {
    fn add(&mut self, table: Table, key: &[u8], value: &[u8], needed_by: Option<u32>) {
        match needed_by {
            None => self.removals.push(Removal::always(table, key, value)),
            Some(0) => {}
            Some(holder) => self.kept.push((holder, key.len() + value.len())),
        }
    }
}

/// Who needs what is needed by each of two, if any is.
fn both(step: &Step<'_>, a: Option<u32>, b: Option<u32>) -> Option<u32> {
    match (a, b) {
        (Some(a), Some(b)) => Some(step.holders.common(a, b)),
        _ => a.or(b),
    }
}

type Filed<'s> = (Lsn, &'s [u8]);

/// The unit's extents up to the horizon, oldest first.
fn extents_of<'s>(step: &mut Step<'s>, unit: &Unit) -> Result<Vec<Filed<'s>>, EngineError> {
    let first = extent_key(step.timeline, &unit.block(0), Lsn::INVALID);
    let last = extent_key(step.timeline, &unit.block(0), step.horizon());
    let range = (Bound::Included(&first[..]), Bound::Included(&last[..]));
    let snapshot = step.view.snapshot();
    let mut found = Vec::new();
    for entry in snapshot.range(Table::Extents, range.0, range.1)? {
        let (key, value) = entry?;
        found.push((lsn_at_end(key).unwrap_or_default(), value));
    }
    step.looked_at += 1 + found.len() as u64;
    Ok(found)
}

/// For each block, what `versions` has of it up to the horizon, oldest first.
fn singles_of<'s>(
    step: &mut Step<'s>,
    unit: &Unit,
) -> Result<[Vec<Filed<'s>>; EXTENT_BLOCKS as usize], EngineError> {
    let mut found = [const { Vec::new() }; EXTENT_BLOCKS as usize];
    let last = version_key(step.timeline, &unit.block(EXTENT_BLOCKS - 1), Lsn::MAX);
    let mut from = Some(0);
    while let Some(slot) = from.take() {
        let first = version_key(step.timeline, &unit.block(slot), Lsn::INVALID);
        let range = (Bound::Included(&first[..]), Bound::Included(&last[..]));
        let mut too_new = 0;
        for entry in step
            .view
            .snapshot()
            .range(Table::Versions, range.0, range.1)?
        {
            let (key, value) = entry?;
            let (_, block, lsn) = parse_version_key(key)
                .ok_or_else(|| EngineError::damaged("version key", format!("{key:02x?}")))?;
            step.looked_at += 1;
            let slot = block % EXTENT_BLOCKS;
            if lsn <= step.horizon() {
                found[slot as usize].push((lsn, value));
                continue;
            }
            too_new += 1;
            if too_new > PASSED_MAX {
                from = Some(slot + 1).filter(|next| *next < EXTENT_BLOCKS);
                break;
            }
        }
    }
    Ok(found)
}

/// All versions of a block up to the horizon, oldest first. At one LSN a single one is newer than an extent's.
fn items_of<'s>(
    key: &BlockKey,
    extents: &[Filed<'s>],
    singles: &[Filed<'s>],
) -> Result<Vec<Item<'s>>, EngineError> {
    let item = |lsn, kind| Item {
        lsn,
        kind,
        needed_by: None,
    };
    let mut items = Vec::with_capacity(singles.len() + extents.len());
    for (at, (lsn, value)) in extents.iter().enumerate() {
        if extent_holds(value, key.block)? {
            items.push(item(*lsn, Kind::InExtent(at)));
        }
    }
    items.extend(
        singles
            .iter()
            .map(|(lsn, value)| item(*lsn, Kind::Single(value))),
    );
    items.sort_by_key(|item| item.lsn);
    Ok(items)
}

/// From the newest back: each point comes across the newest version that is not later than itself, and across those
/// before it down to one that needs nothing older, or to where older ones are void.
fn mark_needed(
    step: &Step<'_>,
    view: &View,
    key: &BlockKey,
    items: &mut [Item<'_>],
    voids: &mut Voids,
) -> Result<(), EngineError> {
    // Points before this one have not come across what makes the page by itself, nor across a cut.
    let mut end = step.page_points.len();
    for at in (0..items.len()).rev() {
        let lsn = items[at].lsn;
        let first = step.page_points.partition_point(|point| *point < lsn);
        end = voids.end_of_those_who_see(step, key, lsn, first..end)?;
        if first < end {
            items[at].needed_by = Some(step.holders.of_all(first..end));
            if at > 0 && is_base(view, &items[at])? {
                end = first;
            }
        }
    }
    Ok(())
}

/// Whether it makes the page without anything older. Of a group only the first record can: no group goes over one that
/// does.
fn is_base(view: &View, item: &Item<'_>) -> Result<bool, EngineError> {
    let Kind::Single(value) = item.kind else {
        return Ok(true);
    };
    let group = match parse_version(value, item.lsn)? {
        Version::Image(_) => return Ok(true),
        Version::Records(group) => group,
    };
    let mut room = Vec::new();
    match group.records(&mut room)?.next() {
        Some(first) => RecordChain::default().push_older(view, &first?),
        None => Ok(false),
    }
}

/// What cuts made void of one fork, on the timeline itself: what they made void of its ancestors is not at issue.
#[derive(Default)]
struct Voids {
    rel: Option<RelKey>,
    /// None before the horizon.
    no_cuts: bool,
    at: HashMap<Lsn, Arc<SizeHistory>>,
}

impl Voids {
    /// Of points that come across a version, those see it that no cut before them has made it void for: the first ones.
    fn end_of_those_who_see(
        &mut self,
        step: &Step<'_>,
        key: &BlockKey,
        lsn: Lsn,
        points: Range<usize>,
    ) -> Result<usize, EngineError> {
        let Range { start, mut end } = points;
        let mut sees = start;
        // Mostly the last one does.
        let mut at = end.saturating_sub(1);
        while sees < end {
            if self.void_before(step, key, step.page_points[at])? <= lsn {
                sees = at + 1;
            } else {
                end = at;
            }
            at = sees + (end - sees) / 2;
        }
        Ok(end)
    }

    fn void_before(
        &mut self,
        step: &Step<'_>,
        key: &BlockKey,
        point: Lsn,
    ) -> Result<Lsn, EngineError> {
        let (rel, block) = sized_rel(key);
        if self.rel != Some(rel) {
            self.at.clear();
            self.rel = Some(rel);
            let history = own_history(step, &rel, step.horizon())?;
            self.no_cuts = history.cuts.is_empty();
            self.at.insert(step.horizon(), Arc::new(history));
        }
        if self.no_cuts {
            return Ok(Lsn::INVALID);
        }
        if let Some(known) = self.at.get(&point) {
            return Ok(known.void_before(block));
        }
        let history = Arc::new(own_history(step, &rel, point)?);
        if self.at.len() >= HISTORIES_MAX {
            self.at.clear();
        }
        self.at.insert(point, Arc::clone(&history));
        Ok(history.void_before(block))
    }
}

fn own_history(step: &Step<'_>, rel: &RelKey, lsn: Lsn) -> Result<SizeHistory, EngineError> {
    let mut history = SizeHistory::default();
    let snapshot = step.view.snapshot();
    if let Some(newest) = newest_entry(snapshot, step.timeline, rel, lsn)? {
        let of = (step.timeline, step.earliest());
        add_cuts(snapshot, of, rel, newest, &mut history)?;
    }
    Ok(history)
}
