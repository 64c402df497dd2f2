//! What else commit, abort and prepare do.

use offshoot_layout::Lsn;
use offshoot_wal::Record;

use super::prepare::{self, Prepare};
use super::record::{TransactionEnd, TwoPhaseFile};
use crate::context::RedoContext;
use crate::effect::{Effect, OriginAdvance};
use crate::payload::Malformed;
use crate::rmgr::replorigin;

/// Commit and abort, prepared or not.
pub(crate) fn end(
    record: &Record,
    _: &RedoContext,
    list: &mut Vec<Effect>,
) -> Result<(), Malformed> {
    let end = TransactionEnd::parse(record)?;
    list.extend(end.dropped.iter().map(|rel| Effect::DropRelation {
        spc: rel.spcnode,
        db: rel.dbnode,
        rel: rel.relnode,
    }));
    if end.twophase == TwoPhaseFile::Removed {
        list.push(Effect::TwoPhaseEnd { xid: end.xid });
    }
    if let Some(lsn) = end.origin_lsn {
        list.extend(origin_progress(end.origin, lsn));
    }
    Ok(())
}

pub(crate) fn prepare(
    record: &Record,
    _: &RedoContext,
    list: &mut Vec<Effect>,
) -> Result<(), Malformed> {
    let main = record.main_data();
    let prepare = Prepare::parse(main)?;
    list.push(Effect::TwoPhase {
        xid: prepare.xid,
        bytes: prepare::file_bytes(main),
    });
    if let Some(node) = record.origin {
        list.extend(origin_progress(node, prepare.origin_lsn));
    }
    Ok(())
}

fn origin_progress(node: u16, remote_lsn: Lsn) -> Option<Effect> {
    replorigin::is_tracked(node).then_some(Effect::Origin {
        node,
        remote_lsn,
        advance: OriginAdvance::Forward,
    })
}
