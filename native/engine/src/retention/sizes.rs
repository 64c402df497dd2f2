//! Sizes of forks that nobody can read any more, fork by fork.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use offshoot_layout::{Lsn, RelKey};
use offshoot_store::Table;

use super::collect::{Step, unless_damaged};
use super::removal::{Condition, Removal};
use crate::EngineError;
use crate::keys::{REL_PREFIX_BYTES, parse_size_key, size_key, span_of_sized};
use crate::sizes::{SizeEntry, newest_entry};

/// Goes on at the fork of the key `from`, or at the first.
pub fn walk(step: &mut Step<'_>, from: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
    let mut from = match from {
        [] => step.timeline.to_be_bytes().to_vec(),
        from => from.to_vec(),
    };
    loop {
        let found = step.view.snapshot().seek_ge(Table::Sizes, &from)?;
        let Some((key, _)) = found.filter(|(key, _)| key.starts_with(&step.timeline.to_be_bytes()))
        else {
            return Ok(None);
        };
        if step.is_over() {
            return Ok(Some(key.to_vec()));
        }
        let (rel, _) = parse_size_key(key)
            .ok_or_else(|| EngineError::damaged("size key", format!("{key:02x?}")))?;
        let found = fork_removals(step, &rel);
        if let Some(removals) = unless_damaged(step, found)? {
            step.removals.extend(removals);
        }
        from = size_key(step.timeline, &rel, Lsn::MAX).to_vec();
        from.push(0);
    }
}

/// One entry up to the horizon.
struct Filed<'s> {
    entry: SizeEntry,
    value: &'s [u8],
}

fn fork_removals(step: &mut Step<'_>, rel: &RelKey) -> Result<Vec<Removal>, EngineError> {
    let horizon = step.horizon();
    let first = size_key(step.timeline, rel, Lsn::INVALID);
    let last = size_key(step.timeline, rel, Lsn::MAX);
    let range = (Bound::Included(&first[..]), Bound::Included(&last[..]));
    let mut old = BTreeMap::new();
    // Where the chains of cuts go on of what stays.
    let mut wanted = Vec::new();
    for found in step.view.snapshot().range(Table::Sizes, range.0, range.1)? {
        let (key, value) = found?;
        step.looked_at += 1;
        let (_, lsn) = parse_size_key(key)
            .ok_or_else(|| EngineError::damaged("size key", format!("{key:02x?}")))?;
        let entry = SizeEntry::parse(value)?;
        if lsn > horizon {
            wanted.push(entry.previous_cut);
        } else {
            old.insert(lsn, Filed { entry, value });
        }
    }
    let mut newer = Lsn::MAX;
    for lsn in old.keys().rev() {
        if step.point_between(*lsn, newer).is_some() {
            wanted.push(*lsn);
        }
        newer = *lsn;
    }
    let needed = with_their_cuts(&old, wanted);
    let mut removals = Vec::new();
    for (lsn, Filed { value, .. }) in &old {
        if !needed.contains(lsn) {
            let key = size_key(step.timeline, rel, *lsn);
            removals.push(Removal::always(Table::Sizes, &key, value));
        }
    }
    removals.extend(last_word(step, rel, &old, &needed)?);
    Ok(removals)
}

/// These entries, and those that their chains of cuts lead to.
fn with_their_cuts(old: &BTreeMap<Lsn, Filed<'_>>, mut wanted: Vec<Lsn>) -> BTreeSet<Lsn> {
    let mut needed = BTreeSet::new();
    while let Some(lsn) = wanted.pop() {
        if let Some(Filed { entry, .. }) = old.get(&lsn)
            && needed.insert(lsn)
        {
            wanted.push(entry.previous_cut);
        }
    }
    needed
}

/// That a fork was dropped before everything that can be read need not be said where it would not be there anyway. Its
/// pages have gone before, which is looked at once more when it goes: they would come back with a fork of that name.
fn last_word(
    step: &Step<'_>,
    rel: &RelKey,
    old: &BTreeMap<Lsn, Filed<'_>>,
    needed: &BTreeSet<Lsn>,
) -> Result<Option<Removal>, EngineError> {
    let oldest = needed.first().filter(|lsn| **lsn <= step.earliest());
    let Some((lsn, Filed { entry, value })) = oldest.and_then(|lsn| old.get_key_value(lsn)) else {
        return Ok(None);
    };
    if entry.blocks.is_some() || is_inherited(step, rel)? {
        return Ok(None);
    }
    let key = size_key(step.timeline, rel, *lsn);
    Ok(Some(Removal {
        condition: Condition::Last {
            prefix: REL_PREFIX_BYTES,
            pages: Some(span_of_sized(step.timeline, rel)),
        },
        ..Removal::always(Table::Sizes, &key, value)
    }))
}

/// Whether an ancestor says anything of the fork.
fn is_inherited(step: &Step<'_>, rel: &RelKey) -> Result<bool, EngineError> {
    let ancestors = step.view.chain();
    for link in ancestors.filter(|link| link.timeline != step.timeline) {
        if newest_entry(step.view.snapshot(), link.timeline, rel, link.lsn)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}
