//! The log's files while several make and remove them, and when the disk is full.

#![allow(clippy::unwrap_used, clippy::panic)]

mod log;
#[path = "../../engine/tests/source/mod.rs"]
mod source;

use std::path::Path;
use std::process::Command;

use log::{Log, SEGMENT_BYTES, noop, settle, write_until};
use offshoot_follow::{Content, FollowError, FollowOptions, Keep, LogDir, LogWriter};
use offshoot_layout::{Lsn, wal_segment};
use source::{PARAMS, START};
use tempfile::TempDir;

/// The writer arrives at a segment while the indexer makes it, or makes it of one that is done with.
#[test]
fn making_segments_does_no_harm_to_who_writes_in_them() {
    for round in 0..40_u64 {
        let dir = TempDir::new().unwrap();
        let log = LogDir::open(dir.path(), PARAMS).unwrap();
        let first = 10 * SEGMENT_BYTES;
        let mut writer = LogWriter::new(log.clone(), Lsn(first));
        let bytes: Vec<u8> = (0..SEGMENT_BYTES)
            .map(|at| (at * 7 + round) as u8 | 1)
            .collect();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for number in 11..14 {
                    log.retire_before(10, number).unwrap();
                    log.retire_before(number - 10, number).unwrap();
                    log.make_segment(number, Content::Zeros).unwrap();
                }
            });
            for number in 0..4 {
                let start = Lsn(first + number * SEGMENT_BYTES);
                writer.append(start, &bytes).unwrap();
                writer.flush().unwrap();
            }
        });
        for number in 10..14 {
            assert!(
                std::fs::read(log.path(number)).unwrap() == bytes,
                "{number}"
            );
        }
    }
}

#[test]
fn what_was_being_made_is_removed_and_other_files_stay() {
    let dir = TempDir::new().unwrap();
    let log = LogDir::open(dir.path(), PARAMS).unwrap();
    log.make_segment(3, Content::Zeros).unwrap();
    log.start_anew(Lsn(0x28)).unwrap();
    assert!(!log.path(3).exists());
    log.make_segment(4, Content::Hole).unwrap();
    for name in ["tmp", "tmp.5", "notes"] {
        std::fs::write(dir.path().join(name), b"?").unwrap();
    }
    let log = LogDir::open(dir.path(), PARAMS).unwrap();
    let files = std::fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(files, 3, "notes, start, the segment");
    assert_eq!(log.start().unwrap(), Some(Lsn(0x28)));
    std::fs::write(dir.path().join("start"), b"soon").unwrap();
    assert!(matches!(log.start(), Err(FollowError::Io { .. })));
}

/// An older segment's WAL lies behind the end in the one that was made of it.
#[test]
fn stale_bytes_are_not_taken_for_wal() {
    let mut wal = source::wal();
    let log = Log::behind(&wal);
    let (follower, told) = log.open();
    let stale = |number: u64| {
        wal_segment::file_name(PARAMS.tli, Lsn(number * SEGMENT_BYTES), PARAMS.seg_size)
    };
    let mut recycled = 0;
    for _ in 0..300 {
        wal.append(&noop(30_000)).unwrap();
        write_until(&follower, &wal, wal.end());
        settle(&follower, &told, None);
        let next = wal.end().0 / SEGMENT_BYTES + 1;
        if let Ok(bytes) = std::fs::read(log.path().join(stale(next))) {
            recycled += u32::from(bytes.iter().any(|byte| *byte != 0));
        }
    }
    assert!(recycled > 0);
    drop(follower);
    let (follower, told) = log.open();
    assert_eq!(follower.received(), wal.end());
    wal.append(&noop(3_000_000)).unwrap();
    write_until(&follower, &wal, wal.end());
    assert_eq!(settle(&follower, &told, None).indexed, wal.end());
}

/// A file system of 2 MiB; `None` without the right to make one.
struct Small(TempDir);

impl Small {
    fn make() -> Option<Small> {
        let dir = TempDir::new().unwrap();
        let mut mount = Command::new("mount");
        let mount = mount.args(["-t", "tmpfs", "-o", "size=2m", "offshoot-test"]);
        let mounted = mount.arg(dir.path()).output();
        mounted
            .is_ok_and(|output| output.status.success())
            .then_some(Small(dir))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.path()).output();
    }
}

#[test]
fn a_full_disk_is_said_and_loses_nothing() {
    let Some(small) = Small::make() else {
        println!("skipped: no file system can be mounted here");
        return;
    };
    let mut wal = source::wal();
    let log = Log::behind(&wal);
    wal.append(&noop(500)).unwrap();
    let options = FollowOptions {
        keep: Keep::Log(small.path().join("log")),
        ..log.options()
    };
    let (follower, told) = log.open_with(&options);
    write_until(&follower, &wal, wal.end());
    settle(&follower, &told, None);
    let before = wal.end();
    wal.append(&noop(3 * SEGMENT_BYTES as usize)).unwrap();
    let message = log::data(before, log::part(&wal, before, wal.end()));
    let error = follower.write([&message[..]]).unwrap_err();
    assert!(error.is_disk_full(), "{error}");
    assert_eq!(follower.received(), before);
    // As far as there is room; nothing is asked for twice. That there is none to make the next segment ahead
    // is no reason not to index what is there.
    let fits = Lsn(START.0 + SEGMENT_BYTES);
    write_until(&follower, &wal, Lsn(fits.0 - 8));
    settle(&follower, &told, None);
    write_until(&follower, &wal, fits);
    settle(&follower, &told, None);
    assert!(follower.failure().is_none());
    let message = log::data(fits, log::part(&wal, fits, wal.end()));
    assert!(follower.write([&message[..]]).unwrap_err().is_disk_full());
    drop(follower);
    let names = std::fs::read_dir(small.path().join("log")).unwrap();
    assert!(
        names
            .into_iter()
            .all(|name| name.unwrap().file_name() != "tmp")
    );
}
