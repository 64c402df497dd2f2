//! A made-up cluster's timeline with a log, WAL to follow, and the same timeline without a log to compare.

#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use offshoot_engine::Tenant;
use offshoot_follow::{FollowError, FollowOptions, Follower, Keep, Progress};
use offshoot_layout::{BLCKSZ, BlockKey, Fork, Lsn, SlruKind};
use offshoot_wal::generate::{RecordDraft, WalStream};
use tempfile::TempDir;

use crate::source::{self, INDEX, PARAMS};

pub const SEGMENT_BYTES: u64 = PARAMS.seg_size as u64;
/// Nothing takes so long.
pub const LONG: Duration = Duration::from_secs(3600);
const PATIENCE: Duration = Duration::from_secs(60);
const RELATIONS: u32 = 3;
const BLOCKS: usize = 20;

/// What `on_progress` was told.
pub type Told = Receiver<Result<Progress, String>>;

pub struct Log {
    pub tenant: Arc<Tenant>,
    pub dir: TempDir,
    _store: TempDir,
}

impl Log {
    /// The timeline has what is in `wal` by now.
    pub fn behind(wal: &WalStream) -> Log {
        let (tenant, store) = source::imported(wal);
        Log {
            tenant,
            dir: TempDir::new().unwrap(),
            _store: store,
        }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn options(&self) -> FollowOptions {
        FollowOptions {
            index: INDEX,
            keep: Keep::Log(self.dir.path().to_path_buf()),
            wal: PARAMS,
            wal_start: None,
            index_interval: Duration::from_millis(20),
        }
    }

    pub fn open(&self) -> (Follower, Told) {
        self.open_with(&self.options())
    }

    pub fn open_with(&self, options: &FollowOptions) -> (Follower, Told) {
        let (tell, told) = channel();
        let on_progress = move |progress: Result<Progress, &FollowError>| {
            let _ = tell.send(progress.map_err(ToString::to_string));
        };
        let follower = Follower::open(&self.tenant, options, Box::new(on_progress)).unwrap();
        (follower, told)
    }

    /// Names of the log's files, in order.
    pub fn files(&self) -> Vec<String> {
        let files = std::fs::read_dir(self.path()).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }
}

/// Waits until all of `lsn` is settled.
pub fn settle(follower: &Follower, told: &Told, lsn: Option<Lsn>) -> Progress {
    let wanted = follower.want(lsn);
    loop {
        let progress = follower.progress();
        if progress.settled >= wanted {
            return progress;
        }
        told.recv_timeout(PATIENCE).unwrap().unwrap();
    }
}

/// What ended indexing.
pub fn failure(told: &Told) -> String {
    loop {
        if let Err(text) = told.recv_timeout(PATIENCE).unwrap() {
            return text;
        }
    }
}

/// XLogData.
pub fn data(start: Lsn, bytes: &[u8]) -> Vec<u8> {
    let mut message = vec![b'w'];
    message.extend(start.0.to_be_bytes());
    message.extend([0; 16]);
    message.extend(bytes);
    message
}

/// The stream's bytes between two LSNs.
pub fn part(wal: &WalStream, start: Lsn, end: Lsn) -> &[u8] {
    let first = wal.end().0 - wal.bytes().len() as u64;
    &wal.bytes()[(start.0 - first) as usize..(end.0 - first) as usize]
}

/// Writes all that is missing up to `end`, at once.
pub fn write_until(follower: &Follower, wal: &WalStream, end: Lsn) {
    let start = follower.received();
    let message = data(start, part(wal, start, end));
    follower.write([&message[..]]).unwrap();
    assert_eq!(follower.received(), end);
}

pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) % end.max(1) as u64) as usize
    }

    /// Adds some record; answers where it ends.
    pub fn append(&mut self, wal: &mut WalStream) -> Lsn {
        let relnode = 20_000 + self.below(RELATIONS as usize) as u32;
        let block = self.below(BLOCKS) as u32;
        let tag = self.below(1 << 30) as u32;
        let draft = match self.below(40) {
            0 => {
                wal.append_switch().unwrap();
                return wal.end();
            }
            1..=3 => source::truncate(relnode, block),
            4..=8 => noop(self.below(60_000)),
            9..=15 => source::commit(1000 + self.below(5000) as u32),
            16 => source::create(relnode),
            _ => source::image(relnode, block, &source::page_of(tag, Lsn(8))),
        };
        wal.append(&draft).unwrap();
        wal.end()
    }
}

/// XLOG/NOOP of any length.
pub fn noop(bytes: usize) -> RecordDraft {
    RecordDraft {
        rmid: 0,
        info: 0x20,
        main: vec![7; bytes],
        ..RecordDraft::default()
    }
}

/// Feeds the timeline without a log.
pub fn fed_directly(imported: &WalStream, wal: &WalStream) -> Log {
    let log = Log::behind(imported);
    let mut ingest = log.tenant.resume_ingest(INDEX, PARAMS, None).unwrap();
    ingest
        .feed(part(wal, ingest.position(), wal.end()))
        .unwrap();
    ingest.commit().unwrap();
    log
}

pub fn assert_same(one: &Log, other: &Log, lsns: &[Lsn]) {
    for lsn in lsns {
        let views = [one, other].map(|log| log.tenant.view(INDEX, *lsn).unwrap());
        let relations = views[0].relations(1663, 5).unwrap();
        assert_eq!(relations, views[1].relations(1663, 5).unwrap(), "{lsn}");
        for relnode in 20_000..20_000 + RELATIONS {
            for block in 0..BLOCKS as u32 {
                let rel = source::rel(relnode, Fork::Main);
                let key = BlockKey { rel, block };
                let made = [&views[0], &views[1]].map(|view| {
                    let mut made = [0xEE; BLCKSZ];
                    view.page(&key, &mut made).ok().map(|()| made)
                });
                assert!(made[0] == made[1], "{key} at {lsn}");
            }
        }
        let xact = [&views[0], &views[1]].map(|view| {
            let mut made = [0xEE; BLCKSZ];
            view.slru_page(SlruKind::Xact, 0, &mut made).unwrap();
            made
        });
        assert!(xact[0] == xact[1], "pg_xact at {lsn}");
    }
}
