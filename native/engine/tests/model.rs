//! Random histories on a tree of timelines, against a model that keeps a full copy per LSN.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use offshoot_engine::extent::EXTENT_BLOCKS;
use offshoot_engine::record_group::IMPLICIT_BLOCK;
use offshoot_engine::{
    Checksums, Durability, Holders, KeyFilterOptions, Look, PageWriter, Portion, RecordAt,
    TimelineSpec, Window,
};
use offshoot_layout::{BLCKSZ, Fork, Lsn, Page, RelKey, page};
use offshoot_redo::PageBase;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;
use support::{
    CONTEXT, TestTenant, block, full_page_image, heap_delete, page_of, rel, tenant_with,
};

/// Of two extents, their first blocks and those at the border.
const BLOCKS: [u32; 6] = [0, 1, 2, 15, 16, 17];
const BLOCKS_MAX: u32 = 18;

/// One change to one fork.
#[derive(Debug, Clone)]
enum Change {
    Image {
        block: u32,
        tag: u32,
    },
    /// Pages of one extent, by their place in `BLOCKS`; `None` is not among them.
    Extent {
        number: u32,
        tags: [Option<u32>; 6],
    },
    /// The same as an image by a WAL record.
    FullPageImage {
        block: u32,
        tag: u32,
    },
    /// A record on the heap clears bits of its visibility map's first page.
    VmClear {
        heap_block: u32,
    },
    Extend {
        blocks: u32,
    },
    Truncate {
        blocks: u32,
    },
    Drop,
}

#[derive(Debug, Clone)]
enum Step {
    /// Changes of one record: all at one LSN.
    Record(usize, Vec<(u8, Change)>),
    /// Makes what was written visible.
    Commit(usize),
    /// The same, while more is written.
    CommitBehind(usize),
    /// A writer that knows nothing.
    NewWriter(usize),
    /// A child at some LSN that can be read.
    Branch(usize, prop::sample::Index),
    Collect(Collect),
    /// What is found out by then of what timelines have is not all that they will have.
    Read(usize, prop::sample::Index),
    Reopen,
}

/// Less can be read of a timeline, and some of what cannot be is removed.
#[derive(Debug, Clone)]
struct Collect {
    on: usize,
    readable_from: prop::sample::Index,
    /// Further LSNs that stay, by their place among those that can be read and are before that.
    kept: Vec<prop::sample::Index>,
    steps: usize,
}

const HEAP: u8 = 0;
const VM: u8 = 1;

fn a_rel(number: u8) -> RelKey {
    match number {
        HEAP => rel(100, Fork::Main),
        VM => rel(100, Fork::Vm),
        _ => rel(101, Fork::Main),
    }
}

fn change() -> impl Strategy<Value = Change> {
    let block = || prop::sample::select(&BLOCKS[..]);
    let tag = || 0..50_u32;
    let tags = prop::array::uniform6(prop::option::of(tag()));
    prop_oneof![
        6 => (block(), tag()).prop_map(|(block, tag)| Change::Image { block, tag }),
        4 => (block(), tag()).prop_map(|(block, tag)| Change::FullPageImage { block, tag }),
        4 => (0..2_u32, tags).prop_map(|(number, tags)| Change::Extent { number, tags }),
        4 => (0..400_u32).prop_map(|heap_block| Change::VmClear { heap_block }),
        1 => (0..=BLOCKS_MAX).prop_map(|blocks| Change::Extend { blocks }),
        2 => block().prop_map(|blocks| Change::Truncate { blocks }),
        1 => Just(Change::Drop),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let timeline = 0..6_usize;
    let changes = prop::collection::vec((0..3_u8, change()), 1..4);
    prop_oneof![
        12 => (timeline.clone(), changes).prop_map(|(on, changes)| Step::Record(on, changes)),
        3 => timeline.clone().prop_map(Step::Commit),
        3 => timeline.clone().prop_map(Step::CommitBehind),
        1 => timeline.clone().prop_map(Step::NewWriter),
        2 => (timeline.clone(), any::<prop::sample::Index>()).prop_map(|(of, at)| Step::Branch(of, at)),
        2 => collect(timeline.clone()).prop_map(Step::Collect),
        3 => (timeline, any::<prop::sample::Index>()).prop_map(|(on, at)| Step::Read(on, at)),
        1 => Just(Step::Reopen),
    ]
}

fn collect(timeline: std::ops::Range<usize>) -> impl Strategy<Value = Collect> {
    let kept = prop::collection::vec(any::<prop::sample::Index>(), 0..3);
    let all = (timeline, any::<prop::sample::Index>(), kept, 0..40_usize);
    all.prop_map(|(on, readable_from, kept, steps)| Collect {
        on,
        readable_from,
        kept,
        steps,
    })
}

/// Few at a time, so that steps end amid everything.
const LOOK: Look = Look {
    entries_max: 7,
    time_max: Duration::from_secs(60),
    portion: Portion {
        entries_max: 2,
        bytes_max: 9000,
    },
};

/// Of all timelines but the one that is read, a few keys at a time.
const SURVEYED: KeyFilterOptions = KeyFilterOptions {
    bytes_max: 1 << 20,
    shallow: 0,
    nearest: 0,
    farthest: 0,
    entries_max: 9,
};

/// The blocks of each fork that exists.
type State = BTreeMap<RelKey, Vec<Rc<Page>>>;

fn zeros() -> Rc<Page> {
    Rc::new([0; BLCKSZ])
}

fn extend(blocks: &mut Vec<Rc<Page>>, count: u32) {
    blocks.resize(blocks.len().max(count as usize), zeros());
}

/// Block and page of those that an extent has.
fn pages_of(number: u32, tags: &[Option<u32>; 6]) -> BTreeMap<u32, Box<Page>> {
    let of_extent = BLOCKS.iter().zip(tags);
    let of_extent = of_extent.filter(|(block, _)| **block / EXTENT_BLOCKS == number);
    of_extent
        .filter_map(|(block, tag)| tag.map(|tag| (*block, page_of(tag))))
        .collect()
}

/// What one timeline was at each LSN where it changed.
#[derive(Clone)]
struct History {
    states: BTreeMap<u64, State>,
    spec: TimelineSpec,
    /// What can be read before `spec.readable_from`.
    kept: BTreeSet<u64>,
}

impl History {
    fn at(&self, lsn: u64) -> State {
        let newest = self.states.range(..=lsn).next_back();
        newest.map_or_else(State::new, |(_, state)| state.clone())
    }

    fn covers(&self, lsn: u64) -> bool {
        lsn >= self.spec.readable_from.0 || self.kept.contains(&lsn)
    }

    fn window(&self) -> Window {
        Window::new(self.spec.readable_from, self.kept.iter().copied().map(Lsn))
    }

    fn last(&self) -> u64 {
        self.states.keys().next_back().copied().unwrap_or(1)
    }
}

fn apply_to_model(state: &mut State, rel: RelKey, lsn: u64, change: &Change) {
    match *change {
        Change::Image { block, tag } | Change::FullPageImage { block, tag } => {
            let blocks = state.entry(rel).or_default();
            extend(blocks, block + 1);
            let mut page = *page_of(tag);
            if matches!(change, Change::FullPageImage { .. }) && tag > 0 {
                page::set_pd_lsn(&mut page, Lsn(lsn));
            }
            blocks[block as usize] = Rc::new(page);
        }
        Change::Extent { number, ref tags } => {
            for (block, page) in pages_of(number, tags) {
                let blocks = state.entry(rel).or_default();
                extend(blocks, block + 1);
                blocks[block as usize] = Rc::new(*page);
            }
        }
        Change::VmClear { heap_block } => {
            let map = state
                .get_mut(&a_rel(VM))
                .and_then(|blocks| blocks.first_mut());
            if let Some(map) = map {
                let byte = 24 + heap_block as usize / 4;
                Rc::make_mut(map)[byte] &= !(3 << (2 * (heap_block % 4)));
            }
        }
        Change::Extend { blocks } => extend(state.entry(rel).or_default(), blocks),
        Change::Truncate { blocks: count } => {
            if let Some(blocks) = state.get_mut(&rel) {
                blocks.truncate(count as usize);
            }
        }
        Change::Drop => {
            state.remove(&rel);
        }
    }
}

fn apply_to_engine(writer: &mut PageWriter, rel: RelKey, lsn: Lsn, change: &Change) {
    let at = |block_id, base| RecordAt {
        start: Lsn(lsn.0 - 4),
        end: lsn,
        block_id,
        base,
    };
    match *change {
        Change::Image { block: number, tag } => {
            writer.image(&block(rel, number), lsn, &page_of(tag));
            writer.extend(&rel, lsn, number + 1).unwrap();
        }
        Change::FullPageImage { block: number, tag } => {
            let key = block(rel, number);
            writer.record(
                &key,
                at(0, PageBase::Image),
                &full_page_image(key, &page_of(tag)),
            );
            writer.extend(&rel, lsn, number + 1).unwrap();
        }
        Change::Extent { number, ref tags } => {
            let pages = pages_of(number, tags);
            let first = number * EXTENT_BLOCKS;
            let slots = (first..first + EXTENT_BLOCKS).map(|block| pages.get(&block));
            let slots: Vec<_> = slots.map(|page| page.map(|page| &**page)).collect();
            writer.extent(&block(rel, first), lsn, slots.into_iter());
            if let Some((last, _)) = pages.last_key_value() {
                writer.extend(&rel, lsn, last + 1).unwrap();
            }
        }
        Change::VmClear { heap_block } => {
            let (heap, map) = (block(a_rel(HEAP), heap_block), block(a_rel(VM), 0));
            if writer
                .size(&map.rel)
                .unwrap()
                .is_some_and(|blocks| blocks > 0)
            {
                writer.record(
                    &map,
                    at(IMPLICIT_BLOCK, PageBase::Previous),
                    &heap_delete(heap),
                );
            }
        }
        Change::Extend { blocks } => writer.extend(&rel, lsn, blocks).unwrap(),
        Change::Truncate { blocks } => writer.truncate(&rel, lsn, blocks).unwrap(),
        Change::Drop => writer.drop_relation(&rel, lsn).unwrap(),
    }
}

/// In real WAL no record both writes a page and makes it void afterwards, and none changes a page twice;
/// what is written as an extent comes before single pages.
fn is_possible(changes: &[(u8, Change)]) -> bool {
    let clears = |(_, change): &&(u8, Change)| matches!(change, Change::VmClear { .. });
    let cuts = |change: &Change| matches!(change, Change::Truncate { .. } | Change::Drop);
    if changes.iter().any(|change| clears(&change)) {
        return changes.len() == 1;
    }
    let extent = |change: &Change| matches!(change, Change::Extent { .. });
    (0..3).all(|rel| {
        let of_rel = changes.iter().filter(|(number, _)| *number == rel);
        let of_rel = of_rel.skip_while(|(_, change)| cuts(change));
        let mut after_first = of_rel.enumerate();
        !after_first.any(|(at, (_, change))| cuts(change) || (at > 0 && extent(change)))
    })
}

struct Run {
    tenant: Option<TestTenant>,
    histories: Vec<History>,
    writers: Vec<Option<PageWriter>>,
    lsn: u64,
    /// Nothing was ever removed: also what cannot be read is what it was.
    all_there: bool,
}

impl Run {
    fn new() -> Run {
        let history = History {
            states: BTreeMap::new(),
            spec: support::root(),
            kept: BTreeSet::new(),
        };
        Run {
            tenant: Some(tenant_with(Checksums::Off, SURVEYED)),
            histories: vec![history],
            writers: vec![None],
            lsn: 8,
            all_there: true,
        }
    }

    fn tenant(&self) -> &TestTenant {
        self.tenant.as_ref().unwrap()
    }

    fn writer(&mut self, on: usize) -> &mut PageWriter {
        let index = self.histories[on].spec.index;
        let tenant = self.tenant.as_ref().unwrap();
        self.writers[on].get_or_insert_with(|| {
            let mut writer = tenant.writer(index).unwrap();
            // Few, so that images come between records of which there are few here.
            writer.write_images(CONTEXT, 2);
            writer
        })
    }

    fn commit(&mut self, on: usize) {
        let lsn = Lsn(self.lsn);
        let writer = self.writer(on);
        writer.commit(Durability::Later).unwrap();
        writer.timeline().advance_last_record_lsn(lsn);
    }

    fn step(&mut self, step: &Step) {
        let count = self.histories.len();
        match step {
            Step::Record(on, changes) if is_possible(changes) => self.record(on % count, changes),
            Step::Record(..) => {}
            Step::Commit(on) => self.commit(on % count),
            Step::CommitBehind(on) => {
                let lsn = Lsn(self.lsn);
                let writer = self.writer(on % count);
                writer.commit_behind(Durability::Later, lsn).unwrap();
            }
            Step::NewWriter(on) => {
                self.commit(on % count);
                self.writers[on % count] = None;
            }
            Step::Branch(of, at) => self.branch(of % count, *at),
            Step::Collect(collect) => self.collect(collect.on % count, collect),
            Step::Read(on, at) => self.read(on % count, *at),
            Step::Reopen => self.reopen(),
        }
    }

    fn record(&mut self, on: usize, changes: &[(u8, Change)]) {
        self.lsn += 8;
        let lsn = self.lsn;
        let mut state = self.histories[on].at(lsn);
        for (number, change) in changes {
            apply_to_model(&mut state, a_rel(*number), lsn, change);
            apply_to_engine(self.writer(on), a_rel(*number), Lsn(lsn), change);
        }
        self.histories[on].states.insert(lsn, state);
    }

    /// At an LSN that is committed, as the catalog sees to.
    fn branch(&mut self, of: usize, at: prop::sample::Index) {
        self.commit(of);
        let parent = &self.histories[of];
        let lsns = parent.states.keys().copied();
        let lsns: Vec<u64> = lsns.filter(|lsn| parent.covers(*lsn)).collect();
        let lsn = if lsns.is_empty() {
            parent.spec.readable_from.0
        } else {
            lsns[at.index(lsns.len())]
        };
        let spec = TimelineSpec {
            index: self.histories.len() as u32 + 1,
            parent: Some((parent.spec.index, Lsn(lsn))),
            last_record_lsn: Lsn(lsn),
            readable_from: Lsn(lsn),
        };
        let states = parent
            .states
            .range(..=lsn)
            .map(|(at, state)| (*at, state.clone()));
        let states = states.collect();
        self.tenant().attach(&spec).unwrap();
        self.histories.push(History {
            states,
            spec,
            kept: BTreeSet::new(),
        });
        self.writers.push(None);
    }

    fn read(&mut self, on: usize, at: prop::sample::Index) {
        self.commit(on);
        let history = &self.histories[on];
        let lsns: Vec<u64> = (1..=history.last())
            .filter(|lsn| history.covers(*lsn))
            .collect();
        if !lsns.is_empty() {
            compare_at(self.tenant(), history, lsns[at.index(lsns.len())]);
        }
    }

    fn reopen(&mut self) {
        for on in 0..self.histories.len() {
            self.commit(on);
        }
        self.writers.iter_mut().for_each(|writer| *writer = None);
        self.tenant = self.tenant.take().map(TestTenant::reopened);
        for history in &self.histories {
            // All of it was committed.
            let spec = TimelineSpec {
                last_record_lsn: Lsn(self.lsn.max(history.spec.last_record_lsn.0)),
                ..history.spec
            };
            self.tenant().attach(&spec).unwrap();
            let (index, window) = (spec.index, history.window());
            self.tenant().narrow_window(index, window).unwrap();
        }
    }

    /// As whoever keeps the books does: LSNs that branches start from stay, and others that somebody asks for in time.
    fn collect(&mut self, on: usize, collect: &Collect) {
        let index = self.histories[on].spec.index;
        let last = self.tenant().timeline(index).unwrap().last_record_lsn().0;
        let from = self.histories[on].spec.readable_from.0;
        let next = from + collect.readable_from.index((last - from + 1) as usize) as u64;
        let history = &self.histories[on];
        let could: Vec<u64> = (1..next).filter(|lsn| history.covers(*lsn)).collect();
        let chosen = collect.kept.iter().filter(|_| !could.is_empty());
        let mut kept: BTreeSet<u64> = chosen.map(|at| could[at.index(could.len())]).collect();
        let starts = self.histories.iter().filter_map(|child| child.spec.parent);
        let starts = starts.filter(|(parent, _)| *parent == index);
        kept.extend(starts.map(|(_, lsn)| lsn.0).filter(|lsn| *lsn < next));
        self.histories[on].spec.readable_from = Lsn(next);
        self.histories[on].kept = kept;
        let window = self.histories[on].window();
        self.tenant().narrow_window(index, window).unwrap();
        self.walk(index, collect.steps);
    }

    fn walk(&mut self, index: u32, steps: usize) {
        let mut cursor = Vec::new();
        for _ in 0..steps {
            self.all_there = false;
            let step = self
                .tenant()
                .collect(index, &cursor, LOOK, &Holders::default())
                .unwrap();
            assert_eq!(step.damaged, 0);
            match step.next {
                Some(next) => cursor = next,
                None => return,
            }
        }
    }

    fn compare(&mut self) {
        for on in 0..self.histories.len() {
            self.commit(on);
        }
        for history in &self.histories {
            for lsn in (1..=history.last() + 8).step_by(4) {
                let covered = history.covers(lsn);
                if covered || self.all_there {
                    compare_at(self.tenant(), history, lsn);
                }
                if !covered {
                    let index = history.spec.index;
                    let refused = self.tenant().readable_view(index, Some(Lsn(lsn)));
                    assert!(refused.is_err(), "timeline {index} at {lsn}");
                }
            }
            for lsn in &history.kept {
                compare_at(self.tenant(), history, *lsn);
            }
        }
    }

    /// Whatever is left of what nobody can read goes.
    fn collect_all(&mut self) {
        for on in 0..self.histories.len() {
            let index = self.histories[on].spec.index;
            self.walk(index, usize::MAX);
        }
    }
}

fn compare_at(tenant: &TestTenant, history: &History, lsn: u64) {
    let (index, state) = (history.spec.index, history.at(lsn));
    let view = tenant.view(index, Lsn(lsn)).unwrap();
    let at = format!("timeline {index} at {lsn}");
    let listed: State = view
        .relations(1663, 5)
        .unwrap()
        .into_iter()
        .map(|(rel, blocks)| (rel, vec![zeros(); blocks as usize]))
        .collect();
    let blank = |blocks: &Vec<_>| vec![zeros(); blocks.len()];
    let expected = state.iter().map(|(rel, blocks)| (*rel, blank(blocks)));
    assert!(listed == expected.collect::<State>(), "{at}");
    for number in 0..3 {
        let rel = a_rel(number);
        let blocks = state.get(&rel);
        let size = view.size(&rel).unwrap();
        assert_eq!(size, blocks.map(|blocks| blocks.len() as u32), "{rel} {at}");
        for number in BLOCKS.into_iter().chain([3, BLOCKS_MAX]) {
            let mut page = [0xEE; BLCKSZ];
            let made = view.page(&block(rel, number), &mut page);
            let behind = |page: Option<&Rc<Page>>| page.cloned().unwrap_or_else(zeros);
            let expected = blocks.map(|blocks| behind(blocks.get(number as usize)));
            match expected.or((rel.fork == Fork::Vm).then(zeros)) {
                Some(expected) => {
                    made.unwrap();
                    assert!(page == *expected, "{rel} block {number} {at}");
                }
                None => assert!(made.is_err(), "{rel} block {number} {at}"),
            }
        }
    }
}

/// More by hand: OFFSHOOT_MODEL_CASES=3000.
fn cases() -> u32 {
    let asked = std::env::var("OFFSHOOT_MODEL_CASES").ok();
    asked.and_then(|cases| cases.parse().ok()).unwrap_or(60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_page_at_every_lsn_of_every_timeline(steps in prop::collection::vec(step(), 1..60)) {
        let mut run = Run::new();
        for step in &steps {
            run.step(step);
        }
        run.compare();
        run.collect_all();
        run.compare();
    }
}
