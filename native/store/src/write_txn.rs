//! One batch of changes, visible and durable as a whole or not at all.

use crate::disk_room::explain;
use crate::entries::Reader;
use crate::table::{Databases, KEY_BYTES_MAX};
use crate::{Entries, EntriesBack, Entry, StoreError, Table};
use heed::RwTxn;
use std::ops::Bound;
use std::path::Path;

/// The write side of `Store::write`; it reads its own changes.
pub struct WriteTxn<'s> {
    txn: RwTxn<'s>,
    databases: &'s Databases,
    data_file: &'s Path,
    map_must_grow: bool,
}

impl<'s> WriteTxn<'s> {
    pub(crate) fn new(txn: RwTxn<'s>, databases: &'s Databases, data_file: &'s Path) -> Self {
        WriteTxn {
            txn,
            databases,
            data_file,
            map_must_grow: false,
        }
    }

    /// Whether a change failed for want of map; the whole batch is then to be run again.
    pub(crate) fn map_must_grow(&self) -> bool {
        self.map_must_grow
    }

    pub(crate) fn commit(self) -> Result<(), StoreError> {
        let done = self.txn.commit().map_err(StoreError::from);
        done.map_err(|error| explain(error, self.data_file))
    }

    fn reader(&self) -> Reader<'_> {
        Reader {
            txn: &self.txn,
            databases: self.databases,
        }
    }

    /// Sets the value at `key`.
    ///
    /// # Errors
    /// `KeyLength`, `DiskFull`, `Lmdb`; the batch cannot be committed after any of them.
    pub fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        if key.is_empty() || key.len() > KEY_BYTES_MAX {
            return Err(StoreError::KeyLength(key.len()));
        }
        let done = self.databases[table as usize].put(&mut self.txn, key, value);
        self.noted(done)
    }

    /// Removes `key`; whether it was there.
    ///
    /// # Errors
    /// As `put`.
    pub fn delete(&mut self, table: Table, key: &[u8]) -> Result<bool, StoreError> {
        let done = self.databases[table as usize].delete(&mut self.txn, key);
        self.noted(done)
    }

    /// Removes the keys from `start` to before `end`; how many they were.
    ///
    /// # Errors
    /// As `put`.
    pub fn delete_range(
        &mut self,
        table: Table,
        start: &[u8],
        end: &[u8],
    ) -> Result<usize, StoreError> {
        let range = (Bound::Included(start), Bound::Excluded(end));
        let done = self.databases[table as usize].delete_range(&mut self.txn, &range);
        self.noted(done)
    }

    /// The value at `key`, changes of this batch included.
    ///
    /// # Errors
    /// Of LMDB only; so for all that follow.
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

    fn noted<T>(&mut self, done: heed::Result<T>) -> Result<T, StoreError> {
        done.map_err(|error| {
            let error = explain(StoreError::from(error), self.data_file);
            self.map_must_grow |= matches!(error, StoreError::MapMustGrow);
            error
        })
    }
}
