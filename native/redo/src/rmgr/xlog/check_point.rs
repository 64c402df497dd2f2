//! What XLOG records do to the checkpoint state.

use offshoot_layout::CheckPoint;
use offshoot_wal::Record;

use super::ParameterChange;
use super::record::EndOfRecovery;
use crate::context::RedoContext;
use crate::payload::{Malformed, Payload};
use crate::xid;

fn parse(record: &Record, context: &RedoContext) -> Result<CheckPoint, Malformed> {
    CheckPoint::parse(record.main_data(), context.major)
        .map_err(|_| Malformed("payload is no CheckPoint"))
}

/// Nothing runs at a shutdown, so every value in the record is exact.
pub(crate) fn checkpoint_shutdown(
    record: &Record,
    context: &RedoContext,
    state: &mut CheckPoint,
) -> Result<(), Malformed> {
    *state = parse(record, context)?;
    Ok(())
}

/// The values were taken some time before the record was written, so counters only move up
/// and nextOid, which may be below an earlier NEXTOID, does not count.
pub(crate) fn checkpoint_online(
    record: &Record,
    context: &RedoContext,
    state: &mut CheckPoint,
) -> Result<(), Malformed> {
    let logged = parse(record, context)?;
    state.redo = logged.redo;
    state.this_timeline_id = logged.this_timeline_id;
    state.prev_timeline_id = logged.prev_timeline_id;
    state.full_page_writes = logged.full_page_writes;
    state.wal_level = logged.wal_level;
    state.time = logged.time;
    state.oldest_active_xid = logged.oldest_active_xid;
    state.next_xid = state.next_xid.max(logged.next_xid);
    if xid::circle_precedes(state.next_multi, logged.next_multi) {
        state.next_multi = logged.next_multi;
    }
    if xid::circle_precedes(state.next_multi_offset, logged.next_multi_offset) {
        state.next_multi_offset = logged.next_multi_offset;
    }
    advance_oldest(state, &logged);
    Ok(())
}

fn advance_oldest(state: &mut CheckPoint, logged: &CheckPoint) {
    if xid::precedes(state.oldest_xid, logged.oldest_xid) {
        state.oldest_xid = logged.oldest_xid;
        state.oldest_xid_db = logged.oldest_xid_db;
    }
    if xid::circle_precedes(state.oldest_multi, logged.oldest_multi) {
        state.oldest_multi = logged.oldest_multi;
        state.oldest_multi_db = logged.oldest_multi_db;
    }
    // 0 means "feature off", and precedes every xid.
    if xid::precedes(state.oldest_commit_ts_xid, logged.oldest_commit_ts_xid) {
        state.oldest_commit_ts_xid = logged.oldest_commit_ts_xid;
    }
    if xid::precedes(state.newest_commit_ts_xid, logged.newest_commit_ts_xid) {
        state.newest_commit_ts_xid = logged.newest_commit_ts_xid;
    }
}

pub(crate) fn next_oid(
    record: &Record,
    _: &RedoContext,
    state: &mut CheckPoint,
) -> Result<(), Malformed> {
    state.next_oid = Payload::new(record.main_data()).u32()?;
    Ok(())
}

pub(crate) fn fpw_change(
    record: &Record,
    _: &RedoContext,
    state: &mut CheckPoint,
) -> Result<(), Malformed> {
    state.full_page_writes = Payload::new(record.main_data()).u8()? != 0;
    Ok(())
}

pub(crate) fn end_of_recovery(
    record: &Record,
    _: &RedoContext,
    state: &mut CheckPoint,
) -> Result<(), Malformed> {
    let end = EndOfRecovery::parse(record.main_data())?;
    state.this_timeline_id = end.this_timeline_id;
    state.prev_timeline_id = end.prev_timeline_id;
    Ok(())
}

/// Switching track_commit_timestamp on starts its history at the next transaction; switching
/// it off ends it.
pub(crate) fn parameter_change(
    record: &Record,
    _: &RedoContext,
    state: &mut CheckPoint,
) -> Result<(), Malformed> {
    let change = ParameterChange::parse(record.main_data())?;
    let first = match (change.track_commit_timestamp, state.oldest_commit_ts_xid) {
        (true, 0) => state.next_xid as u32,
        (true, _) => return Ok(()),
        (false, _) => 0,
    };
    state.oldest_commit_ts_xid = first;
    state.newest_commit_ts_xid = first;
    Ok(())
}
