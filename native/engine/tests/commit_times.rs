//! From a time to an LSN: as Postgres' recovery_target_time, over batches, crashes and branches.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use offshoot_engine::commit_times::{CommitsAround, LsnAtTime};
use offshoot_engine::{
    CheckPointState, Checksums, Durability, EngineError, Holders, Ingest, Look, TimelineSpec,
    Window,
};
use offshoot_layout::Lsn;
use offshoot_wal::WalParams;
use offshoot_wal::generate::{RecordDraft, WalStream};
use proptest::prelude::*;
use support::{TestTenant, control, tenant};

const PARAMS: WalParams = WalParams {
    major: 15,
    system_id: 1,
    seg_size: 16 << 20,
    tli: 1,
};
const START: Lsn = Lsn((16 << 20) + 40);
/// How far the WAL of a branch begins behind the branch's LSN at least.
const SEGMENT: u64 = 16 << 20;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Commit,
    Abort,
    /// A record of another kind, so many bytes long.
    Other(usize),
}

#[derive(Debug, Clone, Copy)]
struct Known {
    start: Lsn,
    end: Lsn,
    time: i64,
    committed: bool,
}

/// What a timeline is expected to hold: every commit and rollback that it sees.
#[derive(Debug, Clone)]
struct Model {
    index: u32,
    endings: Vec<Known>,
    readable_from: Lsn,
    /// What can be read before that.
    kept: Vec<Lsn>,
    /// Where branches of it start.
    starts: Vec<Lsn>,
    newest: Lsn,
}

struct World {
    tenant: TestTenant,
    timelines: Vec<Model>,
}

fn record((kind, time): (Kind, i64)) -> RecordDraft {
    let (rmid, info, main) = match kind {
        Kind::Commit => (1, 0x00, time.to_le_bytes().to_vec()),
        Kind::Abort => (1, 0x20, time.to_le_bytes().to_vec()),
        // XLOG/NOOP
        Kind::Other(bytes) => (0, 0x20, vec![7; bytes]),
    };
    RecordDraft {
        rmid,
        info,
        xid: 800,
        main,
        ..RecordDraft::default()
    }
}

impl World {
    fn new(checkpoint_unix_seconds: i64) -> World {
        let tenant = tenant(Checksums::Off);
        let mut control = control(Checksums::Off);
        control.check_point_copy.time = checkpoint_unix_seconds;
        let state = CheckPointState {
            control,
            last_record_start: Lsn::INVALID,
        };
        let mut writer = tenant.writer(1).unwrap();
        writer.file(&CheckPointState::FILE, START, Some(&state.encode()));
        writer.commit(Durability::Later).unwrap();
        let root = Model {
            index: 1,
            endings: Vec::new(),
            readable_from: START,
            kept: Vec::new(),
            starts: Vec::new(),
            newest: START,
        };
        let world = World {
            tenant,
            timelines: vec![root],
        };
        world.attach(0, None);
        world
    }

    fn attach(&self, at: usize, parent: Option<(u32, Lsn)>) {
        let Model {
            index,
            readable_from,
            newest,
            ..
        } = self.timelines[at];
        let spec = TimelineSpec {
            index,
            parent,
            last_record_lsn: newest,
            readable_from,
        };
        self.tenant.attach(&spec).unwrap();
    }

    fn ingest(&self, at: usize, wal_start: Option<Lsn>) -> Ingest {
        let Model { index, .. } = self.timelines[at];
        self.tenant.resume_ingest(index, PARAMS, wal_start).unwrap()
    }

    /// Takes batches in; the ingest begins anew after each that is said to end with a crash.
    fn write(&mut self, at: usize, batches: &[(Vec<(Kind, i64)>, bool)]) {
        let model = &self.timelines[at];
        let own = self.tenant.stored_position(model.index).unwrap();
        let wal_start = own
            .is_none()
            .then_some(Lsn(model.newest.0.next_multiple_of(SEGMENT) + 40));
        let mut ingest = self.ingest(at, wal_start);
        let previous = ingest.last_record_start().unwrap_or(Lsn::INVALID);
        let mut stream = WalStream::new(PARAMS, ingest.position(), previous).unwrap();
        let mut fed = 0;
        for (batch, crash) in batches {
            for (kind, time) in batch {
                let start = stream.append(&record((*kind, *time))).unwrap();
                if matches!(kind, Kind::Commit | Kind::Abort) {
                    self.timelines[at].endings.push(Known {
                        start,
                        end: stream.end(),
                        time: *time,
                        committed: *kind == Kind::Commit,
                    });
                }
            }
            ingest.feed(&stream.bytes()[fed..]).unwrap();
            ingest.commit().unwrap();
            fed = stream.bytes().len();
            self.timelines[at].newest = ingest.position();
            if *crash {
                drop(ingest);
                ingest = self.ingest(at, None);
            }
        }
    }

    fn branch(&mut self, parent: usize, lsn: Lsn) {
        let from = &self.timelines[parent];
        let child = Model {
            index: self.timelines.len() as u32 + 1,
            endings: seen(from, lsn),
            readable_from: lsn,
            kept: Vec::new(),
            starts: Vec::new(),
            newest: lsn,
        };
        let from = &mut self.timelines[parent];
        from.starts.push(lsn);
        let parent = (from.index, lsn);
        self.timelines.push(child);
        self.attach(self.timelines.len() - 1, Some(parent));
    }

    /// Removes what cannot be read from `readable_from` on, nor at `also` or where branches start.
    fn collect(&mut self, at: usize, readable_from: Lsn, also: Lsn) {
        let model = &mut self.timelines[at];
        let starts = model.starts.iter().copied();
        let could = |lsn: &Lsn| *lsn >= model.readable_from || model.kept.contains(lsn);
        let kept = starts.chain(Some(also)).filter(could);
        let kept = kept.filter(|lsn| *lsn < readable_from).collect();
        (model.kept, model.readable_from) = (kept, readable_from);
        let window = Window::new(readable_from, model.kept.iter().copied());
        self.tenant.narrow_window(model.index, window).unwrap();
        let mut cursor = Vec::new();
        let look = Look {
            entries_max: 3,
            ..Look::default()
        };
        while let Some(next) = {
            let step = self
                .tenant
                .collect(model.index, &cursor, look, &Holders::default())
                .unwrap();
            step.next
        } {
            cursor = next;
        }
    }

    fn check(&self, at: usize, times: impl Iterator<Item = i64>) {
        let model = &self.timelines[at];
        for time in times {
            let found = self.tenant.lsn_at_time(model.index, time).unwrap();
            assert_eq!(found, model.lsn_at_time(time), "{time} of {model:?}");
        }
        let interesting = model.endings.iter().flat_map(|ending| {
            let Known { start, end, .. } = *ending;
            [start, Lsn(start.0 + 1), Lsn(end.0 - 1), end, Lsn(end.0 + 1)]
        });
        let ends = [model.readable_from, model.newest].into_iter();
        for lsn in interesting.chain(ends).chain(model.kept.iter().copied()) {
            let found = self.tenant.commits_around(model.index, lsn);
            let in_window = (model.readable_from..=model.newest).contains(&lsn);
            if !in_window && !model.kept.contains(&lsn) {
                assert!(matches!(found, Err(EngineError::NotReadable { .. })));
                continue;
            }
            let last = last_commit(model, lsn);
            let mut commits = model.endings.iter().filter(|ending| ending.committed);
            let next = commits.find(|commit| commit.end > lsn);
            let next = next.map(|commit| commit.time);
            let expected = CommitsAround { last, next };
            assert_eq!(found.unwrap(), expected, "{lsn} of {model:?}");
        }
    }
}

fn seen(model: &Model, lsn: Lsn) -> Vec<Known> {
    let endings = model.endings.iter().copied();
    endings.filter(|ending| ending.end <= lsn).collect()
}

fn last_commit(model: &Model, lsn: Lsn) -> Option<i64> {
    let mut before = seen(model, lsn).into_iter().rev();
    before
        .find(|ending| ending.committed)
        .map(|commit| commit.time)
}

impl Model {
    fn lsn_at_time(&self, time: i64) -> LsnAtTime {
        let before = seen(self, self.readable_from).into_iter();
        let first = self.endings.first().map(|ending| ending.time);
        let known_from = before.map(|ending| ending.time).max().or(first);
        if known_from.is_none_or(|known| time < known) {
            return LsnAtTime::TooEarly { known_from };
        }
        let later = self.endings.iter().find(|ending| ending.time > time);
        let lsn = later.map_or(self.newest, |ending| ending.start.max(self.readable_from));
        LsnAtTime::Found {
            lsn,
            last_commit: last_commit(self, lsn),
            is_newest: later.is_none(),
        }
    }
}

fn commits(times: &[i64]) -> Vec<(Kind, i64)> {
    times.iter().map(|time| (Kind::Commit, *time)).collect()
}

#[test]
fn recovery_would_stop_at_the_same_record() {
    let mut world = World::new(0);
    // As written: the second commit took its time before the first.
    world.write(0, &[(commits(&[100, 90, 110, 105, 120]), false)]);
    let starts: Vec<_> = world.timelines[0].endings.iter().map(|c| c.start).collect();
    let newest = world.timelines[0].newest;
    for (time, lsn, last_commit, is_newest) in [
        (100, starts[2], 90, false),
        (109, starts[2], 90, false),
        (110, starts[4], 105, false),
        (119, starts[4], 105, false),
        (120, newest, 120, true),
        (i64::MAX, newest, 120, true),
    ] {
        let expected = LsnAtTime::Found {
            lsn,
            last_commit: Some(last_commit),
            is_newest,
        };
        assert_eq!(world.tenant.lsn_at_time(1, time).unwrap(), expected);
    }
    world.check(0, 80..130);
}

#[test]
fn recovery_would_stop_before_a_rollback_too() {
    let mut world = World::new(0);
    let rollbacks = (0..2500).map(|number| (Kind::Abort, 200 + number));
    let batch = commits(&[100]).into_iter().chain(rollbacks);
    world.write(0, &[(batch.collect(), false), (commits(&[5000]), false)]);
    let second = world.timelines[0].endings[2];
    let expected = LsnAtTime::Found {
        lsn: second.start,
        last_commit: Some(100),
        is_newest: false,
    };
    assert_eq!(world.tenant.lsn_at_time(1, 200).unwrap(), expected);
    // Runs of rollbacks alone lie between the two commits.
    for at in [1, 1500, 2499] {
        let lsn = world.timelines[0].endings[at].end;
        let around = world.tenant.commits_around(1, lsn).unwrap();
        let expected = CommitsAround {
            last: Some(100),
            next: Some(5000),
        };
        assert_eq!(around, expected, "{at}");
    }
}

#[test]
fn nothing_is_known_before_the_first_commit_but_for_the_checkpoint() {
    let too_early = |known_from| LsnAtTime::TooEarly { known_from };
    let mut world = World::new(0);
    assert_eq!(world.tenant.lsn_at_time(1, 5).unwrap(), too_early(None));
    world.write(0, &[(commits(&[50]), false)]);
    assert_eq!(
        world.tenant.lsn_at_time(1, 49).unwrap(),
        too_early(Some(50))
    );
    world.check(0, 40..60);

    // The checkpoint of the base backup, at 10 s: nothing was committed between it and the first commit.
    let mut world = World::new(946_684_800 + 10);
    let second = 1_000_000;
    for time in [11 * second - 1, i64::MIN] {
        let found = world.tenant.lsn_at_time(1, time).unwrap();
        assert_eq!(found, too_early(Some(11 * second)));
    }
    let quiet = LsnAtTime::Found {
        lsn: START,
        last_commit: None,
        is_newest: true,
    };
    assert_eq!(world.tenant.lsn_at_time(1, 11 * second).unwrap(), quiet);
    world.write(0, &[(commits(&[20 * second]), false)]);
    let expected = LsnAtTime::Found {
        lsn: world.timelines[0].endings[0].start,
        last_commit: None,
        is_newest: false,
    };
    assert_eq!(world.tenant.lsn_at_time(1, 15 * second).unwrap(), expected);
}

#[test]
fn many_commits_in_one_batch_become_several_runs() {
    let mut world = World::new(0);
    let times: Vec<_> = (0..5000)
        .map(|number| 1000 + number - number % 7 * 3)
        .collect();
    world.write(0, &[(commits(&times), true), (commits(&[9000]), false)]);
    world.check(0, (900..6200).step_by(13));
    let [_, _, files, _] = world.tenant.stats().unwrap().entries;
    assert!(files < 20, "{files}");
}

#[test]
fn branches_see_the_commits_of_their_parents_up_to_where_they_left() {
    let mut world = World::new(0);
    world.write(0, &[(commits(&[10, 20, 30, 40]), false)]);
    let third = world.timelines[0].endings[2];
    world.branch(0, third.start);
    world.check(1, 0..60);
    world.write(1, &[(commits(&[25, 35, 50]), true)]);
    world.branch(1, world.timelines[1].newest);
    world.write(2, &[(commits(&[45, 60]), false)]);
    // Amid a record: it is not in.
    world.branch(0, Lsn(third.end.0 - 1));
    world.write(3, &[(commits(&[15, 70]), false)]);
    for at in 0..4 {
        world.check(at, 0..80);
    }
}

#[test]
fn of_many_runs_those_stay_that_tell_of_what_can_be_read() {
    let mut world = World::new(0);
    let batch = |number: i64| (commits(&[number * 10, number * 10 + 5]), true);
    let batches: Vec<_> = (1..=50).map(batch).collect();
    world.write(0, &batches);
    let files = |world: &World| world.tenant.stats().unwrap().entries[2];
    let before = files(&world);
    let at = |world: &World, ending: usize| world.timelines[0].endings[ending].end;
    let (early, late) = (at(&world, 21), at(&world, 81));
    world.branch(0, early);
    world.collect(0, late, early);
    // Of 50 runs and states, 9 are behind the window's begin; around it and the branch's start stay one or two of each.
    assert!(files(&world) < before - 70, "{before}, {}", files(&world));
    for at in 0..2 {
        world.check(at, 0..520);
    }
}

#[test]
fn an_unknown_timeline_is_refused() {
    let world = World::new(0);
    let found = world.tenant.lsn_at_time(9, 1);
    assert!(matches!(found, Err(EngineError::UnknownTimeline(9))));
}

fn any_record() -> impl Strategy<Value = (Kind, i64)> {
    let kind = prop_oneof![
        5 => Just(Kind::Commit),
        1 => Just(Kind::Abort),
        2 => prop_oneof![Just(10usize), Just(3000), Just(9000)].prop_map(Kind::Other),
    ];
    (kind, 0..60i64)
}

fn any_batches() -> impl Strategy<Value = Vec<(Vec<(Kind, i64)>, bool)>> {
    let batch = prop::collection::vec(any_record(), 1..8);
    prop::collection::vec((batch, any::<bool>()), 0..5)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn is_what_a_plain_list_says(
        steps in prop::collection::vec((any::<prop::sample::Index>(), 0..=100u64, any_batches()), 1..4),
        collects in prop::collection::vec(prop::option::of((any::<prop::sample::Index>(), 0..=100u64, 0..=100u64)), 4),
    ) {
        let mut world = World::new(0);
        for ((parent, place, batches), collect) in steps.into_iter().zip(collects) {
            let at = parent.index(world.timelines.len());
            world.write(at, &batches);
            let from = &world.timelines[at];
            let span = from.newest.0 - from.readable_from.0;
            world.branch(at, Lsn(from.readable_from.0 + span * place / 100));
            if let Some((at, place, also)) = collect {
                let at = at.index(world.timelines.len());
                let from = &world.timelines[at];
                let span = from.newest.0 - from.readable_from.0;
                let lsn = |place| Lsn(from.readable_from.0 + span * place / 100);
                let (readable_from, also) = (lsn(place), lsn(also));
                world.collect(at, readable_from, also);
            }
        }
        for at in 0..world.timelines.len() {
            world.check(at, -1..61);
        }
    }
}
