//! Versioned keys in LMDB: opaque keys and values in three named tables. See the README of this folder.

mod disk_room;
mod entries;
mod error;
mod map_gate;
mod options;
mod snapshot;
mod store;
mod table;
mod usage;
mod write_txn;

pub use entries::{Entries, EntriesBack, Entry};
pub use error::StoreError;
pub use options::StoreOptions;
pub use snapshot::Snapshot;
pub use store::{Durability, Store};
pub use table::{KEY_BYTES_MAX, Table};
pub use usage::Usage;
pub use write_txn::WriteTxn;
