//! A timeline as it was at an LSN.

use crate::key_filter::Probe;
use crate::keys::size_key;
use crate::sizes::{SizeHistory, add_cuts, newest_entry};
use crate::timeline::KnownLink;
use crate::{CheckPointState, Checksums, Cluster, EngineError, FileKey, FileKind, Link, Timeline};
use offshoot_layout::{Lsn, RelKey};
use offshoot_redo::RedoContext;
use offshoot_store::{Snapshot, Table};
use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;

/// Size histories that one view remembers.
const REMEMBERED_SIZES_MAX: usize = 4096;

/// Reads one timeline at one LSN, from one snapshot of the store. Keep it short, as a snapshot; whether
/// the LSN is one that may be read is asked before (`Tenant::pages`, `Tenant::readable_view`).
pub struct View {
    snapshot: Snapshot,
    timeline: Arc<Timeline>,
    lsn: Lsn,
    chain: Vec<KnownLink>,
    sizes: RefCell<HashMap<RelKey, Arc<SizeHistory>>>,
    redo_context: OnceCell<RedoContext>,
}

impl View {
    pub(crate) fn new(snapshot: Snapshot, timeline: &Arc<Timeline>, lsn: Lsn) -> View {
        View {
            chain: timeline.known_chain(lsn, &snapshot),
            snapshot,
            timeline: Arc::clone(timeline),
            lsn,
            sizes: RefCell::default(),
            redo_context: OnceCell::new(),
        }
    }

    /// The same timeline at another LSN, on the same snapshot.
    pub fn move_to(&mut self, lsn: Lsn) {
        if lsn != self.lsn {
            self.lsn = lsn;
            self.chain = self.timeline.known_chain(lsn, &self.snapshot);
            self.sizes.get_mut().clear();
            self.redo_context.take();
        }
    }

    #[must_use]
    pub fn lsn(&self) -> Lsn {
        self.lsn
    }

    #[must_use]
    pub fn timeline(&self) -> &Arc<Timeline> {
        &self.timeline
    }

    /// How often the store was looked into for it.
    #[must_use]
    pub fn looks(&self) -> u64 {
        self.snapshot.looks()
    }

    pub(crate) fn chain(&self) -> impl DoubleEndedIterator<Item = &Link> {
        self.chain.iter().map(|known| &known.link)
    }

    /// Those of the chain that may have something there.
    pub(crate) fn chain_with(&self, probe: Probe) -> impl Iterator<Item = &Link> {
        self.chain_with_any(move |_| [Some(probe), None])
    }

    /// The same for one of two probes, as far as they say anything of a link.
    pub(crate) fn chain_with_any(
        &self,
        probes: impl Fn(&Link) -> [Option<Probe>; 2],
    ) -> impl Iterator<Item = &Link> {
        let may_have = move |known: &&KnownLink| match &known.filter {
            None => true,
            Some(filter) => probes(&known.link)
                .into_iter()
                .flatten()
                .any(|probe| filter.may_have(probe)),
        };
        self.chain.iter().filter(may_have).map(|known| &known.link)
    }

    pub(crate) fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Blocks of a fork; `None` when it does not exist. Also for an SLRU segment: `keys::slru_segment_rel`.
    ///
    /// # Errors
    /// `Store`, `Damaged`.
    pub fn size(&self, rel: &RelKey) -> Result<Option<u32>, EngineError> {
        Ok(self.size_history(rel)?.blocks)
    }

    /// A fork's size and what made versions of it void.
    ///
    /// # Errors
    /// `Store`, `Damaged`.
    pub fn size_history(&self, rel: &RelKey) -> Result<Arc<SizeHistory>, EngineError> {
        if let Some(known) = self.sizes.borrow().get(rel) {
            return Ok(Arc::clone(known));
        }
        let history = Arc::new(self.find_size_history(rel)?);
        let mut sizes = self.sizes.borrow_mut();
        if sizes.len() >= REMEMBERED_SIZES_MAX {
            sizes.clear();
        }
        sizes.insert(*rel, Arc::clone(&history));
        Ok(history)
    }

    fn find_size_history(&self, rel: &RelKey) -> Result<SizeHistory, EngineError> {
        let mut history = SizeHistory::default();
        let mut found_size = false;
        let probe = Probe::of_key(Table::Sizes, &size_key(0, rel, Lsn::INVALID));
        for link in self.chain_with(probe) {
            let newest = newest_entry(&self.snapshot, link.timeline, rel, link.lsn)?;
            let Some(newest) = newest else {
                continue;
            };
            if !found_size {
                history.blocks = newest.1.blocks;
                found_size = true;
            }
            let of = (link.timeline, link.earliest);
            add_cuts(&self.snapshot, of, rel, newest, &mut history)?;
            if history.is_complete() {
                break;
            }
        }
        Ok(history)
    }

    /// What redo has to know of the cluster.
    ///
    /// # Errors
    /// `Damaged` when there is no pg_control that we know.
    pub fn cluster(&self) -> Result<Cluster, EngineError> {
        let cell = self.timeline.cluster_cell();
        if let Some(known) = cell.get() {
            return Ok(*known);
        }
        let control = self.file(&FileKey::new(FileKind::Control, 0, 0))?;
        let control = control.ok_or_else(|| EngineError::damaged("pg_control", "it is missing"))?;
        let cluster = Cluster::from_control(control)?;
        Ok(*cell.get_or_init(|| cluster))
    }

    /// The settings that records before this LSN are applied with.
    pub(crate) fn redo_context(&self) -> Result<RedoContext, EngineError> {
        if let Some(known) = self.redo_context.get() {
            return Ok(*known);
        }
        let cluster = self.cluster()?;
        let state = self
            .file(&CheckPointState::FILE)?
            .map(CheckPointState::parse);
        let state = state.transpose()?;
        let context = RedoContext {
            major: cluster.major,
            checksums: cluster.checksums == Checksums::On,
            wal_log_hints: state.is_some_and(|state| state.control.wal_log_hints),
            // Of no use to redo: what was to be done was decided when the record was filed.
            track_commit_timestamp: false,
        };
        Ok(*self.redo_context.get_or_init(|| context))
    }
}
