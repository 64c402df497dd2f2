//! Payload of PREPARE: the file in pg_twophase, but for its CRC. It begins with
//!
//! | field | offset | width |
//! |---|---|---|
//! | magic | 0 | 4 |
//! | total_len, CRC included | 4 | 4 |
//! | xid | 8 | 4 |
//! | database | 12 | 4 |
//! | prepared_at | 16 | 8 |
//! | owner | 24 | 4 |
//! | nsubxacts | 28 | 4 |
//! | other counts | 32 | 20 |
//! | initfileinval | 52 | 1 |
//! | gidlen | 54 | 2 |
//! | origin_lsn | 56 | 8 |
//! | origin_timestamp | 64 | 8 |
//!
//! followed, each aligned to 8, by the gid, the subtransactions' xids, and more.

use offshoot_layout::Lsn;

use crate::payload::{Malformed, Payload};

const TWOPHASE_MAGIC: u32 = 0x57F9_4534;
const HEADER_BYTES: usize = 72;
const CRC_BYTES: usize = 4;

/// A transaction that was prepared.
pub(super) struct Prepare {
    pub xid: u32,
    pub subxids: Vec<u32>,
    pub origin_lsn: Lsn,
}

impl Prepare {
    pub(super) fn parse(main: &[u8]) -> Result<Prepare, Malformed> {
        let mut payload = Payload::new(main);
        if payload.u32()? != TWOPHASE_MAGIC {
            return Err(Malformed("no two-phase state"));
        }
        if payload.u32()? as usize != main.len() + CRC_BYTES {
            return Err(Malformed("two-phase state of another length"));
        }
        let xid = payload.u32()?;
        payload.take(16)?;
        let nsubxacts = payload.count()?;
        payload.take(22)?;
        let gid_len = usize::from(payload.u16()?);
        let origin_lsn = payload.lsn()?;
        let subxids_at = HEADER_BYTES + gid_len.next_multiple_of(8);
        let after_gid = main.get(subxids_at..);
        let after_gid = after_gid.ok_or(Malformed("two-phase state ends in its gid"))?;
        Ok(Prepare {
            xid,
            subxids: Payload::new(after_gid).u32s(nsubxacts)?,
            origin_lsn,
        })
    }
}

/// The file's content: the payload and its CRC.
pub(super) fn file_bytes(main: &[u8]) -> Vec<u8> {
    let mut bytes = main.to_vec();
    bytes.extend(crc32c::crc32c(main).to_le_bytes());
    bytes
}
