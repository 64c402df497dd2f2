//! RUNNING_XACTS: xcnt i32, subxcnt i32, subxid_overflow u8 (padded to 4), nextXid u32,
//! oldestRunningXid u32, latestCompletedXid u32, then the xids.

use offshoot_layout::CheckPoint;
use offshoot_wal::Record;

use crate::context::RedoContext;
use crate::payload::{Malformed, Payload};
use crate::xid;

pub(crate) fn running_xacts(
    record: &Record,
    _: &RedoContext,
    state: &mut CheckPoint,
) -> Result<(), Malformed> {
    let mut payload = Payload::new(record.main_data());
    payload.take(12)?;
    let next = payload.u32()?;
    let oldest_running = payload.u32()?;
    // The transaction before the next one has been given out.
    state.next_xid = xid::next_past(state.next_xid, next.wrapping_sub(1));
    state.oldest_active_xid = oldest_running;
    Ok(())
}
