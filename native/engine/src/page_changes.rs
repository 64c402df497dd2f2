//! What a batch does to pages, in any order of pages: images and records.

use std::ops::Range;

use offshoot_layout::{BlockKey, Lsn, Page, RelKey};
use offshoot_redo::PageBase;

use crate::keys::sized_rel;
use crate::record_group::StoredRecord;
use crate::rel_map::RelMap;
use crate::sizes::Cut;
use crate::value::encode_image;

/// A record that changes a page, apart from its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordAt {
    pub start: Lsn,
    pub end: Lsn,
    /// `record_group::IMPLICIT_BLOCK` when the record does not reference the page.
    pub block_id: u8,
    /// What the record makes the page of.
    pub base: PageBase,
}

/// One change of one page.
pub(crate) struct PageChange {
    pub(crate) key: BlockKey,
    pub(crate) what: What,
    /// In the changes' bytes.
    value: Range<usize>,
}

#[derive(Clone, Copy)]
pub(crate) enum What {
    /// The value is one of `versions`.
    Image(Lsn),
    /// The value is the record.
    Record(RecordAt),
}

impl PageChange {
    pub(crate) fn lsn(&self) -> Lsn {
        match self.what {
            What::Image(lsn) => lsn,
            What::Record(at) => at.end,
        }
    }
}

/// Changes that are not committed yet.
#[derive(Default)]
pub(crate) struct PageChanges {
    list: Vec<PageChange>,
    bytes: Vec<u8>,
    /// Where the last record's bytes are: pages that it changes share them.
    last_record: Option<(Lsn, Range<usize>)>,
    /// Truncations and drops of the batch, oldest first: what is before them is void.
    cuts: RelMap<Vec<Cut>>,
}

impl PageChanges {
    /// Memory taken.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len() + self.list.len() * size_of::<PageChange>()
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(crate) fn image(&mut self, key: &BlockKey, lsn: Lsn, page: &Page) {
        let began = self.bytes.len();
        encode_image(page, &mut self.bytes);
        self.list.push(PageChange {
            key: *key,
            what: What::Image(lsn),
            value: began..self.bytes.len(),
        });
    }

    pub(crate) fn record(&mut self, key: &BlockKey, at: RecordAt, bytes: &[u8]) {
        let value = match &self.last_record {
            Some((start, range)) if *start == at.start && self.bytes[range.clone()] == *bytes => {
                range.clone()
            }
            _ => {
                let began = self.bytes.len();
                self.bytes.extend_from_slice(bytes);
                began..self.bytes.len()
            }
        };
        self.last_record = Some((at.start, value.clone()));
        self.list.push(PageChange {
            key: *key,
            what: What::Record(at),
            value,
        });
    }

    pub(crate) fn cut(&mut self, rel: &RelKey, cut: Cut) {
        self.cuts.entry(*rel).or_default().push(cut);
    }

    /// Neighbours in the store become neighbours here; what happened to one page stays in order.
    pub(crate) fn sort(&mut self) {
        self.list.sort_by_key(|change| (change.key, change.lsn()));
    }

    /// The changes of each page; to be called when sorted.
    pub(crate) fn pages(&self) -> impl Iterator<Item = &[PageChange]> {
        self.list.chunk_by(|one, next| one.key == next.key)
    }

    pub(crate) fn value(&self, change: &PageChange) -> &[u8] {
        &self.bytes[change.value.clone()]
    }

    pub(crate) fn stored<'s>(&'s self, change: &PageChange, at: RecordAt) -> StoredRecord<'s> {
        StoredRecord {
            block_id: at.block_id,
            start: at.start,
            end: at.end,
            bytes: self.value(change),
        }
    }

    /// Where the page became void last, after `after` and not after `until`.
    pub(crate) fn last_cut(&self, key: &BlockKey, after: Lsn, until: Lsn) -> Option<Lsn> {
        if self.cuts.is_empty() {
            return None;
        }
        let (rel, block) = sized_rel(key);
        let cuts = self.cuts.get(&rel)?.iter().rev();
        cuts.filter(|cut| block >= cut.to)
            .map(|cut| cut.lsn)
            .find(|lsn| after < *lsn && *lsn <= until)
    }

    /// Forgets all, and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.list.clear();
        self.bytes.clear();
        self.cuts.clear();
        self.last_record = None;
    }
}
