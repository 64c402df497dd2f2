//! A subtransaction's xid may be in no other record, so each list counts for nextXid.

use offshoot_layout::CheckPoint;
use offshoot_wal::Record;

use super::prepare::Prepare;
use super::record::TransactionEnd;
use crate::context::RedoContext;
use crate::payload::Malformed;
use crate::xid;

/// Abort, prepared or not.
pub(crate) fn end_state(
    record: &Record,
    _: &RedoContext,
    state: &mut CheckPoint,
) -> Result<(), Malformed> {
    let end = TransactionEnd::parse(record)?;
    state.next_xid = end.xids().fold(state.next_xid, xid::next_past);
    Ok(())
}

/// Commit, prepared or not.
pub(crate) fn commit_state(
    record: &Record,
    context: &RedoContext,
    state: &mut CheckPoint,
) -> Result<(), Malformed> {
    end_state(record, context, state)?;
    if !context.track_commit_timestamp {
        return Ok(());
    }
    for xid in TransactionEnd::parse(record)?.xids() {
        if xid::precedes(state.newest_commit_ts_xid, xid) {
            state.newest_commit_ts_xid = xid;
        }
    }
    Ok(())
}

pub(crate) fn prepare_state(
    record: &Record,
    _: &RedoContext,
    state: &mut CheckPoint,
) -> Result<(), Malformed> {
    let prepare = Prepare::parse(record.main_data())?;
    let xids = std::iter::once(prepare.xid).chain(prepare.subxids);
    state.next_xid = xids.fold(state.next_xid, xid::next_past);
    Ok(())
}
