//! Byte layouts of Postgres, per major version: nothing here does I/O or keeps state.

pub mod control;
mod error;
pub mod item;
pub mod le;
pub mod lsn;
pub mod page;
pub mod rel;
pub mod relfile;
pub mod slru;
pub mod tid;
pub mod version;
pub mod wal_page;
pub mod wal_segment;

pub use control::{CheckPoint, ControlFile};
pub use error::LayoutError;
pub use item::ItemId;
pub use lsn::{Lsn, ParseLsnError};
pub use rel::{BlockKey, Fork, RelKey};
pub use relfile::RelFile;
pub use slru::SlruKind;
pub use tid::Tid;

/// Bytes of a Postgres page; other block sizes are refused at import.
pub const BLCKSZ: usize = 8192;
/// Blocks of one relation segment file (1 GiB), as every packaged Postgres is built.
pub const RELSEG_BLOCKS: u32 = 131_072;
/// One Postgres page.
pub type Page = [u8; BLCKSZ];
