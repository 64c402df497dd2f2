//! Payload of COMMIT, ABORT and their forms for prepared transactions, in this order:
//!
//! | part | size | present |
//! |---|---|---|
//! | time | 8 | always |
//! | xinfo | 4 | info bit 0x80 |
//! | database, tablespace | 8 | xinfo 0x001 |
//! | subtransactions: count, xids | 4 + 4n | 0x002 |
//! | dropped relations: count, RelFileNodes | 4 + 12n | 0x004 |
//! | dropped statistics: count, items | 4 + 12n | 0x100 |
//! | invalidation messages: count, items | 4 + 16n | 0x008 |
//! | xid of the prepared transaction | 4 | 0x010 |
//! | its gid, NUL-terminated | | 0x080 |
//! | origin's LSN and time | 16 | 0x020 |

use offshoot_layout::{Lsn, RelKey};
use offshoot_wal::Record;

use crate::payload::{Malformed, Payload};
use crate::rmgr::replorigin;

const RM_XACT_ID: u8 = 1;
pub(super) const XLOG_XACT_HAS_INFO: u8 = 0x80;
const XLOG_XACT_OPMASK: u8 = 0x70;
const XLOG_XACT_COMMIT: u8 = 0x00;
const XLOG_XACT_ABORT: u8 = 0x20;
const XLOG_XACT_COMMIT_PREPARED: u8 = 0x30;
const XLOG_XACT_ABORT_PREPARED: u8 = 0x40;

const XACT_XINFO_HAS_DBINFO: u32 = 1 << 0;
pub(super) const XACT_XINFO_HAS_SUBXACTS: u32 = 1 << 1;
const XACT_XINFO_HAS_RELFILENODES: u32 = 1 << 2;
const XACT_XINFO_HAS_INVALS: u32 = 1 << 3;
pub(super) const XACT_XINFO_HAS_TWOPHASE: u32 = 1 << 4;
pub(super) const XACT_XINFO_HAS_ORIGIN: u32 = 1 << 5;
const XACT_XINFO_HAS_GID: u32 = 1 << 7;
const XACT_XINFO_HAS_DROPPED_STATS: u32 = 1 << 8;

const DROPPED_STATS_ITEM_BYTES: usize = 12;
const INVALIDATION_MESSAGE_BYTES: usize = 16;

/// How a transaction ended.
pub(super) struct TransactionEnd {
    /// The transaction that ended; not the record's own for a prepared one.
    pub xid: u32,
    /// Microseconds since 2000: the end here, or at the origin if it came from one.
    pub time: i64,
    pub subxids: Vec<u32>,
    /// Relations that are gone with it, all forks.
    pub dropped: Vec<RelKey>,
    /// Whether its file in pg_twophase is gone with it.
    pub twophase: TwoPhaseFile,
    /// The origin's id (0: none) and how far it has been replicated.
    pub origin: u16,
    pub origin_lsn: Option<Lsn>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum TwoPhaseFile {
    None,
    Removed,
}

impl TransactionEnd {
    pub(super) fn parse(record: &Record) -> Result<TransactionEnd, Malformed> {
        let mut payload = Payload::new(record.main_data());
        let end_time = payload.i64()?;
        let xinfo = match record.info & XLOG_XACT_HAS_INFO {
            0 => 0,
            _ => payload.u32()?,
        };
        let has = |flag: u32| xinfo & flag != 0;
        payload.skip_items(usize::from(has(XACT_XINFO_HAS_DBINFO)), 8)?;
        let subxids = match has(XACT_XINFO_HAS_SUBXACTS) {
            true => parse_subxids(&mut payload)?,
            false => Vec::new(),
        };
        let dropped = match has(XACT_XINFO_HAS_RELFILENODES) {
            true => parse_dropped(&mut payload)?,
            false => Vec::new(),
        };
        if has(XACT_XINFO_HAS_DROPPED_STATS) {
            skip_list(&mut payload, DROPPED_STATS_ITEM_BYTES)?;
        }
        if has(XACT_XINFO_HAS_INVALS) {
            skip_list(&mut payload, INVALIDATION_MESSAGE_BYTES)?;
        }
        let (xid, twophase) = parse_xid(record, xinfo, &mut payload)?;
        let (origin_lsn, origin_time) = match has(XACT_XINFO_HAS_ORIGIN) {
            true => (Some(payload.lsn()?), Some(payload.i64()?)),
            false => (None, None),
        };
        Ok(TransactionEnd {
            xid,
            time: origin_time.unwrap_or(end_time),
            subxids,
            dropped,
            twophase,
            origin: record.origin.unwrap_or(replorigin::INVALID_ORIGIN),
            origin_lsn,
        })
    }

    /// The transaction and its subtransactions.
    pub(super) fn xids(&self) -> impl Iterator<Item = u32> {
        std::iter::once(self.xid).chain(self.subxids.iter().copied())
    }
}

/// How a transaction, or a part of one, ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Committed,
    RolledBack,
}

/// How the transaction of a commit or abort record ended, and when, by the clock of the server that wrote the
/// record: microseconds since 2000. `None` for any other record. It is the time that Postgres compares with
/// recovery_target_time; a prepared transaction's is that of COMMIT PREPARED or ROLLBACK PREPARED.
#[must_use]
pub fn fate(record: &Record) -> Option<(Fate, i64)> {
    if record.rmid != RM_XACT_ID {
        return None;
    }
    let fate = match record.info & XLOG_XACT_OPMASK {
        XLOG_XACT_COMMIT | XLOG_XACT_COMMIT_PREPARED => Fate::Committed,
        XLOG_XACT_ABORT | XLOG_XACT_ABORT_PREPARED => Fate::RolledBack,
        _ => return None,
    };
    let time = record.main_data().first_chunk()?;
    Some((fate, i64::from_le_bytes(*time)))
}

fn parse_xid(
    record: &Record,
    xinfo: u32,
    payload: &mut Payload<'_>,
) -> Result<(u32, TwoPhaseFile), Malformed> {
    let logged = match xinfo & XACT_XINFO_HAS_TWOPHASE {
        0 => None,
        _ => Some(payload.u32()?),
    };
    if logged.is_some() && xinfo & XACT_XINFO_HAS_GID != 0 {
        payload.c_string()?;
    }
    let prepared = matches!(
        record.info & XLOG_XACT_OPMASK,
        XLOG_XACT_COMMIT_PREPARED | XLOG_XACT_ABORT_PREPARED
    );
    let end = match (prepared, logged) {
        (true, Some(xid)) => (xid, TwoPhaseFile::Removed),
        (true, None) => return Err(Malformed("prepared transaction without its xid")),
        (false, _) => (record.xid, TwoPhaseFile::None),
    };
    match end.0 {
        0 => Err(Malformed("transaction without an xid")),
        _ => Ok(end),
    }
}

fn parse_subxids(payload: &mut Payload<'_>) -> Result<Vec<u32>, Malformed> {
    let count = payload.count()?;
    payload.u32s(count)
}

fn parse_dropped(payload: &mut Payload<'_>) -> Result<Vec<RelKey>, Malformed> {
    let count = payload.count()?;
    // Grows as items are found, so that a count beyond the payload allocates nothing.
    let mut dropped = Vec::new();
    for _ in 0..count {
        dropped.push(payload.rel()?);
    }
    Ok(dropped)
}

fn skip_list(payload: &mut Payload<'_>, item_bytes: usize) -> Result<(), Malformed> {
    let count = payload.count()?;
    payload.skip_items(count, item_bytes)
}
