//! The counters that pg_control and the next checkpoint record must have at every LSN.

use offshoot_layout::CheckPoint;
use offshoot_wal::Record;

use crate::context::RedoContext;
use crate::error::RedoError;
use crate::{rmgr_table, xid};

/// Whether a record changed the checkpoint state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StateChange {
    Changed,
    Unchanged,
}

/// Brings the state from before the record to after it.
///
/// nextXid, nextOid, nextMulti and nextMultiOffset are never behind what the record uses; the
/// oldest* fields may lag, which only delays truncation. After an error `state` is as before.
///
/// # Errors
/// [`RedoError::Unknown`], [`RedoError::Malformed`], [`RedoError::Major`].
pub fn apply_checkpoint_state(
    state: &mut CheckPoint,
    record: &Record,
    context: &RedoContext,
) -> Result<StateChange, RedoError> {
    let opcode = rmgr_table::lookup(record, context)?;
    let mut after = *state;
    after.next_xid = xid::next_past(after.next_xid, record.xid);
    if let Some(check_point) = opcode.check_point {
        check_point(record, context, &mut after)
            .map_err(|malformed| RedoError::malformed(opcode, record, malformed))?;
    }
    let changed = *state != after;
    *state = after;
    Ok(if changed {
        StateChange::Changed
    } else {
        StateChange::Unchanged
    })
}
