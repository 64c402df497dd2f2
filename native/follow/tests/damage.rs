//! A compute's log that is damaged is told from one that was not written whole.

#![allow(clippy::unwrap_used, clippy::panic)]

mod log;
#[path = "../../engine/tests/source/mod.rs"]
mod source;

use std::collections::BTreeMap;
use std::path::Path;

use log::{Log, SEGMENT_BYTES, noop, part};
use offshoot_follow::{FollowError, FollowOptions, Follower, LogDir, LogWriter};
use offshoot_layout::Lsn;
use offshoot_wal::generate::WalStream;
use source::{PARAMS, START, commit};

/// The first segment of the compute's WAL, and its first record.
const FIRST: u64 = START.0 / SEGMENT_BYTES + 1;
const WAL_START: Lsn = Lsn(FIRST * SEGMENT_BYTES + 40);
/// Of a record of which the WAL is full.
const RECORD_BYTES: usize = 10_000;

fn compute_wal() -> WalStream {
    WalStream::new(PARAMS, Lsn(FIRST * SEGMENT_BYTES), Lsn(0x100)).unwrap()
}

/// Records up to the first that ends in this segment.
fn fill(wal: &mut WalStream, segment: u64) {
    while wal.end().0 / SEGMENT_BYTES < segment {
        wal.append(&noop(RECORD_BYTES)).unwrap();
    }
}

/// Records that end exactly where the segment begins.
fn fill_exactly(wal: &mut WalStream, segment: u64) {
    let boundary = segment * SEGMENT_BYTES;
    while wal.end().0 + 2 * RECORD_BYTES as u64 + 200 < boundary {
        wal.append(&noop(RECORD_BYTES)).unwrap();
    }
    let mut candidates = (0..3 * RECORD_BYTES).map(|bytes| {
        let mut longer = wal.clone();
        longer.append(&noop(bytes)).unwrap();
        longer
    });
    let exact = candidates.find(|longer| longer.end().0 >= boundary);
    drop(candidates);
    *wal = exact.unwrap();
    assert_eq!(wal.end().0, boundary);
}

#[derive(Clone, Copy, PartialEq)]
enum Whose {
    Compute,
    Production,
}

/// A log that holds this WAL, of which nothing is indexed.
struct Written {
    log: Log,
    whose: Whose,
}

impl Written {
    fn with(wal: &WalStream, until: Lsn, whose: Whose) -> Written {
        let log = match whose {
            Whose::Compute => Log::behind(&source::wal()),
            Whose::Production => Log::behind(&leading_up_to_it()),
        };
        let dir = LogDir::open(log.path(), PARAMS).unwrap();
        if whose == Whose::Compute {
            dir.start_anew(WAL_START).unwrap();
        }
        let first = Lsn(FIRST * SEGMENT_BYTES);
        let mut writer = LogWriter::new(dir, first);
        writer.append(first, part(wal, first, until)).unwrap();
        writer.flush().unwrap();
        Written { log, whose }
    }

    fn dir(&self) -> LogDir {
        LogDir::open(self.log.path(), PARAMS).unwrap()
    }

    fn change(&self, at: Lsn, change: impl FnOnce(&mut [u8])) {
        let path = self.dir().path_of(at);
        let mut bytes = std::fs::read(&path).unwrap();
        change(&mut bytes[(at.0 % SEGMENT_BYTES) as usize..]);
        std::fs::write(path, bytes).unwrap();
    }

    fn flip(&self, at: Lsn) {
        self.change(at, |bytes| bytes[0] ^= 0x10);
    }

    fn open(&self, wal_start: Option<Lsn>) -> Result<Follower, FollowError> {
        let options = FollowOptions {
            wal_start,
            ..self.log.options()
        };
        Follower::open(&self.log.tenant, &options, Box::new(|_| {}))
    }

    /// It is said, both to who goes on with the log and to who begins it anew, and nothing is touched.
    fn expect_damage(&self, at: Lsn, what: &str) {
        let before = files(self.log.path());
        let anew = Lsn((FIRST + 50) * SEGMENT_BYTES + 40);
        for wal_start in [None, Some(anew)] {
            match self.open(wal_start) {
                Err(FollowError::Damaged { lsn, .. }) => assert_eq!(lsn, at, "{what}"),
                Err(error) => panic!("{what}: {error}"),
                Ok(follower) => panic!("{what}: it ends at {}", follower.received()),
            }
            assert!(files(self.log.path()) == before, "{what}: files changed");
        }
    }

    fn expect_end(&self, at: Lsn, what: &str) {
        match self.open(None) {
            Ok(follower) => assert_eq!(follower.received(), at, "{what}"),
            Err(error) => panic!("{what}: {error}"),
        }
        assert!(self.whose == Whose::Production || self.dir().start().unwrap().is_some());
    }
}

/// Production's WAL goes on where the store ends: with a switch to where the compute's would begin.
fn leading_up_to_it() -> WalStream {
    let mut wal = source::wal();
    wal.append_switch().unwrap();
    assert_eq!(wal.end().0, FIRST * SEGMENT_BYTES);
    wal
}

fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = std::fs::read_dir(dir).unwrap().map(|file| file.unwrap());
    files
        .map(|file| {
            let name = file.file_name().into_string().unwrap();
            (name, std::fs::read(file.path()).unwrap())
        })
        .collect()
}

/// The WAL, and the start of each of its records.
fn records(segments: u64) -> (WalStream, Vec<Lsn>) {
    records_on(compute_wal(), segments)
}

fn records_on(mut wal: WalStream, segments: u64) -> (WalStream, Vec<Lsn>) {
    let mut ends = vec![WAL_START];
    while wal.end().0 / SEGMENT_BYTES < FIRST + segments {
        wal.append(&noop(RECORD_BYTES)).unwrap();
        ends.push(wal.end());
    }
    (wal, ends)
}

fn end_before(ends: &[Lsn], at: Lsn) -> Lsn {
    *ends.iter().rfind(|end| **end <= at).unwrap()
}

#[test]
fn damage_before_the_last_segment_is_an_error_and_nothing_is_deleted() {
    let (wal, ends) = records(3);
    let segment = |number: u64| Lsn((FIRST + number) * SEGMENT_BYTES);
    let crossing = |number: u64| end_before(&ends, segment(number));
    let cases = [
        ("the first record's length", WAL_START, WAL_START),
        ("its link", Lsn(WAL_START.0 + 8), WAL_START),
        ("its main data", Lsn(WAL_START.0 + 5000), WAL_START),
        (
            "the header of the second page",
            Lsn(segment(0).0 + 8192),
            WAL_START,
        ),
        ("a record later on", Lsn(ends[40].0 + 500), ends[40]),
        // Its end is in a segment behind which there is another.
        (
            "a record into the second segment",
            Lsn(crossing(1).0 + 30),
            crossing(1),
        ),
        ("its length", Lsn(crossing(1).0 + 1), crossing(1)),
        ("the second segment's header", segment(1), crossing(1)),
        (
            "the second segment's address",
            Lsn(segment(1).0 + 9),
            crossing(1),
        ),
        ("the second segment", Lsn(ends[150].0 + 500), ends[150]),
        // The last segment's header is there, which does not fit a record of another length.
        (
            "length of a record into the last segment",
            Lsn(crossing(3).0 + 1),
            crossing(3),
        ),
    ];
    assert!(ends[150] > segment(1) && ends[151] < segment(2));
    for (what, at, end) in cases {
        let written = Written::with(&wal, wal.end(), Whose::Compute);
        written.flip(at);
        written.expect_damage(end, what);
    }
}

#[test]
fn zeros_and_missing_files_before_the_last_segment_are_damage() {
    let (wal, ends) = records(3);
    let segment = |number: u64| Lsn((FIRST + number) * SEGMENT_BYTES);
    let zeros = vec![0; SEGMENT_BYTES as usize];
    let damages = [
        ("zeros", Some(&zeros[..]), 1),
        ("missing", None, 1),
        ("empty", Some(&[]), 2),
        ("missing first", None, 0),
    ];
    for (what, damage, number) in damages {
        let written = Written::with(&wal, wal.end(), Whose::Compute);
        let path = written.dir().path_of(segment(number));
        match damage {
            Some(content) => std::fs::write(path, content).unwrap(),
            None => std::fs::remove_file(path).unwrap(),
        }
        let end = end_before(&ends, Lsn(segment(number).0.max(WAL_START.0)));
        written.expect_damage(end, what);
    }
}

#[test]
fn what_is_not_whole_in_the_last_segment_is_its_end() {
    let (wal, ends) = records(1);
    let boundary = Lsn((FIRST + 1) * SEGMENT_BYTES);
    let crossing = end_before(&ends, boundary);
    assert!(crossing < boundary && wal.end() > boundary);
    // Whatever there is of it.
    for until in [
        wal.end().0 - 20,
        boundary.0 + 60,
        boundary.0 + 40,
        boundary.0 + 24,
        boundary.0 + 16,
        boundary.0,
        boundary.0 - 3,
        crossing.0 + 16,
        crossing.0,
    ] {
        let written = Written::with(&wal, Lsn(until), Whose::Compute);
        written.expect_end(crossing, &format!("up to {}", Lsn(until)));
    }
    let mut longer = wal.clone();
    for _ in 0..20 {
        longer.append(&noop(RECORD_BYTES)).unwrap();
    }
    let written = Written::with(&longer, longer.end(), Whose::Compute);
    written.flip(Lsn(wal.end().0 + 500));
    written.expect_end(wal.end(), "torn in the last segment");
    let written = Written::with(&longer, longer.end(), Whose::Compute);
    written.flip(Lsn(wal.end().0 - 20));
    written.expect_end(crossing, "torn where a record into the last segment ends");
}

/// It has another segment's address, or none.
#[test]
fn a_next_segment_that_nobody_wrote_to_says_nothing() {
    let (wal, ends) = records(2);
    let second = Lsn((FIRST + 1) * SEGMENT_BYTES);
    let torn = Lsn(end_before(&ends, Lsn(second.0 + SEGMENT_BYTES / 2)).0 + 100);
    let end = end_before(&ends, torn);
    for made in ["recycled", "zeros", "of another cluster"] {
        let written = Written::with(&wal, Lsn(torn.0 + 3000), Whose::Compute);
        written.flip(torn);
        let (recycled, next) = (FIRST, FIRST + 2);
        let bytes = std::fs::read(written.dir().path(recycled)).unwrap();
        let content = match made {
            "recycled" => bytes,
            "zeros" => vec![0; SEGMENT_BYTES as usize],
            _ => {
                let mut other = bytes;
                other[8..16].copy_from_slice(&(next * SEGMENT_BYTES).to_le_bytes());
                other[24] ^= 1;
                other
            }
        };
        std::fs::write(written.dir().path(next), content).unwrap();
        written.expect_end(end, made);
    }
}

#[test]
fn a_record_that_ends_with_its_segment_is_the_end_when_nothing_follows() {
    let mut wal = compute_wal();
    fill_exactly(&mut wal, FIRST + 1);
    let boundary = wal.end();
    let written = Written::with(&wal, boundary, Whose::Compute);
    written.expect_end(boundary, "no file");
    wal.append(&noop(100)).unwrap();
    let written = Written::with(&wal, Lsn(wal.end().0 - 20), Whose::Compute);
    written.expect_end(boundary, "a header, and a part");
    fill(&mut wal, FIRST + 2);
    let written = Written::with(&wal, wal.end(), Whose::Compute);
    written.flip(Lsn(boundary.0 + 50));
    written.expect_damage(boundary, "its next record");
}

#[test]
fn what_is_unused_behind_a_switch_is_not_looked_at() {
    let mut wal = compute_wal();
    wal.append(&commit(1001)).unwrap();
    wal.append_switch().unwrap();
    let boundary = wal.end();
    wal.append(&commit(1002)).unwrap();
    let behind = wal.end();
    wal.append(&noop(RECORD_BYTES)).unwrap();
    let written = Written::with(&wal, Lsn(wal.end().0 - 50), Whose::Compute);
    written.flip(Lsn(boundary.0 - 5000));
    written.expect_end(behind, "torn behind a switch");
    wal.append_switch().unwrap();
    wal.append(&commit(1003)).unwrap();
    let written = Written::with(&wal, wal.end(), Whose::Compute);
    written.expect_end(wal.end(), "whole");
    written.flip(Lsn(behind.0 + 500));
    written.expect_damage(behind, "between two switches");
}

/// What production's log lacks comes again, or the source says that it is gone.
#[test]
fn damage_in_the_log_of_production_is_its_end() {
    let (wal, ends) = records_on(leading_up_to_it(), 3);
    for at in [ends[1], ends[40], ends[150], ends[200]] {
        let written = Written::with(&wal, wal.end(), Whose::Production);
        written.flip(Lsn(at.0 + 500));
        written.expect_end(at, &format!("damaged behind {at}"));
    }
}

/// All that was written and nothing else, however the WAL was cut into writes and wherever it broke off.
#[test]
fn a_log_that_breaks_off_anywhere_is_never_called_damaged() {
    let mut random = log::Random::new(77);
    let mut wal = compute_wal();
    let mut ends = vec![WAL_START];
    for _ in 0..400 {
        random.append(&mut wal);
        ends.push(wal.end());
    }
    let first = FIRST * SEGMENT_BYTES;
    for _ in 0..60 {
        let until = Lsn(first + random.below((wal.end().0 - first) as usize) as u64);
        let written = Written::with(&wal, until.max(WAL_START), Whose::Compute);
        let follower = written.open(None).unwrap();
        let received = follower.received();
        let whole = end_before(&ends, until.max(WAL_START));
        assert!(
            received >= whole || received.0 == first,
            "{until}: {received}"
        );
    }
}
