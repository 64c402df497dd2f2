//! Entries that are to go, and how they go.

use std::ops::Bound;

use offshoot_store::{Durability, Store, StoreError, Table, WriteTxn};

use super::Portion;
use crate::keys::{BlockSpan, version_prefix_range};

/// When an entry may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Nobody can see it.
    Always,
    /// It says that there is nothing. Without anything before it, that is also so without it: it may go if its key is
    /// the first with its first `prefix` bytes, and there is no version of a page in `pages`.
    Last {
        prefix: usize,
        pages: Option<BlockSpan>,
    },
}

#[derive(Debug, Clone)]
pub struct Removal {
    pub table: Table,
    pub key: Vec<u8>,
    /// Of key and value.
    pub bytes: usize,
    pub condition: Condition,
}

impl Removal {
    pub fn always(table: Table, key: &[u8], value: &[u8]) -> Removal {
        Removal {
            table,
            key: key.to_vec(),
            bytes: key.len() + value.len(),
            condition: Condition::Always,
        }
    }
}

/// Removes them in their order, in durable transactions of no more than a portion; the entries and bytes that went.
pub fn remove(
    store: &Store,
    mut removals: &[Removal],
    portion: Portion,
) -> Result<(u64, u64), StoreError> {
    let (mut entries, mut bytes) = (0, 0);
    while !removals.is_empty() {
        let (now, later) = removals.split_at(portion_of(removals, portion));
        let removed = store.write::<_, StoreError>(Durability::Commit, |txn| {
            let mut removed = (0, 0);
            for removal in now {
                if may_go(txn, removal)? && txn.delete(removal.table, &removal.key)? {
                    removed = (removed.0 + 1, removed.1 + removal.bytes as u64);
                }
            }
            Ok(removed)
        })?;
        entries += removed.0;
        bytes += removed.1;
        removals = later;
    }
    Ok((entries, bytes))
}

/// How many of them one transaction takes: at least one.
fn portion_of(removals: &[Removal], portion: Portion) -> usize {
    let mut bytes = 0;
    let fitting = removals.iter().take_while(|removal| {
        bytes += removal.bytes;
        bytes <= portion.bytes_max
    });
    fitting
        .count()
        .min(portion.entries_max)
        .clamp(1, removals.len())
}

fn may_go(txn: &WriteTxn<'_>, removal: &Removal) -> Result<bool, StoreError> {
    let Condition::Last { prefix, pages } = removal.condition else {
        return Ok(true);
    };
    let prefix = removal.key.get(..prefix).unwrap_or_default();
    if first_from(txn, removal.table, prefix, &removal.key)?.as_deref() != Some(&removal.key) {
        return Ok(false);
    }
    let Some(span) = pages else {
        return Ok(true);
    };
    for table in [Table::Versions, Table::Extents] {
        let (first, last) = version_prefix_range(table, &span);
        if first_from(txn, table, &first, &last)?.is_some() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The first key between two.
fn first_from(
    txn: &WriteTxn<'_>,
    table: Table,
    first: &[u8],
    last: &[u8],
) -> Result<Option<Vec<u8>>, StoreError> {
    let mut entries = txn.range(table, Bound::Included(first), Bound::Included(last))?;
    let entry = entries.next().transpose()?;
    Ok(entry.map(|(key, _)| key.to_vec()))
}
