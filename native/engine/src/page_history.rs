//! From a batch's changes of pages to entries of `versions`: records of a page that follow each other
//! share an entry, and past a bounded number of them stands an image.

use std::collections::HashMap;
use std::ops::{Bound, Range, RangeBounds};

use offshoot_layout::{BLCKSZ, BlockKey, Lsn, Page, RelKey};
use offshoot_redo::{PageBase, RedoContext};

use crate::extent::{EXTENT_BLOCKS, image_in_extent};
use crate::page_changes::{PageChange, PageChanges, RecordAt, What};
use crate::record_group::GroupWriter;
use crate::redo_record::StoredRedo;
use crate::value::{Image, Version, encode_image, parse_version};
use crate::{EngineError, View};

/// One entry: its page, its LSN, and where its value is in `Entries::values`.
pub(crate) struct Entry {
    pub(crate) key: BlockKey,
    pub(crate) lsn: Lsn,
    value: Range<usize>,
}

/// Entries in key order.
#[derive(Default)]
pub(crate) struct Entries {
    pub(crate) list: Vec<Entry>,
    values: Vec<u8>,
}

impl Entries {
    pub(crate) fn value(&self, entry: &Entry) -> &[u8] {
        &self.values[entry.value.clone()]
    }

    pub(crate) fn clear(&mut self) {
        self.list.clear();
        self.values.clear();
    }

    fn put(&mut self, key: BlockKey, lsn: Lsn, began: usize) {
        let value = began..self.values.len();
        self.list.push(Entry { key, lsn, value });
    }
}

/// Where one extent is filed, and where its value lies.
type FiledExtent = (Lsn, Range<usize>);

/// Extents that the batch files, by relation and number, oldest first.
#[derive(Default)]
pub(crate) struct PendingExtents(HashMap<(RelKey, u32), Vec<FiledExtent>>);

impl PendingExtents {
    pub(crate) fn add(&mut self, first: &BlockKey, lsn: Lsn, value: Range<usize>) {
        let extent = (first.rel, first.block / EXTENT_BLOCKS);
        self.0.entry(extent).or_default().push((lsn, value));
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// The newest one at these LSNs that holds the page.
    fn image_of<'b>(
        &self,
        bytes: &'b [u8],
        key: &BlockKey,
        filed: (Bound<Lsn>, Bound<Lsn>),
    ) -> Result<Option<Image<'b>>, EngineError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let extents = self.0.get(&(key.rel, key.block / EXTENT_BLOCKS));
        for (lsn, value) in extents.into_iter().flatten().rev() {
            if filed.contains(lsn) {
                let value = bytes.get(value.clone()).unwrap_or_default();
                if let Some(image) = image_in_extent(value, key.block)? {
                    return Ok(Some(image));
                }
            }
        }
        Ok(None)
    }
}

/// How pages are made at commit.
#[derive(Clone, Copy)]
pub(crate) struct ImagePolicy {
    pub(crate) context: RedoContext,
    /// The longest run of records without an image.
    pub(crate) chain_records_max: u16,
}

/// Makes the entries of one batch.
pub(crate) struct HistoryBuilder<'b> {
    batch: Batch<'b>,
    entries: &'b mut Entries,
    page: Box<Page>,
    redo: StoredRedo,
}

/// What entries are made of.
#[derive(Clone, Copy)]
pub(crate) struct Batch<'b> {
    pub(crate) changes: &'b PageChanges,
    pub(crate) extents: &'b PendingExtents,
    /// Where the extents' values are.
    pub(crate) bytes: &'b [u8],
    /// What was committed before.
    pub(crate) view: &'b View,
    pub(crate) policy: Option<&'b ImagePolicy>,
}

/// What `HistoryBuilder::page` holds while one page's changes are gone through.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Made {
    /// Nothing: the page before the batch is in the store.
    Stored,
    /// Nothing: the page begins as zeros.
    Zeros,
    /// Nothing: it is the image of this change.
    Image(usize),
    /// The page, all changes before `Progress::unapplied` being in it.
    Page,
    /// It cannot be made; whoever reads it is told why.
    Impossible,
}

struct Progress {
    made: Made,
    /// The first change that is not applied to what `made` says.
    unapplied: usize,
    /// Records since the last image; `None` while nobody has asked the store.
    chain: Option<u16>,
    /// The first change of the group that is open; those before the current one belong to it.
    group: Option<usize>,
}

impl<'b> HistoryBuilder<'b> {
    pub(crate) fn new(batch: Batch<'b>, entries: &'b mut Entries) -> HistoryBuilder<'b> {
        HistoryBuilder {
            batch,
            entries,
            page: Box::new([0; BLCKSZ]),
            redo: StoredRedo::default(),
        }
    }

    /// The entries of a page, from all its changes.
    ///
    /// # Errors
    /// `Store`, `Damaged`.
    pub(crate) fn add(&mut self, run: &[PageChange]) -> Result<(), EngineError> {
        let mut progress = Progress {
            made: Made::Stored,
            unapplied: 0,
            chain: None,
            group: None,
        };
        let mut before = Lsn::INVALID;
        for (at, change) in run.iter().enumerate() {
            let cut = self.batch.changes;
            let cut = cut.last_cut(&change.key, before, change.lsn());
            if cut.is_some() {
                self.begin_anew(run, &mut progress, at, Made::Zeros)?;
            }
            // A database is cleared and then copied by one record: extents at a cut's LSN are behind it.
            let since = cut.map_or(Bound::Excluded(before), Bound::Included);
            self.take_extent(run, &mut progress, at, since)?;
            before = change.lsn();
            match change.what {
                What::Image(lsn) => self.image(run, &mut progress, at, lsn)?,
                What::Record(record) => self.record(run, &mut progress, at, record)?,
            }
        }
        self.close_group(run, &mut progress, run.len())
    }

    /// Nothing before `at` counts any more.
    fn begin_anew(
        &mut self,
        run: &[PageChange],
        progress: &mut Progress,
        at: usize,
        made: Made,
    ) -> Result<(), EngineError> {
        self.close_group(run, progress, at)?;
        progress.made = made;
        progress.unapplied = at;
        progress.chain = Some(0);
        Ok(())
    }

    /// An extent filed before the change is what the page begins with.
    fn take_extent(
        &mut self,
        run: &[PageChange],
        progress: &mut Progress,
        at: usize,
        since: Bound<Lsn>,
    ) -> Result<(), EngineError> {
        let Batch { extents, bytes, .. } = self.batch;
        let (key, lsn) = (&run[at].key, run[at].lsn());
        if let Some(image) = extents.image_of(bytes, key, (since, Bound::Included(lsn)))? {
            self.begin_anew(run, progress, at, Made::Page)?;
            image.decode(&mut self.page)?;
        }
        Ok(())
    }

    fn image(
        &mut self,
        run: &[PageChange],
        progress: &mut Progress,
        at: usize,
        lsn: Lsn,
    ) -> Result<(), EngineError> {
        self.begin_anew(run, progress, at, Made::Image(at))?;
        progress.unapplied = at + 1;
        let began = self.entries.values.len();
        let value = self.batch.changes.value(&run[at]);
        self.entries.values.extend_from_slice(value);
        self.entries.put(run[at].key, lsn, began);
        Ok(())
    }

    fn record(
        &mut self,
        run: &[PageChange],
        progress: &mut Progress,
        at: usize,
        record: RecordAt,
    ) -> Result<(), EngineError> {
        if record.base != PageBase::Previous {
            self.begin_anew(run, progress, at, Made::Zeros)?;
        }
        let key = &run[at].key;
        let before = match progress.chain {
            Some(known) => known,
            None => self.batch.view.chain_length(key)?,
        };
        let max = self
            .batch
            .policy
            .map_or(u16::MAX, |policy| policy.chain_records_max);
        if before >= max && self.make(run, progress, at)? {
            self.close_group(run, progress, at)?;
            let began = self.entries.values.len();
            encode_image(&self.page, &mut self.entries.values);
            self.entries.put(*key, record.end, began);
            progress.chain = Some(0);
            return Ok(());
        }
        if progress
            .group
            .is_some_and(|first| !is_near(&run[first], record))
        {
            self.close_group(run, progress, at)?;
        }
        progress.group.get_or_insert(at);
        progress.chain = Some(before.saturating_add(1));
        Ok(())
    }

    /// Writes the open group, which ends before the change `behind`.
    fn close_group(
        &mut self,
        run: &[PageChange],
        progress: &mut Progress,
        behind: usize,
    ) -> Result<(), EngineError> {
        let Some(first) = progress.group.take() else {
            return Ok(());
        };
        let began = self.entries.values.len();
        let mut writer = GroupWriter::new(&mut self.entries.values);
        for change in &run[first..behind] {
            if let What::Record(at) = change.what
                && !writer.push(&self.batch.changes.stored(change, at))
            {
                let what = format!("record at {}", at.start);
                return Err(EngineError::damaged(what, "its bounds make no sense"));
            }
        }
        if let Some(lsn) = writer.finish(progress.chain.unwrap_or(u16::MAX)) {
            self.entries.put(run[first].key, lsn, began);
        }
        Ok(())
    }

    /// Makes the page as the change `at` leaves it; false when that cannot be.
    fn make(
        &mut self,
        run: &[PageChange],
        progress: &mut Progress,
        at: usize,
    ) -> Result<bool, EngineError> {
        let Some(policy) = self.batch.policy else {
            return Ok(false);
        };
        let made = match self.make_base(run, progress.made) {
            Ok(made) => made && self.apply(&run[progress.unapplied..=at], &policy.context),
            Err(EngineError::Redo(_) | EngineError::Wal(_)) => false,
            Err(error) => return Err(error),
        };
        progress.made = if made { Made::Page } else { Made::Impossible };
        progress.unapplied = at + 1;
        Ok(made)
    }

    fn make_base(&mut self, run: &[PageChange], made: Made) -> Result<bool, EngineError> {
        match made {
            Made::Stored => self.batch.view.newest_page(&run[0].key, &mut self.page)?,
            Made::Zeros => self.page.fill(0),
            Made::Page => {}
            Made::Impossible => return Ok(false),
            Made::Image(at) => {
                let value = self.batch.changes.value(&run[at]);
                if let Version::Image(image) = parse_version(value, run[at].lsn())? {
                    image.decode(&mut self.page)?;
                }
            }
        }
        Ok(true)
    }

    fn apply(&mut self, changes: &[PageChange], context: &RedoContext) -> bool {
        changes.iter().all(|change| match change.what {
            What::Image(_) => false,
            What::Record(at) => {
                let stored = self.batch.changes.stored(change, at);
                let redo = &mut self.redo;
                redo.apply(&stored, &change.key, &mut self.page, context)
                    .is_ok()
            }
        })
    }
}

/// LSNs within a group are 32 bits apart at most.
fn is_near(first: &PageChange, record: RecordAt) -> bool {
    record.end.0 - first.lsn().0 < u64::from(u32::MAX)
}
