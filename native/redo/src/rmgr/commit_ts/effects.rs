//! TRUNCATE: page i32, oldest xid u32.

use offshoot_layout::{CheckPoint, SlruKind};
use offshoot_wal::Record;

use crate::context::RedoContext;
use crate::effect::Effect;
use crate::payload::{Malformed, Payload};
use crate::slru::{self, SlruTruncation};
use crate::xid;

struct Truncate {
    cutoff_page: u32,
    oldest_xid: u32,
}

fn parse(record: &Record) -> Result<Truncate, Malformed> {
    let mut payload = Payload::new(record.main_data());
    Ok(Truncate {
        cutoff_page: slru::parse_pageno(&mut payload, SlruKind::CommitTs)?,
        oldest_xid: payload.u32()?,
    })
}

pub(crate) fn truncate(
    record: &Record,
    _: &RedoContext,
    list: &mut Vec<Effect>,
) -> Result<(), Malformed> {
    let cutoff = parse(record)?.cutoff_page;
    let truncation = SlruTruncation::before(SlruKind::CommitTs, cutoff);
    list.push(Effect::SlruTruncate(truncation));
    Ok(())
}

pub(crate) fn truncate_state(
    record: &Record,
    _: &RedoContext,
    state: &mut CheckPoint,
) -> Result<(), Malformed> {
    let oldest = parse(record)?.oldest_xid;
    // 0 means that the feature is off, and stays.
    if state.oldest_commit_ts_xid != 0 && xid::precedes(state.oldest_commit_ts_xid, oldest) {
        state.oldest_commit_ts_xid = oldest;
    }
    Ok(())
}
