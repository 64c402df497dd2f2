//! Collects what a stretch of WAL (or a base backup) means, and commits it as one batch.

use crate::commit_behind::CommitBehind;
use crate::extent::encode_extent;
use crate::keys::{FileKey, file_key, size_key, slru_page_key, slru_segment_rel};
use crate::page_changes::RecordAt;
use crate::page_history::ImagePolicy;
use crate::pending_batch::{Destination, PendingBatch};
use crate::record_group::IMPLICIT_BLOCK;
use crate::rel_map::RelMap;
use crate::sizes::{Cut, SizeEntry, SizeHistory, add_cuts, newest_entry};
use crate::{EngineError, Timeline, View};
use offshoot_layout::slru::SLRU_PAGES_PER_SEGMENT;
use offshoot_layout::{BlockKey, Lsn, Page, RelKey, SlruKind};
use offshoot_redo::{PageBase, RedoContext};
use offshoot_store::{Durability, Store, Table};
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
    batch: PendingBatch,
    behind: CommitBehind,
    policy: Option<ImagePolicy>,
    /// By relation, the number in `sizes`. It has every relation that a batch under way is about.
    known: RelMap<usize>,
    sizes: Vec<Known>,
    /// What was asked for last: the next record is often about the same.
    last: Option<(RelKey, usize)>,
    /// Up to here the store is what this batch follows on. What may be behind is of an earlier attempt that
    /// came further and is taken in again: the future, of which this batch must know nothing.
    follows: Lsn,
    /// The newest LSN that something was filed at.
    newest: Lsn,
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
        let follows = timeline.last_record_lsn();
        PageWriter {
            store,
            timeline,
            batch: PendingBatch::default(),
            behind: CommitBehind::default(),
            policy: None,
            known: RelMap::default(),
            sizes: Vec::new(),
            last: None,
            follows,
            newest: follows,
        }
    }

    #[must_use]
    pub fn timeline(&self) -> &Arc<Timeline> {
        &self.timeline
    }

    /// Memory that the batch takes so far.
    #[must_use]
    pub fn pending_bytes(&self) -> usize {
        self.batch.bytes()
    }

    /// Changes and entries in the batch so far.
    #[must_use]
    pub fn pending_len(&self) -> usize {
        self.batch.len()
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
        self.reach(lsn);
        self.batch.changes.image(key, lsn, page);
    }

    /// Whole pages as they are at `lsn`, of the extent that `first` begins; `None`: it is not among them.
    /// At most one for an extent and LSN. A version of one of the pages at the same LSN is newer.
    pub fn extent<'p>(
        &mut self,
        first: &BlockKey,
        lsn: Lsn,
        pages: impl ExactSizeIterator<Item = Option<&'p Page>>,
    ) {
        self.reach(lsn);
        let index = self.timeline.index();
        self.batch
            .put_extent(index, first, lsn, |out| encode_extent(pages, out));
    }

    /// A WAL record that changes the page.
    pub fn record(&mut self, key: &BlockKey, at: RecordAt, bytes: &[u8]) {
        self.reach(at.end);
        self.batch.changes.record(key, at, bytes);
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
        // The next batch looks at files too, and before what it follows on they may have been removed.
        self.reach(lsn);
        let key = file_key(self.timeline.index(), file, lsn);
        let value = crate::files::encode(content);
        self.batch
            .put_with(Table::Files, &key, |out| out.extend_from_slice(&value));
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
            self.batch.changes.cut(rel, cut);
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
            self.batch.changes.cut(rel, cut);
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
        self.behind.settle()?;
        let to = self.destination(durability);
        self.batch.commit(&to, lsn, extents)?;
        self.follows = self.newest.max(lsn);
        self.forget_relations_if_many();
        Ok(())
    }

    /// Whether `commit_behind` would have to wait for nothing.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.behind.is_idle()
    }

    /// To be called before `commit_behind`, while the batch before is still being committed: then this one has
    /// less to do.
    pub fn prepare(&mut self) {
        self.batch.sort_changes();
    }

    /// Begins to make the batch visible, and answers when the one before it is; when it has come so far,
    /// the timeline's last record ends at `reaches`. What is collected from now on is the next batch.
    ///
    /// # Errors
    /// As `commit`, of this batch or of the one before. What failed is tried again by the next commit.
    pub fn commit_behind(
        &mut self,
        durability: Durability,
        reaches: Lsn,
    ) -> Result<(), EngineError> {
        self.behind.settle()?;
        let to = self.destination(durability);
        let batch = std::mem::take(&mut self.batch);
        self.follows = self.newest;
        self.batch = self.behind.begin(batch, to, reaches)?;
        if self.known.len() > KNOWN_RELATIONS_MAX {
            self.behind.settle()?;
            self.forget_relations_if_many();
        }
        Ok(())
    }

    /// Waits for what `commit_behind` began.
    ///
    /// # Errors
    /// As `commit_behind`.
    pub fn settle(&mut self) -> Result<(), EngineError> {
        self.behind.settle()
    }

    fn destination(&self, durability: Durability) -> Destination {
        Destination {
            store: Arc::clone(&self.store),
            timeline: Arc::clone(&self.timeline),
            policy: self.policy,
            durability,
            follows: self.follows,
        }
    }

    fn reach(&mut self, lsn: Lsn) {
        self.newest = self.newest.max(lsn);
    }

    /// Only when all is in the store that is known of them.
    fn forget_relations_if_many(&mut self) {
        if self.known.len() > KNOWN_RELATIONS_MAX {
            self.known.clear();
            self.sizes.clear();
            self.last = None;
        }
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
        self.newest = self.newest.max(lsn);
        known.lsn = lsn;
        let entry = known.entry();
        let key = size_key(self.timeline.index(), rel, lsn);
        self.batch.put_with(Table::Sizes, &key, |out| {
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
        if let Some(newest) = newest_entry(&snapshot, index, rel, self.follows)? {
            lsn = newest.0;
            own.blocks = newest.1.blocks;
            let of = (index, self.timeline.earliest());
            add_cuts(&snapshot, of, rel, newest, &mut own)?;
        } else {
            let view = View::new(snapshot, &self.timeline, self.follows);
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
