//! A disk without room: a clear error, nothing lost, and writing goes on when there is room again.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use offshoot_store::{Durability, Store, StoreError, StoreOptions, Table};
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Mutex;
use tempfile::TempDir;

const ROOM_BYTES: usize = 4 << 20;
const VALUE_BYTES: usize = 50_000;

/// The limit on file sizes belongs to the whole process: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn value(n: u32) -> Vec<u8> {
    vec![n as u8; VALUE_BYTES]
}

fn put(store: &Store, n: u32, durability: Durability) -> Result<(), StoreError> {
    store.write(durability, |txn| {
        txn.put(Table::Versions, &n.to_be_bytes(), &value(n))
    })
}

/// Writes until the disk is full; how many batches went in.
fn fill(store: &Store, durability: Durability) -> u32 {
    for n in 0..1000 {
        match put(store, n, durability).and_then(|()| store.sync()) {
            Ok(()) => {}
            Err(StoreError::DiskFull(_)) => return n,
            Err(error) => panic!("batch {n}: {error}"),
        }
    }
    panic!("the disk never got full");
}

fn holds(store: &Store, count: u32) {
    let snapshot = store.read().unwrap();
    for n in 0..count {
        let found = snapshot.get(Table::Versions, &n.to_be_bytes()).unwrap();
        assert_eq!(found, Some(&value(n)[..]), "{n} of {count}");
    }
    let behind = snapshot.get(Table::Versions, &count.to_be_bytes()).unwrap();
    assert!(behind.is_none(), "a batch that failed left something");
}

/// `more_room` ends the shortage.
fn survives_a_full_disk(dir: &Path, durability: Durability, more_room: impl FnOnce()) {
    let store = Store::open(dir, StoreOptions::default()).unwrap();
    let count = fill(&store, durability);
    assert!(count > 10, "{count}");
    holds(&store, count);
    assert!(matches!(
        put(&store, count, durability),
        Err(StoreError::DiskFull(_))
    ));
    store.close().unwrap();
    let store = Store::open(dir, StoreOptions::default()).unwrap();
    holds(&store, count);
    more_room();
    put(&store, count, Durability::Commit).unwrap();
    holds(&store, count + 1);
    store.close().unwrap();
    holds(
        &Store::open(dir, StoreOptions::default()).unwrap(),
        count + 1,
    );
}

fn limit_file_size(bytes: libc::rlim_t) {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: both calls read or write the one structure they are given; the signal is ignored so that
    // writing past the limit is an error and does not end the process.
    let done = unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
        libc::getrlimit(libc::RLIMIT_FSIZE, &mut limit);
        limit.rlim_cur = bytes.min(limit.rlim_max);
        libc::setrlimit(libc::RLIMIT_FSIZE, &limit)
    };
    assert_eq!(done, 0);
}

#[test]
fn a_file_that_may_not_grow() {
    let _alone = ALONE
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    for durability in [Durability::Commit, Durability::Later] {
        let dir = TempDir::new().unwrap();
        limit_file_size(ROOM_BYTES as libc::rlim_t);
        survives_a_full_disk(&dir.path().join("store"), durability, || {
            limit_file_size(libc::RLIM_INFINITY);
        });
        limit_file_size(libc::RLIM_INFINITY);
    }
}

/// A file system of its own; needs root, and a system that lets root mount.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn mounted() -> Option<SmallDisk> {
        let dir = TempDir::new().unwrap();
        mount(dir.path(), 0).then_some(SmallDisk(dir))
    }

    fn enlarge(&self) {
        assert!(mount(self.0.path(), libc::MS_REMOUNT));
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let path = CString::new(self.0.path().as_os_str().as_bytes()).unwrap();
        // SAFETY: the path is NUL-terminated; what is mounted there is ours.
        unsafe { libc::umount2(path.as_ptr(), libc::MNT_DETACH) };
    }
}

fn mount(path: &Path, flags: libc::c_ulong) -> bool {
    let path = CString::new(path.as_os_str().as_bytes()).unwrap();
    let bytes = if flags == 0 {
        ROOM_BYTES
    } else {
        4 * ROOM_BYTES
    };
    let options = CString::new(format!("size={bytes}")).unwrap();
    // SAFETY: all strings are NUL-terminated and outlive the call.
    let done = unsafe {
        libc::mount(
            c"tmpfs".as_ptr(),
            path.as_ptr(),
            c"tmpfs".as_ptr(),
            flags,
            options.as_ptr().cast(),
        )
    };
    done == 0
}

#[test]
fn a_file_system_without_room() {
    let _alone = ALONE
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    for durability in [Durability::Commit, Durability::Later] {
        let Some(disk) = SmallDisk::mounted() else {
            // The test above needs no privilege and says the same.
            return;
        };
        survives_a_full_disk(&disk.0.path().join("store"), durability, || disk.enlarge());
    }
}
