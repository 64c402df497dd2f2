//! From a page before a record to the page after it.

use offshoot_layout::{BLCKSZ, BlockKey, Fork, Page, SlruKind};
use offshoot_wal::Record;

use crate::block_redo::redo_block;
use crate::context::RedoContext;
use crate::error::RedoError;
use crate::opcode::{ImplicitRedo, Opcode};
use crate::rmgr_table;
use crate::slru::SlruBase;

/// Which of the pages that a record changes is meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// The page of the block reference with this id.
    Block(u8),
    /// This visibility-map page, of which the record clears bits without referencing it.
    VmClear(BlockKey),
    /// This free-space-map page, of which the record empties slots without referencing it.
    FsmTruncate(BlockKey),
    Slru {
        kind: SlruKind,
        page: u32,
    },
}

impl Target {
    /// The target of a record that is filed for a map page it does not reference.
    #[must_use]
    pub fn implicit(key: BlockKey) -> Target {
        match key.rel.fork {
            Fork::Fsm => Target::FsmTruncate(key),
            _ => Target::VmClear(key),
        }
    }
}

/// What became of the page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The page is what it is after the record.
    Applied,
    /// The page's LSN says that the record's change is already in it; it was left alone.
    AlreadyThere,
}

/// Brings `page` from before the record to after it.
///
/// `page` is the newest older version; zeros if there is none, which is also right for blocks
/// whose effect had base `Image` or `Init`. Records must come in the order of their LSNs.
/// After an error the page's content is undefined.
///
/// # Errors
/// [`RedoError`]; [`RedoError::Unsupported`] if the page cannot be had yet.
pub fn redo(
    record: &Record,
    target: Target,
    page: &mut Page,
    context: &RedoContext,
) -> Result<Outcome, RedoError> {
    let opcode = rmgr_table::lookup(record, context)?;
    match target {
        Target::Block(block_id) => redo_block(opcode, record, block_id, page, context),
        Target::VmClear(key) | Target::FsmTruncate(key) => {
            redo_implicit(opcode, record, key, page)?;
            Ok(Outcome::Applied)
        }
        Target::Slru { kind, page: number } => {
            redo_slru(opcode, record, kind, number, page)?;
            Ok(Outcome::Applied)
        }
    }
}

/// Not gated by the page's LSN, since these changes never advance it. Doing one twice, or on a
/// page copied later, only loses bits that are safe to lose.
fn redo_implicit(
    opcode: &Opcode,
    record: &Record,
    key: BlockKey,
    page: &mut Page,
) -> Result<(), RedoError> {
    let malformed = |reason| RedoError::malformed(opcode, record, reason);
    if matches!(opcode.implicit, Some(ImplicitRedo::Unsupported)) {
        return Err(RedoError::Unsupported {
            name: opcode.name,
            lsn: record.start,
        });
    }
    if let Some(implicit) = opcode.implicit
        && implicit.pages(record).map_err(malformed)?.contains(&key)
    {
        return implicit.apply(record, key, page).map_err(malformed);
    }
    Err(RedoError::NoSuchImplicitPage {
        name: opcode.name,
        lsn: record.start,
        key,
    })
}

/// Not gated: these pages have no LSN, and doing a change twice gives the same page.
fn redo_slru(
    opcode: &Opcode,
    record: &Record,
    kind: SlruKind,
    number: u32,
    page: &mut Page,
) -> Result<(), RedoError> {
    let malformed = |reason| RedoError::malformed(opcode, record, reason);
    if let Some(slru) = opcode.slru {
        let changes = (slru.pages)(record).map_err(malformed)?;
        let change = changes
            .iter()
            .find(|change| (change.kind, change.page) == (kind, number));
        match change.map(|change| change.base) {
            Some(SlruBase::Zero) => {
                *page = [0; BLCKSZ];
                return Ok(());
            }
            Some(SlruBase::Previous) => {
                return (slru.apply)(record, kind, number, page).map_err(malformed);
            }
            None => {}
        }
    }
    Err(RedoError::NoSuchSlruPage {
        name: opcode.name,
        lsn: record.start,
        kind,
        page: number,
    })
}
