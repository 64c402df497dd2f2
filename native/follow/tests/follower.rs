//! What is written to a log comes out of the store as if it had been fed to it directly, however it is cut,
//! batched and interrupted.

#![allow(clippy::unwrap_used, clippy::panic)]

mod log;
#[path = "../../engine/tests/source/mod.rs"]
mod source;

use std::time::Duration;

use log::{
    LONG, Log, Random, SEGMENT_BYTES, assert_same, data, failure, fed_directly, noop, part, settle,
    write_until,
};
use offshoot_follow::{FollowError, FollowOptions, Follower, Keep};
use offshoot_layout::{Lsn, wal_segment};
use offshoot_wal::generate::WalStream;
use source::{INDEX, PARAMS, START, commit, create, image, page_of};

/// No record of the streams is longer.
const RECORD_BYTES_MAX: u64 = 64 << 10;

/// A stream of which the first records are in the store already, and where records end.
fn streams(random: &mut Random, records: usize) -> (WalStream, WalStream, Vec<Lsn>) {
    let mut wal = source::wal();
    for _ in 0..random.below(4) {
        random.append(&mut wal);
    }
    let imported = wal.clone();
    let ends = (0..records).map(|_| random.append(&mut wal)).collect();
    (imported, wal, ends)
}

/// Some of them.
fn some(lsns: &[Lsn], last: Lsn) -> Vec<Lsn> {
    let every = (lsns.len() / 8).max(1);
    let some = lsns.iter().step_by(every).copied();
    some.chain([last]).collect()
}

#[test]
fn pieces_and_batches_of_any_size_with_interruptions_come_out_the_same() {
    for seed in 1..13 {
        let mut random = Random::new(seed as u64);
        let (largest, records) =
            [(60, 20), (5000, 200), (200_000, 400), (2_000_000, 800)][seed % 4];
        let (imported, wal, ends) = streams(&mut random, records);
        let log = Log::behind(&imported);
        let (mut follower, mut told) = log.open();
        assert_eq!(follower.received(), imported.end(), "seed {seed}");
        while follower.received() < wal.end() {
            let mut at = follower.received();
            let mut messages = Vec::new();
            for _ in 0..random.below(20) {
                let end = Lsn(wal.end().0.min(at.0 + 1 + random.below(largest) as u64));
                messages.push(data(at, part(&wal, at, end)));
                at = end;
            }
            let status = follower.write(messages.iter().map(Vec::as_slice)).unwrap();
            assert_eq!((status.flushed, follower.received()), (at, at));
            assert!(status.applied <= at);
            match random.below(40) {
                0 => {
                    follower.close();
                    drop(follower);
                    (follower, told) = log.open();
                    // A switch ends with its segment, whether or not the rest has come.
                    let received = follower.received();
                    assert!(received <= at || received.0 % SEGMENT_BYTES == 0);
                }
                1 => assert!(settle(&follower, &told, None).settled >= at),
                _ => {}
            }
        }
        let progress = settle(&follower, &told, None);
        assert_eq!(progress.indexed, wal.end(), "seed {seed}");
        follower.close();
        let timeline = log.tenant.timeline(INDEX).unwrap();
        assert_eq!(timeline.last_record_lsn(), wal.end());
        let direct = fed_directly(&imported, &wal);
        assert_same(&log, &direct, &some(&ends, wal.end()));
    }
}

/// The log is far ahead of the index each time.
#[test]
fn what_is_in_the_log_is_indexed_when_it_is_opened_again() {
    let mut random = Random::new(99);
    let (imported, wal, ends) = streams(&mut random, 1000);
    let log = Log::behind(&imported);
    let options = FollowOptions {
        index_interval: LONG,
        ..log.options()
    };
    for end in ends.iter().step_by(100) {
        let (follower, _told) = log.open_with(&options);
        if *end > follower.received() {
            write_until(&follower, &wal, *end);
        }
    }
    let (follower, told) = log.open_with(&options);
    write_until(&follower, &wal, wal.end());
    assert_eq!(settle(&follower, &told, None).indexed, wal.end());
    assert_same(
        &log,
        &fed_directly(&imported, &wal),
        &some(&ends, wal.end()),
    );
}

/// The last segment as a crash can leave it: cut, or with something else behind some byte.
#[test]
fn a_torn_tail_is_dropped() {
    for seed in 1..30 {
        let mut random = Random::new(seed);
        let (imported, wal, mut ends) = streams(&mut random, 30);
        let log = Log::behind(&imported);
        let segment = |lsn| wal_segment::start_of(lsn, PARAMS.seg_size);
        ends.insert(0, imported.end());
        // Nothing is indexed: the timeline goes on at its old end, so the store must not have the WAL.
        let dir = offshoot_follow::LogDir::open(log.path(), PARAMS).unwrap();
        let mut writer = offshoot_follow::LogWriter::new(dir, imported.end());
        writer
            .append(imported.end(), part(&wal, imported.end(), wal.end()))
            .unwrap();
        writer.flush().unwrap();
        drop(writer);
        let torn =
            Lsn(imported.end().0 + random.below((wal.end().0 - imported.end().0) as usize) as u64);
        let name = wal_segment::file_name(PARAMS.tli, segment(torn), PARAMS.seg_size);
        let path = log.path().join(name);
        let mut bytes = std::fs::read(&path).unwrap();
        let offset = (torn.0 - segment(torn).0) as usize;
        match random.below(3) {
            0 => bytes.truncate(offset),
            1 => bytes[offset..].fill(0),
            _ => bytes[offset..].iter_mut().for_each(|byte| *byte ^= 0x5A),
        }
        std::fs::write(&path, bytes).unwrap();
        let (follower, told) = log.open();
        let received = follower.received();
        let whole = ends.iter().filter(|end| **end <= torn).max().unwrap();
        let next = ends.iter().filter(|end| **end > torn).min().unwrap();
        // Zeros may have been there before, and what is unused behind a switch is not looked at.
        let unused = part(&wal, torn, *next).iter().all(|byte| *byte == 0);
        assert!(
            received == *whole || unused && received >= *next,
            "seed {seed}: {received}, torn at {torn} behind {whole}"
        );
        write_until(&follower, &wal, wal.end());
        assert_eq!(settle(&follower, &told, None).indexed, wal.end());
        assert_same(
            &log,
            &fed_directly(&imported, &wal),
            &some(&ends, wal.end()),
        );
    }
}

#[test]
fn a_gap_is_refused_with_nothing_written() {
    let mut wal = source::wal();
    let log = Log::behind(&wal);
    let start = wal.end();
    wal.append(&create(20_000)).unwrap();
    let (follower, told) = log.open();
    let whole = data(start, part(&wal, start, wal.end()));
    for sent in [Lsn(start.0 + 8), Lsn(start.0 - 8)] {
        let gap = data(sent, b"12345678");
        for messages in [&[&gap[..]][..], &[&whole[..], &gap[..]]] {
            let error = follower.write(messages.iter().copied()).unwrap_err();
            assert!(matches!(error, FollowError::Gap { .. }), "{error}");
            assert_eq!(follower.received(), source::wal().end());
        }
    }
    // A message that is none, behind one that is.
    let error = follower.write([&whole[..], b"?"]).unwrap_err();
    assert!(matches!(error, FollowError::Protocol(_)), "{error}");
    assert_eq!(follower.write([&whole[..]]).unwrap().flushed, wal.end());
    assert_eq!(settle(&follower, &told, None).indexed, wal.end());
}

/// A compute's WAL: its first segment is sent from its start, the first record is behind the header.
#[test]
fn a_new_start_forgets_the_log_and_follows_on_nothing() {
    let mut wal = source::wal();
    wal.append(&create(20_000)).unwrap();
    let log = Log::behind(&source::wal());
    let (follower, told) = log.open();
    write_until(&follower, &wal, wal.end());
    settle(&follower, &told, None);
    drop(follower);
    let segment = wal_segment::start_of_next(wal.end(), PARAMS.seg_size).unwrap();
    let start = Lsn(segment.0 + 40);
    let options = FollowOptions {
        wal_start: Some(start),
        ..log.options()
    };
    // From the segment's beginning; the link backwards leads nowhere that we know.
    let mut compute = WalStream::new(PARAMS, segment, Lsn(0x100)).unwrap();
    compute
        .append(&image(20_000, 3, &page_of(33, Lsn(8))))
        .unwrap();
    let first_end = compute.end();
    compute.append(&commit(1010)).unwrap();
    let (follower, told) = log.open_with(&options);
    assert_eq!(follower.received(), segment);
    // Nothing of it is there yet: what can be read is what could be read before, also after a new opening, and
    // another new start follows on that.
    let none = |follower: &Follower| {
        assert_eq!(follower.progress().indexed, wal.end());
        assert_eq!(
            log.tenant.timeline(INDEX).unwrap().last_record_lsn(),
            wal.end()
        );
    };
    none(&follower);
    assert_eq!(settle(&follower, &told, None).indexed, wal.end());
    drop(follower);
    let (follower, told) = log.open();
    none(&follower);
    assert_eq!(settle(&follower, &told, None).indexed, wal.end());
    drop(follower);
    let (follower, told) = log.open_with(&options);
    assert!(
        !log.path()
            .join(wal_segment::file_name(PARAMS.tli, START, PARAMS.seg_size))
            .exists()
    );
    // Less than the first record: the next time it begins at the segment's start again.
    write_until(&follower, &compute, Lsn(start.0 + 100));
    assert_eq!(settle(&follower, &told, None).indexed, wal.end());
    drop(follower);
    let (follower, _told) = log.open();
    assert_eq!(follower.received(), segment);
    none(&follower);
    write_until(&follower, &compute, Lsn(first_end.0 + 10));
    drop(follower);
    let (follower, told) = log.open();
    assert_eq!(follower.received(), first_end);
    write_until(&follower, &compute, compute.end());
    assert_eq!(settle(&follower, &told, None).indexed, compute.end());
    // The start is not forgotten, and does no harm behind it.
    drop(follower);
    let (follower, _told) = log.open();
    assert_eq!(follower.received(), compute.end());
    let view = log.tenant.view(INDEX, compute.end()).unwrap();
    assert_eq!(
        view.size(&source::rel(20_000, offshoot_layout::Fork::Main))
            .unwrap(),
        Some(4)
    );
}

#[test]
fn segments_go_when_they_are_indexed_and_the_next_is_there_before() {
    let mut wal = source::wal();
    let log = Log::behind(&wal);
    let (follower, told) = log.open();
    for _ in 0..6 {
        wal.append(&noop(SEGMENT_BYTES as usize / 2)).unwrap();
        wal.append(&noop(SEGMENT_BYTES as usize / 3)).unwrap();
        write_until(&follower, &wal, wal.end());
        settle(&follower, &told, None);
        // The indexer tells of a commit before it looks after the files.
        follower.want(None);
        let number = wal.end().0 / SEGMENT_BYTES;
        let expected: Vec<String> = [number, number + 1]
            .map(|number| {
                let start = Lsn(number * SEGMENT_BYTES);
                wal_segment::file_name(PARAMS.tli, start, PARAMS.seg_size)
            })
            .to_vec();
        for _ in 0..500 {
            if log.files() == expected {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(log.files(), expected);
    }
}

/// Behind a switch, the index is ahead of the log: what is still to come belongs to a segment that is
/// done with.
#[test]
fn a_segment_stays_until_the_rest_of_a_switch_has_come() {
    let mut wal = source::wal();
    let log = Log::behind(&wal);
    wal.append(&create(20_000)).unwrap();
    wal.append_switch().unwrap();
    let boundary = wal.end();
    wal.append(&commit(1001)).unwrap();
    let (follower, told) = log.open();
    for end in [5000, 9000, 100_000, SEGMENT_BYTES - 1] {
        write_until(&follower, &wal, Lsn(boundary.0 - SEGMENT_BYTES + end));
        let progress = settle(&follower, &told, None);
        assert_eq!(progress.indexed, boundary);
        assert!(follower.status().applied <= follower.received());
        std::thread::sleep(Duration::from_millis(20));
    }
    write_until(&follower, &wal, wal.end());
    assert_eq!(settle(&follower, &told, None).indexed, wal.end());
    assert!(follower.failure().is_none());
}

/// The source must keep what an opened follower asks for.
#[test]
fn a_source_is_told_of_no_wal_that_is_in_memory_only() {
    let mut wal = source::wal();
    let log = Log::behind(&wal);
    let options = FollowOptions {
        keep: Keep::Memory {
            bytes_max: 16 << 20,
        },
        index_interval: LONG,
        ..log.options()
    };
    let (follower, told) = log.open_with(&options);
    wal.append(&commit(1001)).unwrap();
    let whole = wal.end();
    write_until(&follower, &wal, whole);
    settle(&follower, &told, None);
    assert_eq!(follower.status().flushed, whole);
    wal.append(&noop(SEGMENT_BYTES as usize)).unwrap();
    let within = Lsn(wal_segment::start_of_next(whole, PARAMS.seg_size)
        .unwrap()
        .0
        + 1000);
    write_until(&follower, &wal, within);
    settle(&follower, &told, None);
    assert_eq!(
        (follower.received(), follower.status().flushed),
        (within, whole)
    );
    drop(follower);
    let (follower, told) = log.open_with(&options);
    assert_eq!(follower.received(), whole);
    write_until(&follower, &wal, wal.end());
    settle(&follower, &told, None);
    assert_eq!(follower.status().flushed, wal.end());
}

#[test]
fn a_new_start_is_refused_while_the_log_holds_more_than_the_index() {
    let mut wal = source::wal();
    let log = Log::behind(&wal);
    wal.append(&create(20_000)).unwrap();
    let (follower, told) = log.open();
    write_until(&follower, &wal, wal.end());
    settle(&follower, &told, None);
    drop(follower);
    // The same log beside a store that has nothing of it.
    let other = Log::behind(&source::wal());
    let start = wal_segment::start_of_next(wal.end(), PARAMS.seg_size).unwrap();
    let options = FollowOptions {
        keep: Keep::Log(log.path().to_path_buf()),
        wal_start: Some(Lsn(start.0 + 40)),
        ..other.options()
    };
    let refused = Follower::open(&other.tenant, &options, Box::new(|_| {}));
    let Err(FollowError::Unindexed { end, .. }) = refused else {
        panic!("it was opened");
    };
    assert_eq!(end, wal.end());
    let (follower, told) = other.open_with(&FollowOptions {
        wal_start: None,
        ..options
    });
    assert_eq!(settle(&follower, &told, None).indexed, wal.end());
}

#[test]
fn what_nobody_waits_for_is_committed_after_the_interval() {
    let mut wal = source::wal();
    let log = Log::behind(&wal);
    let options = FollowOptions {
        index_interval: LONG,
        ..log.options()
    };
    let (follower, told) = log.open_with(&options);
    wal.append(&commit(1001)).unwrap();
    write_until(&follower, &wal, wal.end());
    assert!(told.recv_timeout(Duration::from_millis(300)).is_err());
    assert_eq!(follower.progress().indexed, START);
    // For WAL that has not come: as far as it has come.
    follower.want(Some(Lsn(wal.end().0 + 1_000_000)));
    let progress = told.recv_timeout(Duration::from_secs(20)).unwrap().unwrap();
    assert_eq!((progress.indexed, progress.settled), (wal.end(), wal.end()));
    // It is still waited for.
    wal.append(&commit(1002)).unwrap();
    let middle = Lsn(wal.end().0 - 8);
    write_until(&follower, &wal, middle);
    let progress = told.recv_timeout(Duration::from_secs(20)).unwrap().unwrap();
    assert!(progress.indexed < middle && progress.settled == middle);
    drop(follower);
    let (follower, told) = log.open();
    write_until(&follower, &wal, wal.end());
    let progress = told.recv_timeout(Duration::from_secs(20)).unwrap().unwrap();
    assert_eq!(progress.indexed, wal.end());
}

/// Whoever waits is not kept waiting by WAL that keeps coming.
#[test]
fn what_is_wanted_is_committed_while_wal_keeps_coming() {
    let mut wal = source::wal();
    let log = Log::behind(&wal);
    for _ in 0..3000 {
        wal.append(&noop(4000)).unwrap();
    }
    let options = FollowOptions {
        index_interval: LONG,
        ..log.options()
    };
    let (follower, told) = log.open_with(&options);
    let first = Lsn(START.0 + 100_000);
    write_until(&follower, &wal, first);
    write_until(&follower, &wal, wal.end());
    follower.want(Some(first));
    let progress = told.recv_timeout(Duration::from_secs(20)).unwrap().unwrap();
    assert!(progress.settled >= first && progress.settled < wal.end());
}

#[test]
fn a_corrupt_record_ends_following() {
    let mut wal = source::wal();
    let log = Log::behind(&wal);
    wal.append(&create(20_000)).unwrap();
    let good = wal.end();
    wal.append(&noop(500)).unwrap();
    wal.append(&commit(1001)).unwrap();
    let mut bytes = part(&wal, START, wal.end()).to_vec();
    bytes[(good.0 - START.0) as usize + 100] ^= 1;
    let (follower, told) = log.open();
    let split = (good.0 - START.0) as usize;
    follower.write([&data(START, &bytes[..split])[..]]).unwrap();
    settle(&follower, &told, None);
    follower.write([&data(good, &bytes[split..])[..]]).unwrap();
    let text = failure(&told);
    assert!(text.contains("0/3000"), "{text}");
    assert_eq!(follower.failure().unwrap().to_string(), text);
    assert!(matches!(follower.batch(), Err(FollowError::Closed)));
    assert!(matches!(follower.write([]), Err(FollowError::Closed)));
    assert_eq!(follower.progress().indexed, good);
    follower.close();
    drop(follower);
    // The source may have it right.
    let (follower, told) = log.open();
    assert_eq!(follower.received(), good);
    write_until(&follower, &wal, wal.end());
    assert_eq!(settle(&follower, &told, None).indexed, wal.end());
}

#[test]
fn closing_commits_what_is_indexed_and_takes_nothing_more() {
    let mut wal = source::wal();
    let log = Log::behind(&wal);
    let options = FollowOptions {
        index_interval: LONG,
        ..log.options()
    };
    wal.append(&create(20_000)).unwrap();
    let (follower, _told) = log.open_with(&options);
    write_until(&follower, &wal, wal.end());
    // Read by the indexer, in all likelihood.
    std::thread::sleep(Duration::from_millis(300));
    follower.close();
    follower.close();
    assert_eq!(follower.progress().indexed, wal.end());
    assert!(matches!(follower.batch(), Err(FollowError::Closed)));
    drop(follower);
    assert_eq!(
        log.tenant.timeline(INDEX).unwrap().last_record_lsn(),
        wal.end()
    );
    // A batch that was begun before may end after.
    let (follower, _told) = log.open_with(&options);
    let start = wal.end();
    wal.append(&commit(1001)).unwrap();
    let mut batch = follower.batch().unwrap();
    batch.append(start, part(&wal, start, wal.end())).unwrap();
    follower.close();
    assert!(batch.finish().unwrap());
    drop(follower);
    let (follower, told) = log.open();
    assert_eq!(follower.received(), wal.end());
    assert_eq!(settle(&follower, &told, None).indexed, wal.end());
}

#[test]
fn a_batch_that_is_dropped_is_to_come_again() {
    let mut wal = source::wal();
    let log = Log::behind(&wal);
    wal.append(&noop(3 * SEGMENT_BYTES as usize)).unwrap();
    let (follower, told) = log.open();
    let mut batch = follower.batch().unwrap();
    batch.append(START, part(&wal, START, wal.end())).unwrap();
    drop(batch);
    assert_eq!(follower.received(), START);
    write_until(&follower, &wal, wal.end());
    assert_eq!(settle(&follower, &told, None).indexed, wal.end());
}

/// Kept in memory, nothing is on disk before it is in the store, and the source is told so.
#[test]
fn what_waits_in_memory_comes_out_the_same_and_is_asked_for_again_after_an_end() {
    for seed in 1..13 {
        let mut random = Random::new(seed as u64);
        let (largest, records) =
            [(60, 20), (5000, 200), (200_000, 400), (2_000_000, 800)][seed % 4];
        let (imported, wal, ends) = streams(&mut random, records);
        let log = Log::behind(&imported);
        let options = FollowOptions {
            keep: Keep::Memory {
                bytes_max: 16 << 20,
            },
            ..log.options()
        };
        let (mut follower, mut told) = log.open_with(&options);
        let mut opened_at = imported.end();
        while follower.received() < wal.end() {
            let at = follower.received();
            let end = Lsn(wal.end().0.min(at.0 + 1 + random.below(largest) as u64));
            let message = data(at, part(&wal, at, end));
            let status = follower.write([&message[..]]).unwrap();
            assert_eq!((status.flushed, follower.received()), (status.applied, end));
            assert!(status.applied <= end);
            match random.below(40) {
                // Whatever is shorter than a record would come again for ever.
                0 if end.0 - opened_at.0 > 3 * RECORD_BYTES_MAX => {
                    follower.close();
                    drop(follower);
                    (follower, told) = log.open_with(&options);
                    opened_at = follower.received();
                    // Only what is in the store is not asked for again.
                    let last = log.tenant.timeline(INDEX).unwrap().last_record_lsn();
                    assert_eq!(follower.received(), last, "seed {seed}");
                    assert!(last >= status.applied);
                }
                1 => assert!(settle(&follower, &told, None).settled >= end),
                _ => {}
            }
        }
        assert_eq!(settle(&follower, &told, None).indexed, wal.end());
        assert_eq!(follower.status().flushed, wal.end());
        assert_eq!(log.files(), Vec::<String>::new());
        let direct = fed_directly(&imported, &wal);
        assert_same(&log, &direct, &some(&ends, wal.end()));
    }
}

#[test]
fn memory_that_is_full_is_told_of_and_so_is_room() {
    let mut wal = source::wal();
    let imported = wal.clone();
    for _ in 0..60 {
        wal.append(&noop(60_000)).unwrap();
    }
    let log = Log::behind(&imported);
    let (follower, told) = log.open_with(&FollowOptions {
        keep: Keep::Memory { bytes_max: 1 << 20 },
        index_interval: LONG,
        ..log.options()
    });
    // All of it at once: more than may wait.
    let start = follower.received();
    let message = data(start, part(&wal, start, wal.end()));
    follower.write([&message[..]]).unwrap();
    while !follower.has_room() {
        told.recv().unwrap().unwrap();
    }
    assert_eq!(settle(&follower, &told, None).indexed, wal.end());
    let gap = data(Lsn(wal.end().0 + 8), &[0; 8]);
    assert!(matches!(
        follower.write([&gap[..]]),
        Err(FollowError::Gap { .. })
    ));
    follower.close();
    let again = data(wal.end(), &[0; 8]);
    assert!(matches!(
        follower.write([&again[..]]),
        Err(FollowError::Closed)
    ));
}
