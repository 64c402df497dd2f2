//! Redo of pg_xact and pg_commit_ts pages.

use offshoot_layout::{Page, SlruKind};
use offshoot_wal::Record;

use super::record::TransactionEnd;
use crate::payload::Malformed;
use crate::rmgr::clog::TransactionStatus;
use crate::rmgr::{clog, commit_ts};
use crate::slru::{self, SlruChange};

pub(super) fn abort_pages(record: &Record) -> Result<Vec<SlruChange>, Malformed> {
    let end = TransactionEnd::parse(record)?;
    Ok(slru::changes(SlruKind::Xact, end.xids()))
}

pub(super) fn commit_pages(record: &Record) -> Result<Vec<SlruChange>, Malformed> {
    let end = TransactionEnd::parse(record)?;
    let mut pages = slru::changes(SlruKind::Xact, end.xids());
    pages.extend(slru::changes(SlruKind::CommitTs, end.xids()));
    Ok(pages)
}

pub(super) fn abort(
    record: &Record,
    _: SlruKind,
    number: u32,
    page: &mut Page,
) -> Result<(), Malformed> {
    let end = TransactionEnd::parse(record)?;
    clog::set_status(page, number, end.xids(), TransactionStatus::Aborted);
    Ok(())
}

pub(super) fn commit(
    record: &Record,
    kind: SlruKind,
    number: u32,
    page: &mut Page,
) -> Result<(), Malformed> {
    let end = TransactionEnd::parse(record)?;
    match kind {
        SlruKind::CommitTs => commit_ts::set(page, number, end.xids(), end.time, end.origin),
        _ => clog::set_status(page, number, end.xids(), TransactionStatus::Committed),
    }
    Ok(())
}
