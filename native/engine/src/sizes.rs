//! How long a relation's fork was, and which of its versions a truncation or drop made void.
//!
//! ```text
//! value  0 | blocks u32 | previous cut lsn u64                     grown, or found so
//!        1 | blocks u32 | previous cut lsn u64 | cut to u32        cut at this LSN, then perhaps grown again
//!        2                                                         dropped
//! ```
//! Every entry points at the newest entry before it, on the same timeline, that cut deeper than all
//! entries since: the chain holds what a reader needs and skips the rest, however often a table grows.

use crate::EngineError;
use crate::keys::size_key;
use offshoot_layout::{Lsn, RelKey};
use offshoot_store::{Snapshot, Table};

const GROWN: u8 = 0;
const CUT: u8 = 1;
const DROPPED: u8 = 2;

/// A value of `sizes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SizeEntry {
    /// `None`: the fork does not exist from here on.
    pub(crate) blocks: Option<u32>,
    /// Versions of this block and later ones that are older than the entry are void.
    pub(crate) cut_to: Option<u32>,
    /// Where the chain of cuts goes on; `Lsn::INVALID` at its end.
    pub(crate) previous_cut: Lsn,
}

/// Blocks from `to` on lost all versions older than `lsn`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) lsn: Lsn,
    pub(crate) to: u32,
}

/// One fork as seen at an LSN.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SizeHistory {
    /// `None`: there is no such fork.
    pub blocks: Option<u32>,
    /// Newest first; each cuts deeper than all before it in this list.
    pub(crate) cuts: Vec<Cut>,
}

impl SizeHistory {
    /// Versions of `block` older than this are void.
    #[must_use]
    pub fn void_before(&self, block: u32) -> Lsn {
        let newest = self.cuts.iter().find(|cut| cut.to <= block);
        newest.map_or(Lsn::INVALID, |cut| cut.lsn)
    }

    pub(crate) fn push_older(&mut self, cut: Cut) {
        if self.cuts.last().is_none_or(|newer| cut.to < newer.to) {
            self.cuts.push(cut);
        }
    }

    /// No older entry can say anything new.
    pub(crate) fn is_complete(&self) -> bool {
        self.cuts.last().is_some_and(|cut| cut.to == 0)
    }
}

impl SizeEntry {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let Some(blocks) = self.blocks else {
            return vec![DROPPED];
        };
        let tag = if self.cut_to.is_some() { CUT } else { GROWN };
        let mut value = vec![tag];
        value.extend_from_slice(&blocks.to_be_bytes());
        value.extend_from_slice(&self.previous_cut.0.to_be_bytes());
        if let Some(cut_to) = self.cut_to {
            value.extend_from_slice(&cut_to.to_be_bytes());
        }
        value
    }

    pub(crate) fn parse(value: &[u8]) -> Result<SizeEntry, EngineError> {
        let damaged = || EngineError::damaged("relation size", format!("{value:02x?}"));
        let (&tag, rest) = value.split_first().ok_or_else(damaged)?;
        if tag == DROPPED && rest.is_empty() {
            return Ok(SizeEntry {
                blocks: None,
                cut_to: Some(0),
                previous_cut: Lsn::INVALID,
            });
        }
        let (blocks, rest) = rest.split_first_chunk().ok_or_else(damaged)?;
        let (previous_cut, rest) = rest.split_first_chunk().ok_or_else(damaged)?;
        let cut_to = match (tag, rest) {
            (GROWN, []) => None,
            (CUT, rest) => Some(u32::from_be_bytes(rest.try_into().map_err(|_| damaged())?)),
            _ => return Err(damaged()),
        };
        Ok(SizeEntry {
            blocks: Some(u32::from_be_bytes(*blocks)),
            cut_to,
            previous_cut: Lsn(u64::from_be_bytes(*previous_cut)),
        })
    }
}

/// The newest entry of `rel` on one timeline at or before `lsn`, and where it is.
pub(crate) fn newest_entry(
    snapshot: &Snapshot,
    timeline: u32,
    rel: &RelKey,
    lsn: Lsn,
) -> Result<Option<(Lsn, SizeEntry)>, EngineError> {
    let key = size_key(timeline, rel, lsn);
    let Some((found, value)) = snapshot.seek_le(Table::Sizes, &key)? else {
        return Ok(None);
    };
    let same = crate::keys::REL_PREFIX_BYTES;
    if found.get(..same) != Some(&key[..same]) {
        return Ok(None);
    }
    let at = crate::keys::lsn_at_end(found).unwrap_or_default();
    Ok(Some((at, SizeEntry::parse(value)?)))
}

/// Adds to `history` the cuts of one timeline, from an entry of it back. A drop at or before `earliest`, the first
/// LSN of it that can be read, may have been removed from the store, with all that was before it.
pub(crate) fn add_cuts(
    snapshot: &Snapshot,
    (timeline, earliest): (u32, Lsn),
    rel: &RelKey,
    (mut lsn, mut entry): (Lsn, SizeEntry),
    history: &mut SizeHistory,
) -> Result<(), EngineError> {
    loop {
        if let Some(to) = entry.cut_to {
            history.push_older(Cut { lsn, to });
        }
        let previous = entry.previous_cut;
        if !previous.is_valid() {
            return Ok(());
        }
        let key = size_key(timeline, rel, previous);
        let value = snapshot.get(Table::Sizes, &key)?;
        if value.is_none() && previous <= earliest {
            return Ok(());
        }
        // A chain that does not lead back would never end.
        let Some(value) = value.filter(|_| previous < lsn) else {
            let what = format!("relation size of {rel} at {lsn}");
            return Err(EngineError::damaged(
                what,
                format!("no entry at {previous}"),
            ));
        };
        (lsn, entry) = (previous, SizeEntry::parse(value)?);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_back_as_they_were() {
        for (blocks, cut_to, previous_cut, bytes) in [
            (Some(7), None, Lsn(0), 13),
            (Some(u32::MAX), Some(3), Lsn(0x1_0000_0002), 17),
            (None, Some(0), Lsn(0), 1),
        ] {
            let entry = SizeEntry {
                blocks,
                cut_to,
                previous_cut,
            };
            let value = entry.encode();
            assert_eq!(value.len(), bytes);
            assert_eq!(SizeEntry::parse(&value).unwrap(), entry);
        }
    }

    #[test]
    fn damage_is_an_error() {
        for value in [
            &[][..],
            &[0],
            &[0; 12],
            &[0; 14],
            &[1; 13],
            &[2, 0],
            &[3; 13],
        ] {
            assert!(SizeEntry::parse(value).is_err(), "{value:?}");
        }
    }

    #[test]
    fn only_cuts_below_a_block_void_it() {
        let mut history = SizeHistory::default();
        for (lsn, to) in [
            (900, 50),
            (800, 60),
            (700, 20),
            (600, 20),
            (500, 0),
            (400, 0),
        ] {
            let lsn = Lsn(lsn);
            history.push_older(Cut { lsn, to });
        }
        for (block, lsn) in [
            (70, 900),
            (50, 900),
            (49, 700),
            (20, 700),
            (19, 500),
            (0, 500),
        ] {
            assert_eq!(history.void_before(block), Lsn(lsn), "{block}");
        }
        assert!(history.is_complete());
        assert_eq!(SizeHistory::default().void_before(3), Lsn(0));
    }
}
