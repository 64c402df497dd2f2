//! WAL records: from stream bytes to parsed records, and back for the few we write ourselves.

mod block;
mod decoder;
mod error;
pub mod generate;
mod header;
mod image;
mod params;
mod payload;
mod pglz;
mod record;

pub use block::{BlockRef, BlockRefs, Compression, ImageRef};
pub use decoder::WalDecoder;
pub use error::WalError;
pub use header::{RecordHeader, SIZE_OF_RECORD_HEADER};
pub use params::{RECORD_BYTES_MAX_DEFAULT, WalParams};
pub use record::Record;

/// Resource manager of checkpoints, full-page images and segment switches.
pub const RM_XLOG_ID: u8 = 0;
/// RM_XLOG opcode: a checkpoint that nothing follows but a clean start.
pub const XLOG_CHECKPOINT_SHUTDOWN: u8 = 0x00;
/// RM_XLOG opcode: the rest of the segment is unused.
pub const XLOG_SWITCH: u8 = 0x40;
/// RM_XLOG opcode: stands where an abandoned record's continuation would have been.
pub const XLOG_OVERWRITE_CONTRECORD: u8 = 0xD0;

/// Positions are refused from here on, so that adding byte counts to one cannot overflow.
pub(crate) const LSN_LIMIT: u64 = 1 << 63;
