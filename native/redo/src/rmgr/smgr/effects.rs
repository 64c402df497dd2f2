//! Sizes of forks.

use offshoot_wal::Record;

use super::record::{Truncate, parse_create};
use crate::context::RedoContext;
use crate::effect::Effect;
use crate::free_space_map::{self, FsmTruncation};
use crate::payload::Malformed;
use crate::visibility_map::{self, VmTruncation};

pub(crate) fn create(
    record: &Record,
    _: &RedoContext,
    list: &mut Vec<Effect>,
) -> Result<(), Malformed> {
    let rel = parse_create(record.main_data())?;
    list.push(Effect::Create { rel });
    Ok(())
}

/// The main fork comes into being if it is missing, as in Postgres' redo: the relation may be
/// dropped by a later record.
pub(crate) fn truncate(
    record: &Record,
    _: &RedoContext,
    list: &mut Vec<Effect>,
) -> Result<(), Malformed> {
    let truncate = Truncate::parse(record.main_data())?;
    let rel = truncate.main_fork;
    list.push(Effect::Create { rel });
    let vm_blocks = VmTruncation::of(truncate.blocks).blocks;
    let fsm_blocks = FsmTruncation::of(truncate.blocks).blocks;
    let forks = [
        (rel, truncate.blocks),
        (visibility_map::map_fork(rel), vm_blocks),
        (free_space_map::map_fork(rel), fsm_blocks),
    ];
    let covered = forks
        .into_iter()
        .filter(|(rel, _)| truncate.covers(rel.fork));
    list.extend(covered.map(|(rel, blocks)| Effect::Truncate { rel, blocks }));
    Ok(())
}
