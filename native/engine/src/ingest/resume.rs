//! Going on with a timeline's WAL where the store says that it ended.

use offshoot_layout::Lsn;
use offshoot_store::{Durability, Table};
use offshoot_wal::WalParams;

use super::Ingest;
use crate::keys::{file_key, lsn_at_end};
use crate::{CheckPointState, EngineError, Tenant, TimelineSpec};

/// Timeline, kind, a and b of a key in `files`.
const FILE_PREFIX_BYTES: usize = 13;

impl Tenant {
    /// End of the last record of the timeline that is in the store; `None` when it has none of its own.
    /// Each commit of its WAL files the checkpoint state there.
    ///
    /// # Errors
    /// `Store`.
    pub fn stored_position(&self, index: u32) -> Result<Option<Lsn>, EngineError> {
        let newest = file_key(index, &CheckPointState::FILE, Lsn::MAX);
        let snapshot = self.store().read()?;
        let found = snapshot.seek_le(Table::Files, &newest)?;
        Ok(found
            .filter(|(key, _)| key.get(..FILE_PREFIX_BYTES) == Some(&newest[..FILE_PREFIX_BYTES]))
            .and_then(|(key, _)| lsn_at_end(key)))
    }

    /// Makes a timeline known whose WAL may have come further than `spec` says.
    ///
    /// # Errors
    /// As `attach`.
    pub fn attach_stored(&self, spec: &TimelineSpec) -> Result<(), EngineError> {
        let stored = self.stored_position(spec.index)?;
        let last_record_lsn =
            stored.map_or(spec.last_record_lsn, |lsn| spec.last_record_lsn.max(lsn));
        self.attach(&TimelineSpec {
            last_record_lsn,
            ..*spec
        })?;
        Ok(())
    }

    /// Goes on with a timeline's WAL, of which `wal_start` is the first record that may be missing in the
    /// store: where it follows on nothing that is there (a compute starts a WAL of its own), or `None`. The
    /// first byte to be fed is that at `Ingest::position`. There may be one ingest for a timeline.
    ///
    /// # Errors
    /// `UnknownTimeline`, `Wal` for impossible `params`, `Damaged`, `Store`.
    pub fn resume_ingest(
        &self,
        index: u32,
        params: WalParams,
        wal_start: Option<Lsn>,
    ) -> Result<Ingest, EngineError> {
        let timeline = self.timeline(index)?;
        let last = timeline.last_record_lsn();
        let mut state = {
            let view = self.view(index, last)?;
            let state = view.file(&CheckPointState::FILE)?;
            let missing = || EngineError::damaged("checkpoint state", "it is missing");
            CheckPointState::parse(state.ok_or_else(missing)?)?
        };
        let start = wal_start.unwrap_or(last).max(last);
        if start != last {
            state.last_record_start = Lsn::INVALID;
        }
        let writer = self.writer(index)?;
        let store = std::sync::Arc::clone(self.store());
        Ingest::new(params, start, store, writer, state, Durability::Commit)
    }
}
