//! States of files that nobody can read any more.

use std::ops::Bound;

use offshoot_layout::Lsn;
use offshoot_store::Table;

use super::collect::{Step, unless_damaged};
use super::commit_runs;
use super::removal::{Condition, Removal};
use crate::files::{FILE_PREFIX_BYTES, parse};
use crate::keys::{FileKind, file_key, parse_file_key};
use crate::{EngineError, FileKey};

/// An entry of which it is not known yet what follows.
struct Entry<'s> {
    file: FileKey,
    lsn: Lsn,
    key: &'s [u8],
    value: &'s [u8],
}

/// Goes on at the entry of the key `from`, or at the first.
pub fn walk(step: &mut Step<'_>, from: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
    let runs = FileKey::new(FileKind::CommitTimes, 0, 0);
    let runs = file_key(step.timeline, &runs, Lsn::INVALID);
    let from = match from {
        [] => step.timeline.to_be_bytes().to_vec(),
        from => from.to_vec(),
    };
    if from[..] < runs[..]
        && let Some(rest) = walk_states(step, &from, &runs)?
    {
        return Ok(Some(rest));
    }
    if step.is_over() {
        return Ok(Some(runs.to_vec()));
    }
    let found = commit_runs::removals(step);
    if let Some(removals) = unless_damaged(step, found)? {
        step.removals.extend(removals);
    }
    Ok(None)
}

/// Files of which each entry is the whole state, up to the key `end`.
fn walk_states(
    step: &mut Step<'_>,
    from: &[u8],
    end: &[u8],
) -> Result<Option<Vec<u8>>, EngineError> {
    let range = (Bound::Included(from), Bound::Excluded(end));
    let snapshot = step.view.snapshot();
    let mut before: Option<Entry<'_>> = None;
    // Of one file. Whether something of it stays that was filed before.
    let mut any_stays = !from_begins_a_file(step, from)?;
    for found in snapshot.range(Table::Files, range.0, range.1)? {
        let (key, value) = found?;
        step.looked_at += 1;
        let (file, lsn) = parse_file_key(key)
            .ok_or_else(|| EngineError::damaged("file key", format!("{key:02x?}")))?;
        let entry = Entry {
            file,
            lsn,
            key,
            value,
        };
        if let Some(before) = before.take() {
            let next = Some(&entry).filter(|entry| entry.file == before.file);
            any_stays = decide(step, &before, next.map(|next| next.lsn), any_stays)?;
            any_stays &= next.is_some();
        }
        if step.is_over() {
            return Ok(Some(key.to_vec()));
        }
        before = Some(entry);
    }
    if let Some(before) = before {
        decide(step, &before, None, any_stays)?;
    }
    Ok(None)
}

/// Whether nothing of the file was filed before the key where a step goes on.
fn from_begins_a_file(step: &Step<'_>, from: &[u8]) -> Result<bool, EngineError> {
    let Some(prefix) = from.get(..FILE_PREFIX_BYTES) else {
        return Ok(true);
    };
    let first = step.view.snapshot().seek_ge(Table::Files, prefix)?;
    Ok(first.is_none_or(|(key, _)| key == from))
}

/// Answers whether something of the file stays that is not newer.
fn decide(
    step: &mut Step<'_>,
    entry: &Entry<'_>,
    next: Option<Lsn>,
    any_stays: bool,
) -> Result<bool, EngineError> {
    if entry.lsn > step.horizon() {
        return Ok(true);
    }
    let newer = next.unwrap_or(Lsn::MAX);
    if step.point_between(entry.lsn, newer).is_none() {
        let removal = Removal::always(Table::Files, entry.key, entry.value);
        step.removals.push(removal);
        return Ok(any_stays);
    }
    // That a file is gone need not be said where nobody can see that it was there.
    let is_gone = matches!(parse(entry.value), Ok(None));
    if is_gone && !any_stays && entry.lsn <= step.earliest() && !is_inherited(step, &entry.file)? {
        step.removals.push(Removal {
            condition: Condition::Last {
                prefix: FILE_PREFIX_BYTES,
                pages: None,
            },
            ..Removal::always(Table::Files, entry.key, entry.value)
        });
        return Ok(false);
    }
    Ok(true)
}

/// Whether an ancestor says anything of the file.
fn is_inherited(step: &Step<'_>, file: &FileKey) -> Result<bool, EngineError> {
    let ancestors = step.view.chain();
    for link in ancestors.filter(|link| link.timeline != step.timeline) {
        let key = file_key(link.timeline, file, link.lsn);
        let found = step.view.snapshot().seek_le(Table::Files, &key)?;
        let same = |found: &[u8]| found.get(..FILE_PREFIX_BYTES) == key.get(..FILE_PREFIX_BYTES);
        if found.is_some_and(|(found, _)| same(found)) {
            return Ok(true);
        }
    }
    Ok(false)
}
