//! Which version of a page needs nothing older.

use std::ops::Bound;

use offshoot_layout::{BlockKey, Lsn};
use offshoot_store::Table;

use crate::keys::{lsn_at_end, version_key};
use crate::redo_record::RecordChain;
use crate::value::{Version, parse_version};
use crate::{EngineError, Link, View};

impl View {
    /// LSN of the newest version that holds all of a relation's page; `None` when there never was one.
    ///
    /// # Errors
    /// `Store`, `Damaged`.
    pub(crate) fn newest_whole(&self, key: &BlockKey) -> Result<Option<Lsn>, EngineError> {
        let history = self.size_history(&key.rel)?;
        if history.blocks.is_none_or(|blocks| key.block >= blocks) {
            return Ok(None);
        }
        let void_before = history.void_before(key.block);
        for link in self.chain_with_page(key) {
            if link.lsn < void_before {
                break;
            }
            let found = self.newest_whole_of(*link, key, void_before)?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    fn newest_whole_of(
        &self,
        link: Link,
        key: &BlockKey,
        void_before: Lsn,
    ) -> Result<Option<Lsn>, EngineError> {
        let in_extent = self.newest_in_extent(link, key, void_before)?;
        let in_extent = in_extent.map(|(lsn, _)| lsn);
        let oldest = version_key(link.timeline, key, in_extent.unwrap_or(void_before));
        let newest = version_key(link.timeline, key, link.lsn);
        let range = (Bound::Included(&oldest[..]), Bound::Included(&newest[..]));
        let versions = self
            .snapshot()
            .range_back(Table::Versions, range.0, range.1)?;
        for entry in versions {
            let (found, value) = entry?;
            let lsn = lsn_at_end(found).unwrap_or_default();
            let group = match parse_version(value, lsn)? {
                Version::Image(_) => return Ok(Some(lsn)),
                Version::Records(group) => group,
            };
            let mut whole = None;
            let mut room = Vec::new();
            for record in group.records(&mut room)? {
                let record = record?;
                if record.end <= link.lsn && RecordChain::default().push_older(self, &record)? {
                    whole = Some(record.end);
                }
            }
            if whole.is_some() {
                return Ok(whole);
            }
        }
        Ok(in_extent)
    }
}
