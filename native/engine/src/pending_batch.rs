//! What a writer has collected, until it is in the store.

use std::ops::Range;
use std::sync::Arc;

use offshoot_layout::{BlockKey, Lsn};
use offshoot_store::{Durability, Store, StoreError, Table};

use crate::keys::{extent_key, version_key};
use crate::page_changes::PageChanges;
use crate::page_history::{Batch, Entries, HistoryBuilder, ImagePolicy, PendingExtents};
use crate::{EngineError, Timeline, View};

/// One batch: entries of tables, and changes of pages that become entries when it is committed. Its memory
/// is kept from one use to the next, since fresh memory costs more than filling it.
#[derive(Default)]
pub(crate) struct PendingBatch {
    pending: Vec<Pending>,
    /// Keys and values of `pending`, back to back.
    bytes: Vec<u8>,
    pub(crate) changes: PageChanges,
    extents: PendingExtents,
    /// What the changes become at commit.
    entries: Entries,
}

struct Pending {
    table: Table,
    key_start: usize,
    value_start: usize,
    value_end: usize,
}

/// Where a batch goes, and how.
#[derive(Clone)]
pub(crate) struct Destination {
    pub(crate) store: Arc<Store>,
    pub(crate) timeline: Arc<Timeline>,
    pub(crate) policy: Option<ImagePolicy>,
    pub(crate) durability: Durability,
    /// The page before the batch is the page as of this LSN.
    pub(crate) follows: Lsn,
}

impl PendingBatch {
    /// Memory that it takes so far.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len() + self.pending.len() * size_of::<Pending>() + self.changes.bytes()
    }

    /// How many changes and entries there are.
    pub(crate) fn len(&self) -> usize {
        self.changes.len() + self.pending.len()
    }

    /// No value is empty: a closure that appends nothing puts nothing. Answers where the value is.
    pub(crate) fn put_with(
        &mut self,
        table: Table,
        key: &[u8],
        value: impl FnOnce(&mut Vec<u8>),
    ) -> Option<Range<usize>> {
        let key_start = self.bytes.len();
        self.bytes.extend_from_slice(key);
        let value_start = self.bytes.len();
        value(&mut self.bytes);
        if self.bytes.len() == value_start {
            self.bytes.truncate(key_start);
            return None;
        }
        self.pending.push(Pending {
            table,
            key_start,
            value_start,
            value_end: self.bytes.len(),
        });
        Some(value_start..self.bytes.len())
    }

    /// Puts an extent, which changes of its pages that come later begin with.
    pub(crate) fn put_extent(
        &mut self,
        timeline: u32,
        first: &BlockKey,
        lsn: Lsn,
        value: impl FnOnce(&mut Vec<u8>),
    ) {
        let key = extent_key(timeline, first, lsn);
        if let Some(value) = self.put_with(Table::Extents, &key, value) {
            self.extents.add(first, lsn, value);
        }
    }

    /// Puts the changes in order. That takes as long as a tenth of a commit, which is spared it: what is in order
    /// is only looked through.
    pub(crate) fn sort_changes(&mut self) {
        self.changes.sort();
    }

    /// Makes it visible, as a whole, and forgets it; a batch that fails is kept. `extents` were encoded
    /// elsewhere, as they are at `lsn`.
    pub(crate) fn commit<'i>(
        &mut self,
        to: &Destination,
        lsn: Lsn,
        extents: impl Iterator<Item = (&'i BlockKey, &'i [u8])> + Clone,
    ) -> Result<(), EngineError> {
        self.sort();
        self.build_entries(to)?;
        let (pending, bytes, index) = (&self.pending, &self.bytes, to.timeline.index());
        let entries = &self.entries;
        let mut any_extents = pending.iter().any(|put| put.table == Table::Extents);
        to.store.write::<(), StoreError>(to.durability, |txn| {
            for put in pending {
                let (key, value) = (put.key(bytes), &bytes[put.value_start..put.value_end]);
                txn.put(put.table, key, value)?;
            }
            for entry in &entries.list {
                let key = version_key(index, &entry.key, entry.lsn);
                txn.put(Table::Versions, &key, entries.value(entry))?;
            }
            for (first, value) in extents.clone() {
                any_extents = true;
                txn.put(Table::Extents, &extent_key(index, first, lsn), value)?;
            }
            Ok(())
        })?;
        if any_extents {
            to.timeline.set_owns_extents();
        }
        if any_extents || !pending.is_empty() || !self.changes.is_empty() {
            to.timeline.set_owns_data();
        }
        self.clear();
        Ok(())
    }

    fn build_entries(&mut self, to: &Destination) -> Result<(), EngineError> {
        self.entries.clear();
        if self.changes.is_empty() {
            return Ok(());
        }
        self.changes.sort();
        let view = View::new(to.store.read()?, &to.timeline, to.follows);
        let batch = Batch {
            changes: &self.changes,
            extents: &self.extents,
            bytes: &self.bytes,
            view: &view,
            policy: to.policy.as_ref(),
        };
        let mut builder = HistoryBuilder::new(batch, &mut self.entries);
        for run in self.changes.pages() {
            builder.add(run)?;
        }
        Ok(())
    }

    /// Key order makes neighbours in the store of neighbours in the batch. The last of several
    /// values for one key wins; sorting is stable.
    fn sort(&mut self) {
        let bytes = &self.bytes;
        self.pending
            .sort_by_key(|put| (put.table as u8, put.key(bytes)));
    }

    fn clear(&mut self) {
        self.pending.clear();
        self.bytes.clear();
        self.changes.clear();
        self.extents.clear();
        self.entries.clear();
    }
}

impl Pending {
    fn key<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        &bytes[self.key_start..self.value_start]
    }
}
