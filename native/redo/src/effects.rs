//! From a record to what the ingest must do for it.

use offshoot_layout::{Fork, SlruKind};
use offshoot_wal::{BlockRef, Record};

use crate::context::RedoContext;
use crate::effect::{Effect, PageBase};
use crate::error::RedoError;
use crate::opcode::{BlockRedo, Opcode};
use crate::payload::Malformed;
use crate::rmgr_table;
use crate::slru::SlruBase;
use crate::xid;

/// What must be done for the record, in order.
///
/// # Errors
/// [`RedoError::Unknown`], [`RedoError::Malformed`], [`RedoError::Major`]. A record without
/// redo is no error here: the pages it is filed for will say so when they are asked for.
pub fn effects(record: &Record, context: &RedoContext) -> Result<Vec<Effect>, RedoError> {
    let opcode = rmgr_table::lookup(record, context)?;
    let mut list = Vec::new();
    collect(opcode, record, context, &mut list)
        .map_err(|malformed| RedoError::malformed(opcode, record, malformed))?;
    Ok(list)
}

fn collect(
    opcode: &Opcode,
    record: &Record,
    context: &RedoContext,
    list: &mut Vec<Effect>,
) -> Result<(), Malformed> {
    if xid::is_normal(record.xid) || opcode.check_point.is_some() {
        list.push(Effect::CheckPoint);
    }
    for block in &record.blocks {
        list.push(page_effect(opcode, block)?);
    }
    add_implicit(opcode, record, list)?;
    add_slru(opcode, record, context, list)?;
    opcode
        .effects
        .map_or(Ok(()), |effects| effects(record, context, list))
}

fn page_effect(opcode: &Opcode, block: &BlockRef) -> Result<Effect, Malformed> {
    let base = page_base(block);
    match opcode.blocks {
        BlockRedo::NoBlocks => Err(Malformed("block reference in a record that has none")),
        BlockRedo::Images if base != PageBase::Image => Err(Malformed("block without its image")),
        _ => Ok(Effect::Page {
            block_id: block.id,
            key: block.key,
            base,
        }),
    }
}

/// What redo of this block reference starts from.
pub(crate) fn page_base(block: &BlockRef) -> PageBase {
    match &block.image {
        Some(image) if image.apply => PageBase::Image,
        _ if block.will_init => PageBase::Init,
        _ => PageBase::Previous,
    }
}

fn add_implicit(opcode: &Opcode, record: &Record, list: &mut Vec<Effect>) -> Result<(), Malformed> {
    let Some(implicit) = opcode.implicit else {
        return Ok(());
    };
    for key in implicit.pages(record)? {
        list.push(match key.rel.fork {
            Fork::Fsm => Effect::FsmTruncate { key },
            _ => Effect::VmClear { key },
        });
    }
    Ok(())
}

fn add_slru(
    opcode: &Opcode,
    record: &Record,
    context: &RedoContext,
    list: &mut Vec<Effect>,
) -> Result<(), Malformed> {
    let Some(slru) = opcode.slru else {
        return Ok(());
    };
    for change in (slru.pages)(record)? {
        let (kind, page) = (change.kind, change.page);
        match change.base {
            SlruBase::Zero => list.push(Effect::SlruZero { kind, page }),
            // While the feature is off nobody makes pages for the entries.
            SlruBase::Previous if kind == SlruKind::CommitTs && !context.track_commit_timestamp => {
            }
            SlruBase::Previous => list.push(Effect::Slru { kind, page }),
        }
    }
    Ok(())
}
