//! A transaction's end, with the subtransactions of one page only.

use offshoot_layout::{Lsn, SlruKind};
use offshoot_wal::Record;

use super::record::{
    TransactionEnd, TwoPhaseFile, XACT_XINFO_HAS_ORIGIN, XACT_XINFO_HAS_SUBXACTS,
    XACT_XINFO_HAS_TWOPHASE, XLOG_XACT_HAS_INFO,
};
use crate::payload::{Malformed, Payload};
use crate::slru;
use crate::slru_excerpts::SlruExcerpts;

/// All that concerns pg_xact and pg_commit_ts.
struct EndExcerpts {
    info: u8,
    end_time: i64,
    /// In numeric order: those of a page are neighbours.
    subxids: Vec<u32>,
    prepared_xid: Option<u32>,
    origin: Option<(Lsn, i64)>,
}

pub(super) fn excerpts(record: &Record) -> Result<Box<dyn SlruExcerpts + '_>, Malformed> {
    let end_time = Payload::new(record.main_data()).i64()?;
    let end = TransactionEnd::parse(record)?;
    let mut subxids = end.subxids;
    subxids.sort_unstable();
    Ok(Box::new(EndExcerpts {
        info: record.info,
        end_time,
        subxids,
        prepared_xid: (end.twophase == TwoPhaseFile::Removed).then_some(end.xid),
        origin: end.origin_lsn.map(|lsn| (lsn, end.time)),
    }))
}

impl SlruExcerpts for EndExcerpts {
    fn main_data(&self, kind: SlruKind, page: u32) -> Option<Vec<u8>> {
        let mut main = self.end_time.to_le_bytes().to_vec();
        // Without this bit there is nothing but the time.
        if self.info & XLOG_XACT_HAS_INFO == 0 {
            return Some(main);
        }
        let subxids = self.subxids_on(kind, page);
        let flag = |has: bool, flag: u32| if has { flag } else { 0 };
        let xinfo = flag(!subxids.is_empty(), XACT_XINFO_HAS_SUBXACTS)
            | flag(self.prepared_xid.is_some(), XACT_XINFO_HAS_TWOPHASE)
            | flag(self.origin.is_some(), XACT_XINFO_HAS_ORIGIN);
        main.extend(xinfo.to_le_bytes());
        if !subxids.is_empty() {
            main.extend((subxids.len() as u32).to_le_bytes());
            main.extend(subxids.iter().flat_map(|xid| xid.to_le_bytes()));
        }
        main.extend(self.prepared_xid.iter().flat_map(|xid| xid.to_le_bytes()));
        if let Some((lsn, time)) = self.origin {
            main.extend(lsn.0.to_le_bytes());
            main.extend(time.to_le_bytes());
        }
        Some(main)
    }
}

impl EndExcerpts {
    fn subxids_on(&self, kind: SlruKind, page: u32) -> &[u32] {
        let page_of = |xid: &u32| slru::page_of(kind, *xid);
        let first = self.subxids.partition_point(|xid| page_of(xid) < page);
        let behind = self.subxids.partition_point(|xid| page_of(xid) <= page);
        self.subxids.get(first..behind).unwrap_or_default()
    }
}
