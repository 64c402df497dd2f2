//! The records that make a page from an image.

use crate::keys::slru_of;
use crate::page_cache::PageState;
use crate::record_group::{IMPLICIT_BLOCK, StoredRecord};
use crate::{EngineError, View};
use offshoot_layout::{BlockKey, Page};
use offshoot_redo::{RedoContext, Target, redo};
use offshoot_wal::Record;

/// Records of one page, collected from the newest to the oldest that is needed.
#[derive(Default)]
pub(crate) struct RecordChain {
    records: Vec<(u8, Record)>,
    /// What they make.
    state: Option<PageState>,
}

impl RecordChain {
    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    /// The newest record makes this state.
    pub(crate) fn begin(&mut self, state: PageState) {
        self.state = Some(state);
    }

    /// What the records make; `None` when there are none.
    pub(crate) fn state(&self) -> Option<PageState> {
        self.state
    }

    /// Adds an older record; whether it makes the page without anything older.
    pub(crate) fn push_older(
        &mut self,
        view: &View,
        stored: &StoredRecord<'_>,
    ) -> Result<bool, EngineError> {
        let major = view.cluster()?.major;
        let record = Record::parse(stored.bytes, stored.start, stored.end, major)?;
        let block = record.block(stored.block_id);
        let whole = block.is_some_and(|block| {
            block.will_init || block.image.as_ref().is_some_and(|image| image.apply)
        });
        self.records.push((stored.block_id, record));
        Ok(whole)
    }

    /// Applies the records, oldest first. A page from a base backup may be newer than where it is
    /// filed: redo leaves out what the page's own LSN says it has.
    pub(crate) fn apply(
        &self,
        view: &View,
        key: &BlockKey,
        page: &mut Page,
    ) -> Result<(), EngineError> {
        if self.records.is_empty() {
            return Ok(());
        }
        let context = view.redo_context()?;
        for (block_id, record) in self.records.iter().rev() {
            redo(record, target(*block_id, key), page, &context)?;
        }
        Ok(())
    }
}

/// Applies records one by one; keeps the memory of one record for the next.
#[derive(Default)]
pub(crate) struct StoredRedo {
    record: Record,
}

impl StoredRedo {
    /// Applies one record to the page before it.
    pub(crate) fn apply(
        &mut self,
        stored: &StoredRecord<'_>,
        key: &BlockKey,
        page: &mut Page,
        context: &RedoContext,
    ) -> Result<(), EngineError> {
        let StoredRecord { start, end, .. } = *stored;
        self.record
            .parse_into(stored.bytes, start, end, context.major)?;
        redo(&self.record, target(stored.block_id, key), page, context)?;
        Ok(())
    }
}

fn target(block_id: u8, key: &BlockKey) -> Target {
    match (block_id, slru_of(&key.rel)) {
        (_, Some(kind)) => Target::Slru {
            kind,
            page: key.block,
        },
        (IMPLICIT_BLOCK, None) => Target::implicit(*key),
        (block_id, None) => Target::Block(block_id),
    }
}
