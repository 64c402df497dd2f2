//! What can keep a record from being applied.

use offshoot_layout::{BlockKey, Lsn, SlruKind};
use offshoot_wal::{Record, WalError};

use crate::opcode::Opcode;
use crate::payload::Malformed;

/// Why `effects` or `redo` gave no answer. LSNs are the record's start, as pg_waldump prints it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RedoError {
    /// Redo of this record type is not implemented, and no image stands in for it.
    #[error("unsupported record {name} at {lsn}")]
    Unsupported { name: &'static str, lsn: Lsn },
    /// Postgres 15 has no such record; `rmgr` is the resource manager's name or number.
    #[error("unknown record: resource manager {rmgr}, info 0x{info:02X}, at {lsn}")]
    Unknown { rmgr: String, info: u8, lsn: Lsn },
    /// The payload is not what the record's type promises.
    #[error("malformed record {name} at {lsn}: {reason}")]
    Malformed {
        name: &'static str,
        lsn: Lsn,
        reason: &'static str,
    },
    /// The table of record types is that of another major version.
    #[error("records of Postgres {major} cannot be applied; supported: 15")]
    Major { major: u32 },
    /// The caller names a block reference that the record has not.
    #[error("record {name} at {lsn} has no block reference {block_id}")]
    NoSuchBlock {
        name: &'static str,
        lsn: Lsn,
        block_id: u8,
    },
    /// The caller names a map page that the record does not change implicitly.
    #[error("record {name} at {lsn} does not change {key} implicitly")]
    NoSuchImplicitPage {
        name: &'static str,
        lsn: Lsn,
        key: BlockKey,
    },
    /// The caller names an SLRU page that the record does not change.
    #[error("record {name} at {lsn} does not change {kind:?} page {page}")]
    NoSuchSlruPage {
        name: &'static str,
        lsn: Lsn,
        kind: SlruKind,
        page: u32,
    },
    /// The page has no version that the record could change: a part of its history is missing.
    #[error("record {name} at {lsn} changes {key}, of which no version is known")]
    NoBase {
        name: &'static str,
        lsn: Lsn,
        key: BlockKey,
    },
    /// An image could not be restored.
    #[error("{name}: {source}")]
    Image {
        name: &'static str,
        source: WalError,
    },
}

impl RedoError {
    pub(crate) fn malformed(opcode: &Opcode, record: &Record, malformed: Malformed) -> RedoError {
        RedoError::Malformed {
            name: opcode.name,
            lsn: record.start,
            reason: malformed.0,
        }
    }
}
