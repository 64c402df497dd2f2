//! Collects what a stretch of WAL (or a base backup) means, and commits it as one batch.

use crate::extent::encode_extent;
use crate::keys::{
    FileKey, extent_key, file_key, size_key, slru_page_key, slru_segment_rel, version_key,
};
use crate::page_changes::{PageChanges, RecordAt};
use crate::page_history::{Batch, Entries, HistoryBuilder, ImagePolicy, PendingExtents};
use crate::record_group::IMPLICIT_BLOCK;
use crate::rel_map::RelMap;
use crate::sizes::{Cut, SizeEntry, SizeHistory, add_cuts, newest_entry};
use crate::{EngineError, Timeline, View};
use offshoot_layout::slru::SLRU_PAGES_PER_SEGMENT;
use offshoot_layout::{BlockKey, Lsn, Page, RelKey, SlruKind};
use offshoot_redo::{PageBase, RedoContext};
use offshoot_store::{Durability, Store, StoreError, Table};
use std::ops::Range;
use std::sync::Arc;

/// Relations whose size a writer remembers from one batch to the next.
const KNOWN_RELATIONS_MAX: usize = 100_000;

/// Writes to one timeline, in LSN order. Only one writer may exist per timeline.
///
/// Nothing is visible before `commit`; `size` alone sees what is pending. The caller commits when
/// `pending_bytes` passes its limit, then calls `Timeline::advance_last_record_lsn`.
pub struct PageWriter {
    store: Arc<Store>,
    timeline: Arc<Timeline>,
    pending: Vec<Pending>,
    /// Keys and values of `pending`, back to back.
    bytes: Vec<u8>,
    changes: PageChanges,
    extents: PendingExtents,
    /// What the changes become at commit; kept, since fresh memory costs more than filling it.
    entries: Entries,
    policy: Option<ImagePolicy>,
    /// By relation, the number in `sizes`.
    known: RelMap<usize>,
    sizes: Vec<Known>,
    /// What was asked for last: the next record is often about the same.
    last: Option<(RelKey, usize)>,
}

struct Pending {
    table: Table,
    key_start: usize,
    value_start: usize,
    value_end: usize,
}

/// The end of one fork's size history.
struct Known {
    /// Where its newest entry on this timeline is; `INVALID` when it has none.
    lsn: Lsn,
    blocks: Option<u32>,
    /// On this timeline; oldest first, each cuts less deep than all before it.
    cuts: Vec<Cut>,
}

impl PageWriter {
    pub(crate) fn new(store: Arc<Store>, timeline: Arc<Timeline>) -> PageWriter {
        PageWriter {
            store,
            timeline,
            pending: Vec::new(),
            bytes: Vec::new(),
            changes: PageChanges::default(),
            extents: PendingExtents::default(),
            entries: Entries::default(),
            policy: None,
            known: RelMap::default(),
            sizes: Vec::new(),
            last: None,
        }
    }

    #[must_use]
    pub fn timeline(&self) -> &Arc<Timeline> {
        &self.timeline
    }

    /// Memory that the batch takes so far.
    #[must_use]
    pub fn pending_bytes(&self) -> usize {
        self.bytes.len() + self.pending.len() * size_of::<Pending>() + self.changes.bytes()
    }

    /// From now on no page has more than `chain_records_max` records since its last image, as far as they
    /// can be applied; all records that are pending must mean the same by `context`.
    pub fn write_images(&mut self, context: RedoContext, chain_records_max: u16) {
        self.policy = Some(ImagePolicy {
            context,
            chain_records_max,
        });
    }

    /// A whole page as it is at `lsn`. Its size is the caller's business: see `extend`.
    pub fn image(&mut self, key: &BlockKey, lsn: Lsn, page: &Page) {
        self.changes.image(key, lsn, page);
    }

    /// Whole pages as they are at `lsn`, of the extent that `first` begins; `None`: it is not among them.
    /// At most one for an extent and LSN. A version of one of the pages at the same LSN is newer.
    pub fn extent<'p>(
        &mut self,
        first: &BlockKey,
        lsn: Lsn,
        pages: impl ExactSizeIterator<Item = Option<&'p Page>>,
    ) {
        let key = extent_key(self.timeline.index(), first, lsn);
        let value = self.put_with(Table::Extents, &key, |out| encode_extent(pages, out));
        if let Some(value) = value {
            self.extents.add(first, lsn, value);
        }
    }

    /// A WAL record that changes the page.
    pub fn record(&mut self, key: &BlockKey, at: RecordAt, bytes: &[u8]) {
        self.changes.record(key, at, bytes);
    }

    /// A whole page of an SLRU; its segment reaches at least so far.
    ///
    /// # Errors
    /// As `extend`.
    pub fn slru_image(
        &mut self,
        kind: SlruKind,
        page_number: u32,
        lsn: Lsn,
        page: &Page,
    ) -> Result<(), EngineError> {
        self.image(&slru_page_key(kind, page_number), lsn, page);
        self.extend_slru(kind, page_number, lsn)
    }

    /// A WAL record that changes a page of an SLRU; its segment reaches at least so far.
    ///
    /// # Errors
    /// As `extend`.
    pub fn slru_record(
        &mut self,
        kind: SlruKind,
        page_number: u32,
        end: Lsn,
        start: Lsn,
        bytes: &[u8],
    ) -> Result<(), EngineError> {
        let at = RecordAt {
            start,
            end,
            block_id: IMPLICIT_BLOCK,
            base: PageBase::Previous,
        };
        self.record(&slru_page_key(kind, page_number), at, bytes);
        self.extend_slru(kind, page_number, end)
    }

    /// The segment is gone from `lsn` on.
    ///
    /// # Errors
    /// As `extend`.
    pub fn drop_slru_segment(
        &mut self,
        kind: SlruKind,
        segno: u32,
        lsn: Lsn,
    ) -> Result<(), EngineError> {
        self.drop_relation(&slru_segment_rel(kind, segno), lsn)
    }

    /// A file, or its end when `content` is `None`.
    pub fn file(&mut self, file: &FileKey, lsn: Lsn, content: Option<&[u8]>) {
        let key = file_key(self.timeline.index(), file, lsn);
        let value = crate::files::encode(content);
        self.put_with(Table::Files, &key, |out| out.extend_from_slice(&value));
    }

    /// Blocks of the fork after everything written so far; `None` when it does not exist.
    ///
    /// # Errors
    /// `Store`, `Damaged`.
    pub fn size(&mut self, rel: &RelKey) -> Result<Option<u32>, EngineError> {
        Ok(self.known(rel)?.blocks)
    }

    /// The fork exists and has at least `blocks` blocks from `lsn` on.
    ///
    /// # Errors
    /// As `size`.
    pub fn extend(&mut self, rel: &RelKey, lsn: Lsn, blocks: u32) -> Result<(), EngineError> {
        let known = self.known(rel)?;
        if known.blocks.is_some_and(|already| already >= blocks) {
            return Ok(());
        }
        known.blocks = Some(blocks);
        self.put_size(rel, lsn);
        Ok(())
    }

    /// The fork, if it exists, has at most `blocks` blocks at `lsn`; what it had behind them is void.
    ///
    /// # Errors
    /// As `size`.
    pub fn truncate(&mut self, rel: &RelKey, lsn: Lsn, blocks: u32) -> Result<(), EngineError> {
        let known = self.known(rel)?;
        if known.blocks.is_some_and(|already| already > blocks) {
            let cut = Cut { lsn, to: blocks };
            known.blocks = Some(blocks);
            known.cut(cut);
            self.changes.cut(rel, cut);
            self.put_size(rel, lsn);
        }
        Ok(())
    }

    /// The fork does not exist from `lsn` on.
    ///
    /// # Errors
    /// As `size`.
    pub fn drop_relation(&mut self, rel: &RelKey, lsn: Lsn) -> Result<(), EngineError> {
        let known = self.known(rel)?;
        if known.blocks.take().is_some() {
            let cut = Cut { lsn, to: 0 };
            known.cut(cut);
            self.changes.cut(rel, cut);
            self.put_size(rel, lsn);
        }
        Ok(())
    }

    /// Makes the batch visible, as a whole. When it fails, the batch is kept and can be tried again.
    ///
    /// # Errors
    /// `Store`: `DiskFull` and `GrowTimeout` are worth another try.
    pub fn commit(&mut self, durability: Durability) -> Result<(), EngineError> {
        self.commit_with_extents(durability, Lsn::INVALID, std::iter::empty())
    }

    /// The same, with extents that `extent::encode_extent` encoded elsewhere, as they are at `lsn`; each
    /// with its first block. They are not copied into the batch; the more of them are in key order, the
    /// better.
    ///
    /// # Errors
    /// As `commit`; the extents are not kept.
    pub fn commit_with_extents<'i>(
        &mut self,
        durability: Durability,
        lsn: Lsn,
        extents: impl Iterator<Item = (&'i BlockKey, &'i [u8])> + Clone,
    ) -> Result<(), EngineError> {
        self.sort();
        self.build_entries()?;
        let (pending, bytes, index) = (&self.pending, &self.bytes, self.timeline.index());
        let entries = &self.entries;
        let mut any_extents = pending.iter().any(|put| put.table == Table::Extents);
        self.store.write::<(), StoreError>(durability, |txn| {
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
            self.timeline.set_owns_extents();
        }
        if any_extents || !pending.is_empty() || !self.changes.is_empty() {
            self.timeline.set_owns_data();
        }
        self.pending.clear();
        self.bytes.clear();
        self.changes.clear();
        self.extents.clear();
        self.entries.clear();
        if self.known.len() > KNOWN_RELATIONS_MAX {
            self.known.clear();
            self.sizes.clear();
            self.last = None;
        }
        Ok(())
    }

    fn build_entries(&mut self) -> Result<(), EngineError> {
        self.entries.clear();
        if self.changes.is_empty() {
            return Ok(());
        }
        self.changes.sort();
        let view = View::new(self.store.read()?, &self.timeline, Lsn::MAX);
        let batch = Batch {
            changes: &self.changes,
            extents: &self.extents,
            bytes: &self.bytes,
            view: &view,
            policy: self.policy.as_ref(),
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

    /// No value is empty: a closure that appends nothing puts nothing. Answers where the value is.
    fn put_with(
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

    fn extend_slru(&mut self, kind: SlruKind, page: u32, lsn: Lsn) -> Result<(), EngineError> {
        let segment = slru_segment_rel(kind, page / SLRU_PAGES_PER_SEGMENT);
        self.extend(&segment, lsn, page % SLRU_PAGES_PER_SEGMENT + 1)
    }

    fn put_size(&mut self, rel: &RelKey, lsn: Lsn) {
        let place = self.known.get(rel);
        let Some(known) = place.and_then(|place| self.sizes.get_mut(*place)) else {
            return;
        };
        known.lsn = lsn;
        let entry = known.entry();
        let key = size_key(self.timeline.index(), rel, lsn);
        self.put_with(Table::Sizes, &key, |out| {
            out.extend_from_slice(&entry.encode());
        });
    }

    fn known(&mut self, rel: &RelKey) -> Result<&mut Known, EngineError> {
        let place = match self.last {
            Some((last, place)) if last == *rel => place,
            _ => self.place_of(rel)?,
        };
        self.last = Some((*rel, place));
        Ok(&mut self.sizes[place])
    }

    fn place_of(&mut self, rel: &RelKey) -> Result<usize, EngineError> {
        if let Some(place) = self.known.get(rel) {
            return Ok(*place);
        }
        let found = self.look_up(rel)?;
        let place = self.sizes.len();
        self.sizes.push(found);
        self.known.insert(*rel, place);
        Ok(place)
    }

    fn look_up(&self, rel: &RelKey) -> Result<Known, EngineError> {
        let snapshot = self.store.read()?;
        let index = self.timeline.index();
        let mut own = SizeHistory::default();
        let mut lsn = Lsn::INVALID;
        if let Some(newest) = newest_entry(&snapshot, index, rel, Lsn::MAX)? {
            lsn = newest.0;
            own.blocks = newest.1.blocks;
            add_cuts(&snapshot, index, rel, newest, &mut own)?;
        } else {
            let view = View::new(snapshot, &self.timeline, Lsn::MAX);
            own.blocks = view.size_history(rel)?.blocks;
        }
        own.cuts.reverse();
        Ok(Known {
            lsn,
            blocks: own.blocks,
            cuts: own.cuts,
        })
    }
}

impl Known {
    fn cut(&mut self, mut cut: Cut) {
        while let Some(older) = self
            .cuts
            .pop_if(|older| older.to >= cut.to || older.lsn == cut.lsn)
        {
            if older.lsn == cut.lsn {
                cut.to = cut.to.min(older.to);
            }
        }
        self.cuts.push(cut);
    }

    fn entry(&self) -> SizeEntry {
        let (own, older) = match self.cuts.split_last() {
            Some((own, older)) if own.lsn == self.lsn => (Some(own), older),
            _ => (None, &self.cuts[..]),
        };
        SizeEntry {
            blocks: self.blocks,
            cut_to: own.map(|cut| cut.to),
            previous_cut: older.last().map_or(Lsn::INVALID, |cut| cut.lsn),
        }
    }
}

impl Pending {
    fn key<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        &bytes[self.key_start..self.value_start]
    }
}
