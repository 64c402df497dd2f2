//! Counters, and truncation.

use offshoot_layout::{CheckPoint, SlruKind};
use offshoot_wal::Record;

use super::record::{CreateId, TruncateId};
use crate::context::RedoContext;
use crate::effect::Effect;
use crate::payload::Malformed;
use crate::slru::{self, SlruTruncation};
use crate::xid;

pub(crate) fn create_id_state(
    record: &Record,
    _: &RedoContext,
    state: &mut CheckPoint,
) -> Result<(), Malformed> {
    let create = CreateId::parse(record.main_data())?;
    if xid::circle_precedes(state.next_multi, create.next_mid()) {
        state.next_multi = create.next_mid();
    }
    if xid::circle_precedes(state.next_multi_offset, create.end_offset()) {
        state.next_multi_offset = create.end_offset();
    }
    let xids = create.members.iter().map(|member| member.xid);
    state.next_xid = xids.fold(state.next_xid, xid::next_past);
    Ok(())
}

pub(crate) fn truncate(
    record: &Record,
    _: &RedoContext,
    list: &mut Vec<Effect>,
) -> Result<(), Malformed> {
    let truncate = TruncateId::parse(record.main_data())?;
    let members = SlruKind::MultiXactMembers;
    let offsets = SlruKind::MultiXactOffsets;
    list.push(Effect::SlruTruncate(SlruTruncation::range(
        members,
        slru::segment_of(members, truncate.start_trunc_memb),
        slru::segment_of(members, truncate.end_trunc_memb),
    )));
    list.push(Effect::SlruTruncate(SlruTruncation::before(
        offsets,
        slru::page_of(offsets, truncate.newest_truncated()),
    )));
    Ok(())
}

pub(crate) fn truncate_state(
    record: &Record,
    _: &RedoContext,
    state: &mut CheckPoint,
) -> Result<(), Malformed> {
    let truncate = TruncateId::parse(record.main_data())?;
    state.oldest_multi = truncate.end_trunc_off;
    state.oldest_multi_db = truncate.oldest_multi_db;
    Ok(())
}
