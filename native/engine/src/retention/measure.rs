//! How much a timeline has in the store.

use std::ops::Bound;

use offshoot_layout::{BlockKey, Lsn, RelKey};
use offshoot_store::{Snapshot, Table};

use crate::extent::{EXTENT_BLOCKS, extent_holds};
use crate::keys::{VERSION_KEY_BYTES, parse_version_key, version_key};
use crate::{EngineError, Tenant};

/// A part of a timeline's entries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Measured {
    /// Where the next part begins; `None` at the end.
    pub next: Option<Vec<u8>>,
    pub entries: u64,
    /// Keys and values. LMDB adds to that what its pages have no use for.
    pub bytes: u64,
    /// Pages of relations that there are versions of, each once, whatever became of the relation.
    pub pages: u64,
}

/// What the keys of one page's versions, or of one extent's, begin with.
const PAGE_PREFIX_BYTES: usize = VERSION_KEY_BYTES - size_of::<u64>();

impl Tenant {
    /// Counts some `entries_max` of a timeline's entries; an empty `cursor` begins with the first.
    ///
    /// # Errors
    /// `Store`, `Damaged`, `BadRequest` for a cursor that is none.
    pub fn measure(
        &self,
        index: u32,
        cursor: &[u8],
        entries_max: usize,
    ) -> Result<Measured, EngineError> {
        let (first_table, from) = match cursor.split_first() {
            Some((table, from)) => (usize::from(*table), from.to_vec()),
            None => (0, index.to_be_bytes().to_vec()),
        };
        let tables = Table::ALL.get(first_table..).unwrap_or_default();
        if tables.is_empty() {
            return Err(EngineError::BadRequest("an unknown cursor".to_owned()));
        }
        let snapshot = self.store().read()?;
        let mut part = Part {
            index,
            snapshot: &snapshot,
            entries_max: entries_max.max(1) as u64,
            measured: Measured::default(),
        };
        let mut from = Some(from);
        for table in tables {
            let start = from.take().unwrap_or(index.to_be_bytes().to_vec());
            if let Some(next) = part.measure(*table, &start)? {
                part.measured.next = Some([&[*table as u8], &next[..]].concat());
                break;
            }
        }
        Ok(part.measured)
    }
}

/// What is counted on one snapshot.
struct Part<'s> {
    index: u32,
    snapshot: &'s Snapshot,
    entries_max: u64,
    measured: Measured,
}

impl Part<'_> {
    /// Answers where it goes on in this table: at the first version of a page, or of an extent.
    fn measure(&mut self, table: Table, start: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        let mut extent = ExtentPages::default();
        let mut before: Option<&[u8]> = None;
        for entry in self
            .snapshot
            .range(table, Bound::Included(start), Bound::Unbounded)?
        {
            let (key, value) = entry?;
            if !key.starts_with(&self.index.to_be_bytes()) {
                break;
            }
            let is_first = before.is_none_or(|before| !is_same_page(before, key));
            if is_first && self.measured.entries >= self.entries_max {
                self.measured.pages += extent.only_there(self.index, self.snapshot)?;
                return Ok(Some(key.to_vec()));
            }
            self.measured.entries += 1;
            self.measured.bytes += (key.len() + value.len()) as u64;
            match table {
                Table::Versions if is_first => {
                    self.measured.pages += u64::from(relation_block(key)?.is_some());
                }
                Table::Extents => {
                    if is_first {
                        self.measured.pages += extent.only_there(self.index, self.snapshot)?;
                        extent = ExtentPages::of(relation_block(key)?);
                    }
                    extent.add(value)?;
                }
                _ => {}
            }
            before = Some(key);
        }
        self.measured.pages += extent.only_there(self.index, self.snapshot)?;
        Ok(None)
    }
}

fn is_same_page(a: &[u8], b: &[u8]) -> bool {
    a.len() == VERSION_KEY_BYTES && a.get(..PAGE_PREFIX_BYTES) == b.get(..PAGE_PREFIX_BYTES)
}

/// Relation and number of a key of `versions` or `extents`; `None` for an SLRU's.
fn relation_block(key: &[u8]) -> Result<Option<(RelKey, u32)>, EngineError> {
    let (rel, number, _) = parse_version_key(key)
        .ok_or_else(|| EngineError::damaged("version key", format!("{key:02x?}")))?;
    Ok(Some((rel, number)).filter(|_| rel.spcnode != 0))
}

/// The pages that the versions of one extent hold.
#[derive(Default)]
struct ExtentPages {
    of: Option<(RelKey, u32)>,
    holds: [bool; EXTENT_BLOCKS as usize],
}

impl ExtentPages {
    fn of(of: Option<(RelKey, u32)>) -> ExtentPages {
        ExtentPages {
            of,
            ..ExtentPages::default()
        }
    }

    fn add(&mut self, value: &[u8]) -> Result<(), EngineError> {
        for (slot, holds) in (0..).zip(&mut self.holds) {
            *holds = *holds || extent_holds(value, slot)?;
        }
        Ok(())
    }

    /// How many of them have no versions of their own, which are counted there.
    fn only_there(&self, timeline: u32, snapshot: &Snapshot) -> Result<u64, EngineError> {
        let Some((rel, number)) = self.of else {
            return Ok(0);
        };
        let mut there = self.holds;
        let first = number * EXTENT_BLOCKS;
        let mut slot = 0;
        while slot < EXTENT_BLOCKS {
            let block = first + slot;
            let key = version_key(timeline, &BlockKey { rel, block }, Lsn::INVALID);
            let Some((found, _)) = snapshot.seek_ge(Table::Versions, &key)? else {
                break;
            };
            let last = version_key(
                timeline,
                &BlockKey {
                    rel,
                    block: first + EXTENT_BLOCKS - 1,
                },
                Lsn::MAX,
            );
            if found > &last[..] {
                break;
            }
            let (_, block, _) = parse_version_key(found)
                .ok_or_else(|| EngineError::damaged("version key", format!("{found:02x?}")))?;
            slot = block - first;
            there[slot as usize] = false;
            slot += 1;
        }
        Ok(there.iter().filter(|there| **there).count() as u64)
    }
}
