//! How much a timeline has in the store.

use std::ops::Bound;

use offshoot_store::Table;

use crate::{EngineError, Tenant};

/// A part of a timeline's entries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Measured {
    /// Where the next part begins; `None` at the end.
    pub next: Option<Vec<u8>>,
    pub entries: u64,
    /// Keys and values. LMDB adds to that what its pages have no use for.
    pub bytes: u64,
}

impl Tenant {
    /// Counts up to `entries_max` of a timeline's entries; an empty `cursor` begins with the first.
    ///
    /// # Errors
    /// `Store`, `BadRequest` for a cursor that is none.
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
        let mut measured = Measured::default();
        let mut from = Some(from);
        for table in tables {
            let start = from.take().unwrap_or(index.to_be_bytes().to_vec());
            for entry in snapshot.range(*table, Bound::Included(&start), Bound::Unbounded)? {
                let (key, value) = entry?;
                if !key.starts_with(&index.to_be_bytes()) {
                    break;
                }
                if measured.entries >= entries_max.max(1) as u64 {
                    measured.next = Some([&[*table as u8], key].concat());
                    return Ok(measured);
                }
                measured.entries += 1;
                measured.bytes += (key.len() + value.len()) as u64;
            }
        }
        Ok(measured)
    }
}
