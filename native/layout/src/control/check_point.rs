//! Structure CheckPoint: 88 bytes, the payload of checkpoint records and part of pg_control.
//!
//! | field | offset | width |
//! |---|---|---|
//! | redo | 0 | 8 |
//! | ThisTimeLineID | 8 | 4 |
//! | PrevTimeLineID | 12 | 4 |
//! | fullPageWrites | 16 | 1 |
//! | wal_level | 20 | 4 (17 and later, padding before) |
//! | nextXid | 24 | 8 (epoch << 32 \| xid) |
//! | nextOid | 32 | 4 |
//! | nextMulti | 36 | 4 |
//! | nextMultiOffset | 40 | 4 |
//! | oldestXid | 44 | 4 |
//! | oldestXidDB | 48 | 4 |
//! | oldestMulti | 52 | 4 |
//! | oldestMultiDB | 56 | 4 |
//! | time | 64 | 8 |
//! | oldestCommitTsXid | 72 | 4 |
//! | newestCommitTsXid | 76 | 4 |
//! | oldestActiveXid | 80 | 4 |

use crate::{LayoutError, Lsn, le};

/// Bytes of the structure in every supported major version.
pub const SIZE_OF_CHECK_POINT: usize = 88;
/// The first major version that keeps `wal_level` in what was padding.
const WAL_LEVEL_SINCE_MAJOR: u32 = 17;

/// State of the cluster's counters at a checkpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CheckPoint {
    /// Where replay from this checkpoint starts.
    pub redo: Lsn,
    pub this_timeline_id: u32,
    pub prev_timeline_id: u32,
    pub full_page_writes: bool,
    /// minimal 0, replica 1, logical 2; 0 before major 17.
    pub wal_level: i32,
    /// Next transaction id, with the epoch in the high word.
    pub next_xid: u64,
    pub next_oid: u32,
    pub next_multi: u32,
    pub next_multi_offset: u32,
    pub oldest_xid: u32,
    pub oldest_xid_db: u32,
    pub oldest_multi: u32,
    pub oldest_multi_db: u32,
    /// Seconds since 1970.
    pub time: i64,
    pub oldest_commit_ts_xid: u32,
    pub newest_commit_ts_xid: u32,
    /// 0 in a shutdown checkpoint.
    pub oldest_active_xid: u32,
}

impl CheckPoint {
    /// Reads the structure from the start of `bytes`.
    ///
    /// # Errors
    /// [`LayoutError::TooShort`] below 88 bytes.
    pub fn parse(bytes: &[u8], major: u32) -> Result<CheckPoint, LayoutError> {
        let error = LayoutError::TooShort {
            structure: "CheckPoint",
            needed: SIZE_OF_CHECK_POINT,
            got: bytes.len(),
        };
        let fields = bytes
            .get(..SIZE_OF_CHECK_POINT)
            .and_then(Self::parse_fields);
        let check_point = fields.ok_or(error)?;
        let has_wal_level = major >= WAL_LEVEL_SINCE_MAJOR;
        let wal_level = if has_wal_level {
            check_point.wal_level
        } else {
            0
        };
        Ok(CheckPoint {
            wal_level,
            ..check_point
        })
    }

    fn parse_fields(bytes: &[u8]) -> Option<CheckPoint> {
        Some(CheckPoint {
            redo: Lsn(le::u64_at(bytes, 0)?),
            this_timeline_id: le::u32_at(bytes, 8)?,
            prev_timeline_id: le::u32_at(bytes, 12)?,
            full_page_writes: bytes[16] != 0,
            wal_level: le::i32_at(bytes, 20)?,
            next_xid: le::u64_at(bytes, 24)?,
            next_oid: le::u32_at(bytes, 32)?,
            next_multi: le::u32_at(bytes, 36)?,
            next_multi_offset: le::u32_at(bytes, 40)?,
            oldest_xid: le::u32_at(bytes, 44)?,
            oldest_xid_db: le::u32_at(bytes, 48)?,
            oldest_multi: le::u32_at(bytes, 52)?,
            oldest_multi_db: le::u32_at(bytes, 56)?,
            time: le::i64_at(bytes, 64)?,
            oldest_commit_ts_xid: le::u32_at(bytes, 72)?,
            newest_commit_ts_xid: le::u32_at(bytes, 76)?,
            oldest_active_xid: le::u32_at(bytes, 80)?,
        })
    }

    /// The structure as Postgres stores it, padding zero. `wal_level` must be 0 before major 17.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; SIZE_OF_CHECK_POINT] {
        let mut out = [0; SIZE_OF_CHECK_POINT];
        let mut put = |offset: usize, field: &[u8]| {
            out[offset..offset + field.len()].copy_from_slice(field);
        };
        put(0, &self.redo.0.to_le_bytes());
        put(8, &self.this_timeline_id.to_le_bytes());
        put(12, &self.prev_timeline_id.to_le_bytes());
        put(16, &[u8::from(self.full_page_writes)]);
        put(20, &self.wal_level.to_le_bytes());
        put(24, &self.next_xid.to_le_bytes());
        put(32, &self.next_oid.to_le_bytes());
        put(36, &self.next_multi.to_le_bytes());
        put(40, &self.next_multi_offset.to_le_bytes());
        put(44, &self.oldest_xid.to_le_bytes());
        put(48, &self.oldest_xid_db.to_le_bytes());
        put(52, &self.oldest_multi.to_le_bytes());
        put(56, &self.oldest_multi_db.to_le_bytes());
        put(64, &self.time.to_le_bytes());
        put(72, &self.oldest_commit_ts_xid.to_le_bytes());
        put(76, &self.newest_commit_ts_xid.to_le_bytes());
        put(80, &self.oldest_active_xid.to_le_bytes());
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered() -> [u8; SIZE_OF_CHECK_POINT] {
        let mut bytes: [u8; SIZE_OF_CHECK_POINT] = std::array::from_fn(|i| i as u8);
        bytes[16] = 1;
        for padding in [17..20, 60..64, 84..88] {
            bytes[padding].fill(0);
        }
        bytes
    }

    #[test]
    fn every_byte_outside_padding_round_trips() {
        let bytes = numbered();
        let check_point = CheckPoint::parse(&bytes, 17).unwrap();
        assert_eq!(check_point.to_bytes(), bytes);
        assert_eq!(check_point.next_oid, 0x2322_2120);
        assert_eq!(check_point.oldest_active_xid, 0x5352_5150);
    }

    #[test]
    fn padding_is_not_a_wal_level_before_17() {
        assert_eq!(CheckPoint::parse(&numbered(), 16).unwrap().wal_level, 0);
    }

    #[test]
    fn too_few_bytes_are_refused() {
        let error = CheckPoint::parse(&[0; 87], 15).unwrap_err();
        assert_eq!(error.to_string(), "CheckPoint needs 88 bytes, got 87");
    }
}
