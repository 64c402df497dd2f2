//! A line of WAL history, and the lines it came from.

use crate::key_filter::{KeyFilter, KeyFilterRoom, Survey};
use crate::page_cache::PageCache;
use crate::retention::Window;
use crate::{Cluster, EngineError};
use offshoot_layout::Lsn;
use offshoot_store::{Snapshot, StoreError, Table};
use parking_lot::RwLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// What the catalog knows of a timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimelineSpec {
    /// The catalog's number for it; never used again for another.
    pub index: u32,
    /// The timeline it branched from, and the last LSN it has in common with it.
    pub parent: Option<(u32, Lsn)>,
    /// End of the last record that is in the store.
    pub last_record_lsn: Lsn,
    /// Reads before this LSN are refused.
    pub readable_from: Lsn,
}

/// An attached timeline.
pub struct Timeline {
    index: u32,
    parent: Option<(u32, Lsn)>,
    /// The parent, its parent and so on, each with the last LSN that this timeline sees of it.
    ancestors: Vec<(Arc<Timeline>, Lsn)>,
    last_record_lsn: AtomicU64,
    window: RwLock<Arc<Window>>,
    owns_data: AtomicBool,
    owns_extents: AtomicBool,
    /// Of a root timeline; its branches ask it.
    cluster: OnceLock<Cluster>,
    /// What it has may be removed from the store from then on.
    detached: AtomicBool,
    /// Of what those that are made from it see of it.
    survey: Survey,
    shared: Shared,
}

/// What all timelines of a tenant have in common.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) cache: Arc<PageCache>,
    pub(crate) filters: Arc<KeyFilterRoom>,
}

/// A timeline to look at, and what is known of what it has.
pub(crate) struct KnownLink {
    pub(crate) link: Link,
    /// `None`: nothing is known.
    pub(crate) filter: Option<Arc<KeyFilter>>,
}

/// One timeline to look at, and up to where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    pub timeline: u32,
    pub lsn: Lsn,
    /// Most branches have none: one look less for each.
    pub has_extents: bool,
    /// The first LSN of the timeline that can be read: what nobody can see from there on may have been removed.
    pub earliest: Lsn,
}

impl Timeline {
    pub(crate) fn new(
        spec: &TimelineSpec,
        parent: Option<(&Arc<Timeline>, Lsn)>,
        shared: &Shared,
        snapshot: &Snapshot,
    ) -> Result<Timeline, EngineError> {
        Ok(Timeline {
            index: spec.index,
            parent: spec.parent,
            ancestors: parent.map_or_else(Vec::new, ancestors_of),
            last_record_lsn: AtomicU64::new(spec.last_record_lsn.0),
            window: RwLock::new(Arc::new(Window::from(spec.readable_from))),
            owns_data: AtomicBool::new(has_data(snapshot, spec.index, &Table::ALL)?),
            owns_extents: AtomicBool::new(has_data(snapshot, spec.index, &[Table::Extents])?),
            cluster: OnceLock::new(),
            detached: AtomicBool::new(false),
            survey: Survey::default(),
            shared: shared.clone(),
        })
    }

    #[must_use]
    pub fn index(&self) -> u32 {
        self.index
    }

    #[must_use]
    pub fn parent(&self) -> Option<(u32, Lsn)> {
        self.parent
    }

    /// End of the last record that is in the store.
    #[must_use]
    pub fn last_record_lsn(&self) -> Lsn {
        Lsn(self.last_record_lsn.load(Ordering::Acquire))
    }

    /// To be called when everything up to `lsn` is committed. Never goes back.
    pub fn advance_last_record_lsn(&self, lsn: Lsn) {
        self.last_record_lsn.fetch_max(lsn.0, Ordering::AcqRel);
    }

    #[must_use]
    pub fn readable_from(&self) -> Lsn {
        self.window.read().readable_from()
    }

    /// The first LSN that can be read, be it a single one.
    pub(crate) fn earliest(&self) -> Lsn {
        self.window.read().earliest()
    }

    /// Where it can be read. Whoever has taken a snapshot before asks finds there all that is in the answer.
    #[must_use]
    pub fn window(&self) -> Arc<Window> {
        Arc::clone(&self.window.read())
    }

    pub fn set_readable_from(&self, lsn: Lsn) {
        *self.window.write() = Arc::new(Window::from(lsn));
    }

    /// From now on nothing else can be read. What is removed after this is what nobody can see by then.
    ///
    /// # Errors
    /// `BadRequest` for one that begins earlier, or that keeps what cannot be read any more.
    pub(crate) fn narrow_window(&self, window: Window) -> Result<(), EngineError> {
        let mut current = self.window.write();
        current.refuse_widening(&window)?;
        *current = Arc::new(window);
        Ok(())
    }

    pub(crate) fn set_detached(&self) {
        self.detached.store(true, Ordering::Release);
    }

    /// To be asked by whoever has taken a snapshot: one that was taken before has all of it.
    ///
    /// # Errors
    /// `UnknownTimeline`.
    pub(crate) fn expect_attached(&self) -> Result<(), EngineError> {
        if self.detached.load(Ordering::Acquire) {
            return Err(EngineError::UnknownTimeline(self.index));
        }
        Ok(())
    }

    pub(crate) fn set_owns_data(&self) {
        self.owns_data.store(true, Ordering::Release);
    }

    fn owns_data(&self) -> bool {
        self.owns_data.load(Ordering::Acquire)
    }

    /// To be called when extents are committed, before anyone may read them.
    pub(crate) fn set_owns_extents(&self) {
        self.owns_extents.store(true, Ordering::Release);
    }

    fn link(&self, lsn: Lsn) -> Link {
        Link {
            timeline: self.index,
            lsn,
            has_extents: self.owns_extents.load(Ordering::Acquire),
            earliest: self.earliest(),
        }
    }

    /// Where to look for what was true at `lsn`, newest first. Timelines without data of their own
    /// are left out, so that a deep tree costs no more than what was written in it.
    #[must_use]
    pub fn chain(&self, lsn: Lsn) -> Vec<Link> {
        self.with_data(lsn)
            .map(|(timeline, lsn)| timeline.link(lsn))
            .collect()
    }

    /// The same for who reads by `snapshot`, taken since this timeline was attached. In a deep tree it comes to be known
    /// which of the timelines in the middle have anything at a key: of each a little is found out now.
    pub(crate) fn known_chain(&self, lsn: Lsn, snapshot: &Snapshot) -> Vec<KnownLink> {
        let options = self.shared.filters.options;
        let surveyed = options.surveyed(self.with_data(lsn).count());
        let mut entries_left = options.entries_max;
        let known = |(at, (timeline, lsn)): (usize, (&Timeline, Lsn))| KnownLink {
            link: timeline.link(lsn),
            filter: match surveyed.contains(&at) && timeline.index != self.index {
                true => timeline.survey(lsn, snapshot, &mut entries_left),
                false => None,
            },
        };
        self.with_data(lsn).enumerate().map(known).collect()
    }

    fn with_data(&self, lsn: Lsn) -> impl Iterator<Item = (&Timeline, Lsn)> {
        let own = self.owns_data().then_some((self, lsn));
        let inherited = self.ancestors.iter().map(move |(ancestor, last)| {
            let ancestor: &Timeline = ancestor;
            (ancestor, lsn.min(*last))
        });
        own.into_iter()
            .chain(inherited.filter(|(ancestor, _)| ancestor.owns_data()))
    }

    /// What it has up to an LSN at which a branch left it.
    fn survey(
        &self,
        up_to: Lsn,
        snapshot: &Snapshot,
        entries_left: &mut usize,
    ) -> Option<Arc<KeyFilter>> {
        // It is complete up to there. If it were not, no filter could be made of it.
        if self.last_record_lsn() < up_to {
            return None;
        }
        let room = &self.shared.filters;
        self.survey
            .filter(self.index, up_to, snapshot, room, entries_left)
    }

    pub(crate) fn cache(&self) -> &PageCache {
        &self.shared.cache
    }

    /// The root's cell for what is known of the cluster.
    pub(crate) fn cluster_cell(&self) -> &OnceLock<Cluster> {
        let root = self.ancestors.last();
        root.map_or(&self.cluster, |(root, _)| &root.cluster)
    }
}

fn ancestors_of((parent, last): (&Arc<Timeline>, Lsn)) -> Vec<(Arc<Timeline>, Lsn)> {
    let older = parent.ancestors.iter();
    std::iter::once((Arc::clone(parent), last))
        .chain(older.map(|(ancestor, its_last)| (Arc::clone(ancestor), last.min(*its_last))))
        .collect()
}

fn has_data(snapshot: &Snapshot, index: u32, tables: &[Table]) -> Result<bool, StoreError> {
    for &table in tables {
        if snapshot
            .prefix(table, &index.to_be_bytes())?
            .next()
            .is_some()
        {
            return Ok(true);
        }
    }
    Ok(false)
}
