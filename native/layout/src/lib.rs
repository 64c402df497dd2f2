//! Byte layouts of Postgres, per major version: nothing here does I/O or keeps state.

pub mod lsn;
pub mod rel;

pub use lsn::{Lsn, ParseLsnError};
pub use rel::{BlockKey, Fork, RelKey};

/// Bytes of a Postgres page; other block sizes are refused at import.
pub const BLCKSZ: usize = 8192;
/// Blocks of one relation segment file (1 GiB), as every packaged Postgres is built.
pub const RELSEG_BLOCKS: u32 = 131_072;
/// One Postgres page.
pub type Page = [u8; BLCKSZ];
