//! The records that make a page from an image.

use crate::value::StoredRecord;
use crate::{EngineError, View};
use offshoot_layout::{BlockKey, Lsn, Page, page};
use offshoot_wal::Record;

/// Records of one page, collected from the newest to the oldest that is needed.
#[derive(Default)]
pub(crate) struct RecordChain(Vec<(u8, Record)>);

impl RecordChain {
    /// Adds an older record; whether it makes the page without anything older.
    pub(crate) fn push_older(
        &mut self,
        view: &View,
        stored: &StoredRecord<'_>,
        end: Lsn,
    ) -> Result<bool, EngineError> {
        let major = view.cluster()?.major;
        let record = Record::parse(stored.bytes, stored.start, end, major)?;
        let block = record.block(stored.block_id);
        let whole = block.is_some_and(|block| {
            block.will_init || block.image.as_ref().is_some_and(|image| image.apply)
        });
        self.0.push((stored.block_id, record));
        Ok(whole)
    }

    /// Applies the records, oldest first.
    pub(crate) fn apply(
        &self,
        _view: &View,
        key: &BlockKey,
        page: &mut Page,
    ) -> Result<(), EngineError> {
        for (block_id, record) in self.0.iter().rev() {
            let block = record.block(*block_id);
            let image = block.filter(|block| block.image.as_ref().is_some_and(|image| image.apply));
            let Some(block) = image else {
                let record = format!("record at {} for {key}", record.start);
                return Err(EngineError::BadRequest(format!("unsupported {record}")));
            };
            record.restore_image(block, page)?;
            if !page::is_new(page) {
                page::set_pd_lsn(page, record.end);
            }
        }
        Ok(())
    }
}
