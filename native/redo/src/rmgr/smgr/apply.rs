//! The last page that stays of each map loses what it says of the blocks that are gone.

use offshoot_layout::{BlockKey, Fork, Page};
use offshoot_wal::Record;

use super::record::Truncate;
use crate::free_space_map::{self, FsmTruncation};
use crate::payload::Malformed;
use crate::visibility_map::{self, VmTruncation};

pub(super) fn truncate_pages(record: &Record) -> Result<Vec<BlockKey>, Malformed> {
    let truncate = Truncate::parse(record.main_data())?;
    let vm = VmTruncation::of(truncate.blocks).tail_page;
    let fsm = FsmTruncation::of(truncate.blocks).tail_page;
    let tails = [
        (visibility_map::map_fork(truncate.main_fork), vm),
        (free_space_map::map_fork(truncate.main_fork), fsm),
    ];
    Ok(tails
        .into_iter()
        .filter(|(rel, _)| truncate.covers(rel.fork))
        .filter_map(|(rel, tail_page)| tail_page.map(|block| BlockKey { rel, block }))
        .collect())
}

pub(super) fn truncate(record: &Record, key: BlockKey, page: &mut Page) -> Result<(), Malformed> {
    let blocks = Truncate::parse(record.main_data())?.blocks;
    match key.rel.fork {
        Fork::Fsm => free_space_map::clear_tail(page, blocks),
        _ => visibility_map::clear_tail(page, blocks),
    }
    Ok(())
}
