//! Removes data from the store, a bounded part at a time.

use offshoot_store::{Durability, Store, StoreError, Table};

use crate::EngineError;

/// Entries that one transaction removes.
const BATCH_ENTRIES: usize = 20_000;

/// Removes every entry of `table` whose key starts with `prefix`.
///
/// # Errors
/// `Store`.
pub fn remove_prefix(store: &Store, table: Table, prefix: &[u8]) -> Result<(), EngineError> {
    loop {
        let Some(last) = last_of_batch(store, table, prefix)? else {
            return Ok(());
        };
        // The range's end is exclusive: the shortest key behind `last`.
        let end = [&last[..], &[0]].concat();
        store.write::<_, StoreError>(Durability::Later, |txn| {
            txn.delete_range(table, prefix, &end).map(drop)
        })?;
    }
}

fn last_of_batch(
    store: &Store,
    table: Table,
    prefix: &[u8],
) -> Result<Option<Vec<u8>>, EngineError> {
    let snapshot = store.read()?;
    let mut last = None;
    for entry in snapshot.prefix(table, prefix)?.take(BATCH_ENTRIES) {
        last = Some(entry?.0);
    }
    Ok(last.map(<[u8]>::to_vec))
}

/// Removes all that a timeline holds.
///
/// # Errors
/// `Store`.
pub fn remove_timeline(store: &Store, index: u32) -> Result<(), EngineError> {
    for table in Table::ALL {
        remove_prefix(store, table, &index.to_be_bytes())?;
    }
    Ok(store.sync()?)
}
