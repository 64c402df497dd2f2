//! Which version of keys and values a store is written in.

use crate::EngineError;
use crate::keys::FileKeyBytes;
use offshoot_store::{Durability, Snapshot, Store, StoreError, Table};

/// To be raised with every change of what lies in a store: nothing converts one.
pub const FORMAT_VERSION: u32 = 5;

/// In `files`, before all timelines: the catalog's indexes begin at 1.
const FORMAT_KEY: FileKeyBytes = [0; size_of::<FileKeyBytes>()];

/// Marks a store that is new; refuses one that is marked otherwise, or holds data and is not marked.
///
/// # Errors
/// `OtherFormat`, `Store`.
pub(crate) fn check_format(store: &Store) -> Result<(), EngineError> {
    let other = |found: String| EngineError::OtherFormat {
        found,
        readable: FORMAT_VERSION,
    };
    let snapshot = store.read()?;
    match snapshot.get(Table::Files, &FORMAT_KEY)? {
        Some(found) if *found == FORMAT_VERSION.to_be_bytes() => Ok(()),
        Some(found) => Err(other(match found.try_into() {
            Ok(number) => u32::from_be_bytes(number).to_string(),
            Err(_) => format!("{found:02x?}"),
        })),
        None if !is_empty(&snapshot)? => Err(other("unnumbered".to_owned())),
        None => {
            drop(snapshot);
            Ok(store.write::<_, StoreError>(Durability::Commit, |txn| {
                txn.put(Table::Files, &FORMAT_KEY, &FORMAT_VERSION.to_be_bytes())
            })?)
        }
    }
}

fn is_empty(snapshot: &Snapshot) -> Result<bool, StoreError> {
    for table in Table::ALL {
        if snapshot.seek_ge(table, &[0])?.is_some() {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tenant;
    use offshoot_store::StoreOptions;

    /// Opens the tenant after one entry was put into its store.
    fn opened_with(key: &[u8], value: &[u8]) -> Result<Tenant, EngineError> {
        let dir = tempfile::TempDir::new().unwrap();
        let options = StoreOptions {
            map_size_initial_bytes: 1 << 20,
            ..StoreOptions::default()
        };
        let store = Store::open(dir.path(), options).unwrap();
        let put = |txn: &mut offshoot_store::WriteTxn<'_>| txn.put(Table::Files, key, value);
        store
            .write::<_, StoreError>(Durability::Commit, put)
            .unwrap();
        store.close().unwrap();
        let tenant = Tenant::open(dir.path(), options)?;
        tenant.close()?;
        Tenant::open(dir.path(), options)
    }

    #[test]
    fn a_store_of_another_format_is_refused() {
        assert!(opened_with(&FORMAT_KEY, &FORMAT_VERSION.to_be_bytes()).is_ok());
        for (key, value, expected) in [
            (&FORMAT_KEY[..], &[0, 0, 0, 77][..], "77"),
            (&FORMAT_KEY, &[7], "[07]"),
            (&[0, 0, 0, 1], &[1], "unnumbered"),
        ] {
            match opened_with(key, value) {
                Err(EngineError::OtherFormat { found, .. }) => assert_eq!(found, expected),
                other => panic!("{expected}: {:?}", other.err()),
            }
        }
    }

    #[test]
    fn a_new_store_is_marked() {
        let dir = tempfile::TempDir::new().unwrap();
        for _ in 0..2 {
            let tenant = Tenant::open(dir.path(), StoreOptions::default()).unwrap();
            assert_eq!(tenant.stats().unwrap().entries, [0, 0, 1, 0]);
            tenant.close().unwrap();
        }
    }
}
