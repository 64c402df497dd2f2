//! One imported cluster with all its timelines: one store.

use crate::format::check_format;
use crate::key_filter::{KeyFilterOptions, KeyFilterRoom};
use crate::page_cache::PageCache;
use crate::read_stats::{ReadCounts, ReadStats};
use crate::retention::Window;
use crate::timeline::Shared;
use crate::{EngineError, PageWriter, Timeline, TimelineSpec, View};
use offshoot_layout::Lsn;
use offshoot_store::{Snapshot, Store, StoreOptions, Usage};
use parking_lot::RwLock;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// Limits of one tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TenantOptions {
    pub store: StoreOptions,
    /// Memory for pages that took redo to make.
    pub page_cache_bytes: u64,
    /// What is known of which pages timelines have.
    pub key_filters: KeyFilterOptions,
}

impl Default for TenantOptions {
    fn default() -> TenantOptions {
        TenantOptions {
            store: StoreOptions::default(),
            page_cache_bytes: 64 << 20,
            key_filters: KeyFilterOptions::default(),
        }
    }
}

impl From<StoreOptions> for TenantOptions {
    fn from(store: StoreOptions) -> TenantOptions {
        TenantOptions {
            store,
            ..TenantOptions::default()
        }
    }
}

/// How often a moment is looked for in which a window and a last record fit together.
const READABLE_NOW_ATTEMPTS: usize = 3;

/// A moment of a timeline.
pub(crate) struct ReadableNow {
    pub(crate) last_record_lsn: Lsn,
    pub(crate) snapshot: Snapshot,
    pub(crate) window: Arc<Window>,
}

/// A tenant's store and the timelines the catalog told us of.
pub struct Tenant {
    store: Arc<Store>,
    shared: Shared,
    reads: ReadStats,
    timelines: RwLock<HashMap<u32, Arc<Timeline>>>,
}

impl Tenant {
    /// Opens the tenant's store in `dir`; no timeline is attached yet.
    ///
    /// # Errors
    /// `OtherFormat`, `Store`.
    pub fn open(dir: &Path, options: impl Into<TenantOptions>) -> Result<Tenant, EngineError> {
        let options = options.into();
        let store = Store::open(dir, options.store)?;
        check_format(&store)?;
        Ok(Tenant {
            store: Arc::new(store),
            shared: Shared {
                cache: Arc::new(PageCache::new(options.page_cache_bytes)),
                filters: Arc::new(KeyFilterRoom::new(options.key_filters)),
            },
            reads: ReadStats::default(),
            timelines: RwLock::default(),
        })
    }

    /// Makes a timeline known. Attaching it again, with the same parent, moves `readable_from`, and
    /// `last_record_lsn` if that goes forward.
    ///
    /// # Errors
    /// `UnknownTimeline` for a parent that is not attached, `TimelineConflict`, `Store`.
    pub fn attach(&self, spec: &TimelineSpec) -> Result<Arc<Timeline>, EngineError> {
        let snapshot = self.store.read()?;
        let mut timelines = self.timelines.write();
        if let Some(known) = timelines.get(&spec.index) {
            if known.parent() != spec.parent {
                return Err(EngineError::TimelineConflict(spec.index));
            }
            known.advance_last_record_lsn(spec.last_record_lsn);
            known.set_readable_from(spec.readable_from);
            return Ok(Arc::clone(known));
        }
        let parent = spec.parent.map(|(index, lsn)| {
            let parent = timelines.get(&index);
            parent
                .map(|parent| (parent, lsn))
                .ok_or(EngineError::UnknownTimeline(index))
        });
        let timeline = Arc::new(Timeline::new(
            spec,
            parent.transpose()?,
            &self.shared,
            &snapshot,
        )?);
        timelines.insert(spec.index, Arc::clone(&timeline));
        Ok(timeline)
    }

    /// Forgets a timeline; its branches keep what they need of it, and the store keeps its data.
    pub fn detach(&self, index: u32) {
        if let Some(timeline) = self.timelines.write().remove(&index) {
            timeline.set_detached();
        }
    }

    /// An attached timeline.
    ///
    /// # Errors
    /// `UnknownTimeline`.
    pub fn timeline(&self, index: u32) -> Result<Arc<Timeline>, EngineError> {
        let timelines = self.timelines.read();
        timelines
            .get(&index)
            .cloned()
            .ok_or(EngineError::UnknownTimeline(index))
    }

    /// A timeline at any LSN, whether or not it is one that may be served.
    ///
    /// # Errors
    /// `UnknownTimeline`, `Store`.
    pub fn view(&self, index: u32, lsn: Lsn) -> Result<View, EngineError> {
        let timeline = self.timeline(index)?;
        let snapshot = self.store.read()?;
        timeline.expect_attached()?;
        Ok(View::new(snapshot, &timeline, lsn))
    }

    /// A timeline at an LSN that may be served; at its newest when `lsn` is `None`.
    ///
    /// # Errors
    /// `NotReadable`, `UnknownTimeline`, `Store`.
    pub fn readable_view(&self, index: u32, lsn: Option<Lsn>) -> Result<View, EngineError> {
        let timeline = self.timeline(index)?;
        let now = self.readable_now(&timeline)?;
        let last_record_lsn = now.last_record_lsn;
        let lsn = lsn.unwrap_or(last_record_lsn);
        if lsn > last_record_lsn || !now.window.covers(lsn) {
            return Err(EngineError::NotReadable {
                lsn,
                readable_from: now.window.readable_from(),
                last_record_lsn,
            });
        }
        Ok(View::new(now.snapshot, &timeline, lsn))
    }

    /// A snapshot, and what of the timeline can be read in it. The order is what makes that true: the snapshot has all
    /// up to a last record that was asked for before it, and all of a window that is asked for after it.
    ///
    /// # Errors
    /// `Store`, `UnknownTimeline`.
    pub(crate) fn readable_now(&self, timeline: &Timeline) -> Result<ReadableNow, EngineError> {
        let mut attempts = 0;
        loop {
            let last_record_lsn = timeline.last_record_lsn();
            let snapshot = self.store.read()?;
            timeline.expect_attached()?;
            let window = timeline.window();
            attempts += 1;
            // Between two looks both may have moved on. What stays so is a timeline that is not complete yet.
            let is_settled = window.readable_from() <= last_record_lsn || window.is_closed();
            if is_settled || attempts == READABLE_NOW_ATTEMPTS {
                return Ok(ReadableNow {
                    last_record_lsn,
                    snapshot,
                    window,
                });
            }
        }
    }

    /// A writer for a timeline; only one at a time.
    ///
    /// # Errors
    /// `UnknownTimeline`.
    pub fn writer(&self, index: u32) -> Result<PageWriter, EngineError> {
        Ok(PageWriter::new(
            Arc::clone(&self.store),
            self.timeline(index)?,
        ))
    }

    /// For who files what `PageWriter` does not.
    pub(crate) fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// Puts on disk what was committed with `Durability::Later`.
    ///
    /// # Errors
    /// `Store`.
    pub fn sync(&self) -> Result<(), EngineError> {
        Ok(self.store.sync()?)
    }

    /// What the store holds.
    ///
    /// # Errors
    /// `Store`.
    pub fn stats(&self) -> Result<Usage, EngineError> {
        Ok(self.store.usage()?)
    }

    pub(crate) fn reads(&self) -> &ReadStats {
        &self.reads
    }

    /// How pages were made that page requests have asked for.
    #[must_use]
    pub fn read_counts(&self) -> ReadCounts {
        self.reads.counts()
    }

    /// Bytes of pages that took redo to make, and are kept.
    #[must_use]
    pub fn cached_bytes(&self) -> u64 {
        self.shared.cache.bytes()
    }

    /// Ends the tenant: waits for what is being read or written.
    ///
    /// # Errors
    /// `Store`, with `StillRead` when a view stays out.
    pub fn close(&self) -> Result<(), EngineError> {
        self.timelines.write().clear();
        Ok(self.store.close()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_comes_late_to_a_timeline_that_is_detached_reads_nothing_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let tenant = Tenant::open(dir.path(), TenantOptions::default()).unwrap();
        let spec = TimelineSpec {
            index: 1,
            parent: None,
            last_record_lsn: Lsn(10),
            readable_from: Lsn(10),
        };
        // Found before it is detached, and read after: its pages may be gone by then.
        let found = tenant.attach(&spec).unwrap();
        assert!(tenant.readable_now(&found).is_ok());
        tenant.detach(1);
        let unknown = |error| matches!(error, EngineError::UnknownTimeline(1));
        assert!(tenant.readable_now(&found).is_err_and(unknown));
        // Attached again it is another.
        let again = tenant.attach(&spec).unwrap();
        assert!(tenant.readable_now(&again).is_ok());
        assert!(tenant.readable_now(&found).is_err());
    }
}
