//! One unchanging view of the store.

use crate::entries::{Reader, after_prefix};
use crate::map_gate::Pass;
use crate::table::Databases;
use crate::{Entries, EntriesBack, Entry, StoreError, Table};
use heed::{RoTxn, WithoutTls};
use std::cell::Cell;
use std::ops::Bound;

/// Sees the store as it was when the snapshot was taken, from whichever thread holds it.
///
/// Keep it short: space that was freed after it was taken is not reused while it lives, and the map
/// cannot grow. A thread that holds one must not take a second: it could wait for itself.
pub struct Snapshot {
    // Field order is drop order: the transaction ends before its pass is given back.
    txn: RoTxn<'static, WithoutTls>,
    databases: Databases,
    looks: Cell<u64>,
    _pass: Pass,
}

impl Snapshot {
    pub(crate) fn new(txn: RoTxn<'static, WithoutTls>, databases: Databases, pass: Pass) -> Self {
        Snapshot {
            txn,
            databases,
            looks: Cell::new(0),
            _pass: pass,
        }
    }

    /// How often something was looked up through it: each of these is a way down a tree of pages.
    #[must_use]
    pub fn looks(&self) -> u64 {
        self.looks.get()
    }

    fn reader(&self) -> Reader<'_> {
        self.looks.set(self.looks.get() + 1);
        Reader {
            txn: &self.txn,
            databases: &self.databases,
        }
    }

    /// The value at `key`.
    ///
    /// # Errors
    /// Of LMDB only; so for all methods here.
    pub fn get(&self, table: Table, key: &[u8]) -> Result<Option<&[u8]>, StoreError> {
        self.reader().get(table, key)
    }

    /// The last entry at or before `key`.
    ///
    /// # Errors
    /// See `get`.
    pub fn seek_le(&self, table: Table, key: &[u8]) -> Result<Option<Entry<'_>>, StoreError> {
        self.reader().seek_le(table, key)
    }

    /// The first entry at or after `key`.
    ///
    /// # Errors
    /// See `get`.
    pub fn seek_ge(&self, table: Table, key: &[u8]) -> Result<Option<Entry<'_>>, StoreError> {
        self.reader().seek_ge(table, key)
    }

    /// Entries between two keys, ascending.
    ///
    /// # Errors
    /// See `get`.
    pub fn range(
        &self,
        table: Table,
        start: Bound<&[u8]>,
        end: Bound<&[u8]>,
    ) -> Result<Entries<'_>, StoreError> {
        self.reader().range(table, (start, end))
    }

    /// Entries between two keys, descending from `end`.
    ///
    /// # Errors
    /// See `get`.
    pub fn range_back(
        &self,
        table: Table,
        start: Bound<&[u8]>,
        end: Bound<&[u8]>,
    ) -> Result<EntriesBack<'_>, StoreError> {
        self.reader().range_back(table, (start, end))
    }

    /// Entries whose key starts with `prefix`, ascending.
    ///
    /// # Errors
    /// See `get`.
    pub fn prefix(&self, table: Table, prefix: &[u8]) -> Result<Entries<'_>, StoreError> {
        let end = after_prefix(prefix);
        self.range(table, Bound::Included(prefix), end_bound(end.as_deref()))
    }

    /// Those of them that are not before `from`.
    ///
    /// # Errors
    /// See `get`.
    pub fn prefix_from(
        &self,
        table: Table,
        prefix: &[u8],
        from: &[u8],
    ) -> Result<Entries<'_>, StoreError> {
        let end = after_prefix(prefix);
        self.range(table, Bound::Included(from), end_bound(end.as_deref()))
    }

    /// Entries whose key starts with `prefix`, descending.
    ///
    /// # Errors
    /// See `get`.
    pub fn prefix_back(&self, table: Table, prefix: &[u8]) -> Result<EntriesBack<'_>, StoreError> {
        let end = after_prefix(prefix);
        self.range_back(table, Bound::Included(prefix), end_bound(end.as_deref()))
    }
}

fn end_bound(end: Option<&[u8]>) -> Bound<&[u8]> {
    end.map_or(Bound::Unbounded, Bound::Excluded)
}
