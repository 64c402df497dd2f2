//! Walking a table in key order, either way.

use crate::StoreError;
use crate::table::Databases;
use crate::table::Table;
use heed::types::Bytes;
use heed::{AnyTls, RoTxn};
use std::ops::Bound;

/// Key and value; both live in the map for as long as the transaction.
pub type Entry<'t> = (&'t [u8], &'t [u8]);

/// Entries in ascending key order.
pub struct Entries<'t>(heed::RoRange<'t, Bytes, Bytes>);

/// Entries in descending key order.
pub struct EntriesBack<'t>(heed::RoRevRange<'t, Bytes, Bytes>);

impl<'t> Iterator for Entries<'t> {
    type Item = Result<Entry<'t>, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|item| item.map_err(StoreError::from))
    }
}

impl<'t> Iterator for EntriesBack<'t> {
    type Item = Result<Entry<'t>, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|item| item.map_err(StoreError::from))
    }
}

pub(crate) type KeyRange<'k> = (Bound<&'k [u8]>, Bound<&'k [u8]>);

/// The read half that snapshots and write transactions share.
pub(crate) struct Reader<'t> {
    pub(crate) txn: &'t RoTxn<'t, AnyTls>,
    pub(crate) databases: &'t Databases,
}

impl<'t> Reader<'t> {
    pub(crate) fn get(&self, table: Table, key: &[u8]) -> Result<Option<&'t [u8]>, StoreError> {
        Ok(self.databases[table as usize].get(self.txn, key)?)
    }

    pub(crate) fn seek_le(
        &self,
        table: Table,
        key: &[u8],
    ) -> Result<Option<Entry<'t>>, StoreError> {
        Ok(self.databases[table as usize].get_lower_than_or_equal_to(self.txn, key)?)
    }

    pub(crate) fn seek_ge(
        &self,
        table: Table,
        key: &[u8],
    ) -> Result<Option<Entry<'t>>, StoreError> {
        Ok(self.databases[table as usize].get_greater_than_or_equal_to(self.txn, key)?)
    }

    pub(crate) fn range(
        &self,
        table: Table,
        range: KeyRange<'_>,
    ) -> Result<Entries<'t>, StoreError> {
        Ok(Entries(
            self.databases[table as usize].range(self.txn, &range)?,
        ))
    }

    pub(crate) fn range_back(
        &self,
        table: Table,
        range: KeyRange<'_>,
    ) -> Result<EntriesBack<'t>, StoreError> {
        let database = &self.databases[table as usize];
        Ok(EntriesBack(database.rev_range(self.txn, &range)?))
    }
}

/// The first key behind every key that starts with `prefix`; unbounded when there is none.
pub(crate) fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|&byte| byte != 0xFF)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

#[cfg(test)]
mod tests {
    use super::after_prefix;

    #[test]
    fn end_of_a_prefix() {
        for (prefix, end) in [
            (&[][..], None),
            (&[0xFF, 0xFF][..], None),
            (&[1, 2][..], Some(vec![1, 3])),
            (&[1, 0xFF][..], Some(vec![2])),
        ] {
            assert_eq!(after_prefix(prefix), end, "{prefix:?}");
        }
    }
}
