//! The 24 bytes every record begins with.
//!
//! | field | offset | width |
//! |---|---|---|
//! | xl_tot_len | 0 | 4 |
//! | xl_xid | 4 | 4 |
//! | xl_prev | 8 | 8 |
//! | xl_info | 16 | 1 |
//! | xl_rmid | 17 | 1 (then 2 of zero padding) |
//! | xl_crc | 20 | 4 |

use offshoot_layout::{Lsn, le};

/// Bytes of the header; no record is shorter.
pub const SIZE_OF_RECORD_HEADER: usize = 24;
const CRC_AT: usize = 20;
/// Built-in resource managers are 0 to this.
const RM_MAX_BUILTIN: u8 = 21;
/// Extensions' resource managers begin here, since major 15.
const RM_MIN_CUSTOM: u8 = 128;
const CUSTOM_RMGRS_SINCE_MAJOR: u32 = 15;

/// A record's header; nothing in it is validated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecordHeader {
    /// Bytes of the record, header included, padding after it not.
    pub total_len: u32,
    /// The writing (sub)transaction, or 0.
    pub xid: u32,
    /// Start of the record before this one.
    pub prev: Lsn,
    /// Opcode in the high four bits, generic flags in the low.
    pub info: u8,
    pub rmid: u8,
    pub crc: u32,
}

impl RecordHeader {
    /// Reads the header at the start of `bytes`; `None` if it does not fit.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<RecordHeader> {
        let header = bytes.get(..SIZE_OF_RECORD_HEADER)?;
        Some(RecordHeader {
            total_len: le::u32_at(header, 0)?,
            xid: le::u32_at(header, 4)?,
            prev: Lsn(le::u64_at(header, 8)?),
            info: header[16],
            rmid: header[17],
            crc: le::u32_at(header, CRC_AT)?,
        })
    }

    /// The header's bytes; the CRC is as given.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; SIZE_OF_RECORD_HEADER] {
        let mut out = [0; SIZE_OF_RECORD_HEADER];
        out[0..4].copy_from_slice(&self.total_len.to_le_bytes());
        out[4..8].copy_from_slice(&self.xid.to_le_bytes());
        out[8..16].copy_from_slice(&self.prev.0.to_le_bytes());
        out[16] = self.info;
        out[17] = self.rmid;
        out[CRC_AT..].copy_from_slice(&self.crc.to_le_bytes());
        out
    }

    /// Whether `major` can have written a record of this resource manager.
    pub(crate) fn has_known_rmid(&self, major: u32) -> bool {
        self.rmid <= RM_MAX_BUILTIN
            || (major >= CUSTOM_RMGRS_SINCE_MAJOR && self.rmid >= RM_MIN_CUSTOM)
    }
}

/// CRC-32C of a record: its payload first, then the header up to the CRC field.
/// `None` if `record` is shorter than a header.
pub(crate) fn crc_of(record: &[u8]) -> Option<u32> {
    let payload = crc32c::crc32c(record.get(SIZE_OF_RECORD_HEADER..)?);
    Some(crc32c::crc32c_append(payload, &record[..CRC_AT]))
}

/// Writes a record's CRC into its header; a shorter slice is left alone.
pub(crate) fn seal(record: &mut [u8]) {
    if let Some(crc) = crc_of(record) {
        record[CRC_AT..SIZE_OF_RECORD_HEADER].copy_from_slice(&crc.to_le_bytes());
    }
}
