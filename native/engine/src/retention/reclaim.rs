//! Timelines that are gone, and what they left in the store.

use std::ops::Bound;

use offshoot_store::{Durability, StoreError, Table, WriteTxn};

use super::Portion;
use crate::{EngineError, Tenant};

/// Behind every key: those are longer than a timeline's index, and shorter than this.
const BEHIND_ALL: [u8; 40] = [0xFF; 40];

/// What one portion removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reclaimed {
    pub entries: u64,
    /// Keys and values.
    pub bytes: u64,
    /// Nothing of the timeline is left.
    pub done: bool,
}

impl Tenant {
    /// Indexes of the timelines that have anything in the store, ascending, whether or not they are attached. One look
    /// for each timeline and table.
    ///
    /// # Errors
    /// `Store`, `Damaged`.
    pub fn stored_timelines(&self) -> Result<Vec<u32>, EngineError> {
        let snapshot = self.store().read()?;
        let mut found = Vec::new();
        for table in Table::ALL {
            // Index 0 is the mark of the format.
            let mut next = Some(1_u32);
            while let Some(from) = next {
                let Some((key, _)) = snapshot.seek_ge(table, &from.to_be_bytes())? else {
                    break;
                };
                let index = key.first_chunk().map(|bytes| u32::from_be_bytes(*bytes));
                let index = index.ok_or_else(|| EngineError::damaged("key", "it is cut off"))?;
                found.push(index);
                next = index.checked_add(1);
            }
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// Removes a portion of what a timeline has in the store, as one durable transaction. It must be detached, with no
    /// writer left and no branch that starts from it. Broken off at any point, the next call goes on.
    ///
    /// # Errors
    /// `StillAttached`, `Store`.
    pub fn reclaim(&self, index: u32, portion: Portion) -> Result<Reclaimed, EngineError> {
        if self.timeline(index).is_ok() {
            return Err(EngineError::StillAttached(index));
        }
        let removed = self
            .store()
            .write(Durability::Commit, |txn| remove_some(txn, index, portion));
        Ok(removed?)
    }
}

fn remove_some(
    txn: &mut WriteTxn<'_>,
    index: u32,
    portion: Portion,
) -> Result<Reclaimed, StoreError> {
    let mut removed = Reclaimed::default();
    let start = index.to_be_bytes();
    let end = index.checked_add(1).map(u32::to_be_bytes);
    let end = end.as_ref().map_or(&BEHIND_ALL[..], |end| &end[..]);
    for table in Table::ALL {
        let mut stop = None;
        let of_timeline = (Bound::Included(&start[..]), Bound::Excluded(end));
        for entry in txn.range(table, of_timeline.0, of_timeline.1)? {
            let (key, value) = entry?;
            let full = removed.entries >= portion.entries_max.max(1) as u64
                || removed.bytes >= portion.bytes_max as u64 && removed.entries > 0;
            if full {
                stop = Some(key.to_vec());
                break;
            }
            removed.entries += 1;
            removed.bytes += (key.len() + value.len()) as u64;
        }
        txn.delete_range(table, &start, stop.as_deref().unwrap_or(end))?;
        if stop.is_some() {
            return Ok(removed);
        }
    }
    removed.done = true;
    Ok(removed)
}
