//! Relations that are only at the server are there, with their sizes and pages.

use crate::Scenario;
use crate::world::{MadeUp, World, read_all, remote_page, succeeded};
use offshoot_layout::BLCKSZ;
use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::sync::atomic::Ordering;

pub const SCENARIOS: &[Scenario] = &[
    ("read_pages", read_pages),
    ("metadata", metadata),
    ("scan", scan),
    ("vectors", vectors),
    ("advice", advice),
    ("forked", forked),
    ("read_one", read_one),
    ("unknown_paths", unknown_paths),
    ("unreachable", unreachable),
    ("small", small),
    ("small_by_many", small_by_many),
];

pub fn page(file: &File, block: u64) -> [u8; BLCKSZ] {
    let mut page = [0; BLCKSZ];
    file.read_exact_at(&mut page, block * BLCKSZ as u64)
        .unwrap();
    page
}

fn files() -> MadeUp {
    MadeUp::default()
        .with("base/5/100", 131_072 + 3)
        .with("base/5/100_fsm", 3)
        .with("base/5/100_vm", 1)
        .with("base/5/200", 0)
        .with("base/5/300", 1000)
        .with("base/1/100", 2)
        .with("global/1262", 1)
        .with("pg_tblspc/9/PG_15_202209061/5/7", 4)
}

#[test]
fn every_kind_of_file_is_read() {
    World::new(files()).run("read_pages");
}

fn read_pages() {
    for (path, block) in [
        ("base/5/100", 0),
        ("base/5/100", 131_071),
        ("base/5/100.1", 2),
        ("./base/5/100_fsm", 2),
        ("base/5/100_vm", 0),
        ("base/1/100", 1),
        ("global/1262", 0),
        ("pg_tblspc/9/PG_15_202209061/5/7", 3),
    ] {
        // Opened for reading only, as copy_file and base backup do.
        let file = File::open(path).unwrap();
        let name = path.trim_start_matches("./");
        for _ in 0..2 {
            assert_eq!(
                page(&file, block),
                remote_page(name, block as u32),
                "{path}"
            );
        }
    }
    let file = File::open("base/5/100.1").unwrap();
    assert_eq!(
        file.read_at(&mut [0; BLCKSZ], 3 * 8192).unwrap(),
        0,
        "behind the end"
    );
    let mut part = [0; 100];
    file.read_exact_at(&mut part, 8192 + 50).unwrap();
    assert_eq!(part, remote_page("base/5/100.1", 1)[50..150]);
    assert_eq!(read_all("base/5/200"), b"");
    let whole = read_all("base/5/100_fsm");
    let expected: Vec<_> = (0..3)
        .flat_map(|block| remote_page("base/5/100_fsm", block))
        .collect();
    assert!(whole == expected, "plain reads");
}

#[test]
fn files_are_there_before_they_are_opened() {
    World::new(files()).run("metadata");
}

fn metadata() {
    let size = |path: &std::ffi::CStr| {
        // SAFETY: a path and a writable stat.
        unsafe {
            let mut stat: libc::stat = std::mem::zeroed();
            (libc::stat(path.as_ptr(), &raw mut stat) == 0).then_some(stat.st_size)
        }
    };
    // SAFETY: a path.
    let accessible = |path: &std::ffi::CStr| unsafe { libc::access(path.as_ptr(), 0) == 0 };
    assert_eq!(size(c"base/5/100"), Some(1 << 30));
    assert_eq!(size(c"base/5/100.1"), Some(3 * 8192));
    assert_eq!(size(c"base/5/100.2"), None);
    assert_eq!(size(c"base/5/200"), Some(0));
    assert_eq!(size(c"base/5/200.1"), None);
    assert!(accessible(c"base/5/300") && !accessible(c"base/5/301"));
    let errno = std::io::Error::last_os_error();
    assert_eq!(errno.kind(), std::io::ErrorKind::NotFound);
    let missing = File::open("base/5/301").unwrap_err();
    assert_eq!(missing.kind(), std::io::ErrorKind::NotFound);
    let taken = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open("base/1/100");
    assert_eq!(taken.unwrap_err().kind(), std::io::ErrorKind::AlreadyExists);
    assert!(File::open("base/77/1").is_err(), "no such directory");
}

#[test]
fn a_scan_is_read_ahead_in_batches_and_asks_for_each_page_once() {
    let world = World::new(files());
    world.run("scan");
    assert_eq!(world.server.counts().pages.load(Ordering::SeqCst), 1000);
    assert!(world.server.counts().batch_max.load(Ordering::SeqCst) >= 16);
}

fn scan() {
    let file = File::open("base/5/300").unwrap();
    for block in 0..1000 {
        assert_eq!(page(&file, block), remote_page("base/5/300", block as u32));
    }
}

#[test]
fn vectored_reads() {
    World::new(files()).run("vectors");
}

fn vectors() {
    let file = File::open("base/5/300").unwrap();
    let mut pages = vec![[0u8; BLCKSZ]; 16];
    for start in [0, 16, 500, 32] {
        let slices: Vec<_> = pages
            .iter_mut()
            .map(|page| libc::iovec {
                iov_base: page.as_mut_ptr().cast(),
                iov_len: BLCKSZ,
            })
            .collect();
        // SAFETY: the iovecs describe `pages`.
        let read =
            unsafe { libc::preadv(file.as_raw_fd(), slices.as_ptr(), 16, start * BLCKSZ as i64) };
        assert_eq!(read, 16 * BLCKSZ as isize);
        for (at, page) in pages.iter().enumerate() {
            assert_eq!(*page, remote_page("base/5/300", start as u32 + at as u32));
        }
    }
}

#[test]
fn advised_pages_are_asked_for_together_and_once() {
    let world = World::new(files());
    world.run("advice");
    // As many advised ones as may be in flight, and what came with the three files' opening.
    let opening = 1 + 2 + 1;
    assert_eq!(
        world.server.counts().pages.load(Ordering::SeqCst),
        128 + opening
    );
}

fn advice() {
    let file = File::open("base/5/300").unwrap();
    let other = File::open("base/1/100").unwrap();
    for block in (0..600).step_by(3) {
        // SAFETY: no memory is passed.
        let advised = unsafe {
            libc::posix_fadvise(
                file.as_raw_fd(),
                block * BLCKSZ as i64,
                BLCKSZ as i64,
                libc::POSIX_FADV_WILLNEED,
            )
        };
        assert_eq!(advised, 0);
    }
    // Another file's page and size are behind the advised ones on the connection.
    assert_eq!(page(&other, 1), remote_page("base/1/100", 1));
    File::open("global/1262").unwrap();
    for block in (0..128 * 3u32).step_by(3).rev() {
        let got = page(&file, u64::from(block));
        assert_eq!(got, remote_page("base/5/300", block));
    }
}

#[test]
fn a_forked_process_makes_its_own_connection() {
    let world = World::new(files());
    world.run("forked");
    assert_eq!(world.server.counts().connections.load(Ordering::SeqCst), 4);
}

fn forked() {
    let file = File::open("base/5/300").unwrap();
    page(&file, 0);
    for child in 0..3 {
        // SAFETY: the child only reads and exits.
        match unsafe { libc::fork() } {
            0 => {
                let good = (0..50).all(|at| {
                    // Too far apart for read-ahead: a child would find what another one brought.
                    let block = at * 13 + child;
                    page(&file, block) == remote_page("base/5/300", block as u32)
                });
                // SAFETY: ends the child without running what is the parent's.
                unsafe { libc::_exit(i32::from(!good)) };
            }
            pid => {
                let mut status = 0;
                // SAFETY: a writable int.
                unsafe { libc::waitpid(pid, &raw mut status, 0) };
                assert_eq!(status, 0);
            }
        }
    }
    assert_eq!(page(&file, 999), remote_page("base/5/300", 999));
}

/// Eight blocks are the most that come whole.
fn small_files() -> MadeUp {
    MadeUp::default()
        .with("base/5/1", 8)
        .with("base/5/1_vm", 1)
        .with("base/5/2", 9)
        .with("base/5/3", 0)
        .with("base/5/4", 1)
}

#[test]
fn a_small_relation_comes_whole_when_it_is_opened() {
    let world = World::new(small_files());
    world.run("small");
    // All, and the guesses that the long, the empty and the missing one have a page.
    let (whole, guesses) = (8 + 1 + 1, 3);
    assert_eq!(
        world.server.counts().pages.load(Ordering::SeqCst),
        whole + guesses
    );
    for (name, block) in [("base/5/1", 3), ("base/5/1_vm", 0)] {
        let here = std::fs::read(world.file(name)).unwrap();
        let start = block as usize * BLCKSZ;
        assert!(
            here[start..][..BLCKSZ] == remote_page(name, block),
            "{name}"
        );
    }
    let blocks = |name| std::fs::metadata(world.file(name)).unwrap().len() / BLCKSZ as u64;
    assert_eq!((blocks("base/5/2"), blocks("base/5/3")), (9, 0));
}

fn small() {
    for path in [
        "base/5/1",
        "base/5/1_vm",
        "base/5/2",
        "base/5/3",
        "base/5/4",
    ] {
        File::open(path).unwrap();
    }
    assert_eq!(
        File::open("base/5/5").unwrap_err().raw_os_error(),
        Some(libc::ENOENT)
    );
    assert_eq!(
        page(&File::open("base/5/4").unwrap(), 0),
        remote_page("base/5/4", 0)
    );
}

#[test]
fn without_read_ahead_nothing_comes_unasked() {
    let mut world = World::new(small_files());
    world.set("OFFSHOOT_READAHEAD_PAGES", "0");
    world.run("small");
    assert_eq!(world.server.counts().pages.load(Ordering::SeqCst), 1);
}

#[test]
fn a_small_relation_that_many_open_at_once_keeps_what_is_written() {
    let relations = (100..300).fold(MadeUp::default(), |made, relnode| {
        made.with(&format!("base/5/{relnode}"), 1 + relnode % 8)
    });
    let world = World::new(relations);
    let processes: Vec<_> = (0..4)
        .map(|own| world.spawn("small_by_many", &[("OWN", own.to_string())]))
        .collect();
    for process in processes {
        succeeded(process);
    }
}

/// Each process opens every relation, writes its own every fourth of them, and reads it again and again.
fn small_by_many() {
    let own: u32 = std::env::var("OWN").unwrap().parse().unwrap();
    let written = [0xab; BLCKSZ];
    for relnode in 100..300u32 {
        let path = format!("base/5/{relnode}");
        let file = OpenOptions::new().read(true).write(true).open(&path);
        let file = file.unwrap();
        let blocks = file.metadata().unwrap().len() / BLCKSZ as u64;
        assert_eq!(blocks, u64::from(1 + relnode % 8), "{path}");
        if relnode % 4 == own {
            file.write_all_at(&written, 0).unwrap();
            for _ in 0..3 {
                assert!(page(&File::open(&path).unwrap(), 0) == written, "{path}");
            }
        }
        for block in 1..blocks {
            assert_eq!(page(&file, block), remote_page(&path, block as u32));
        }
    }
}

#[test]
fn a_token_opens_the_server() {
    let mut world = World::with_token(files(), Some("secret"));
    std::fs::write(world.file("token"), "secret\n").unwrap();
    world.set(
        "OFFSHOOT_TOKEN_FILE",
        world.file("token").to_str().unwrap().to_owned().as_str(),
    );
    world.run("read_one");
}

fn read_one() {
    let file = File::open("base/5/300").unwrap();
    assert_eq!(page(&file, 7), remote_page("base/5/300", 7));
}

#[test]
fn a_server_is_reached_over_tcp() {
    for name in ["127.0.0.1", "localhost"] {
        let mut world = World::with_token(files(), Some("secret"));
        let port = world.server.relay_from("127.0.0.1");
        let token = world.file("token");
        std::fs::write(&token, "secret\n").unwrap();
        world.set("OFFSHOOT_TOKEN_FILE", token.to_str().unwrap());
        world.set("OFFSHOOT_PAGESERVER", &format!("tcp:{name}:{port}"));
        world.run("scan");
        assert_eq!(world.server.counts().pages.load(Ordering::SeqCst), 1000);
        assert_eq!(world.server.counts().connections.load(Ordering::SeqCst), 1);
    }
}

#[test]
fn nobody_behind_a_tcp_address_is_an_error_after_the_time_for_retries() {
    let mut world = World::new(files());
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = port.local_addr().unwrap();
    drop(port);
    world.set("OFFSHOOT_PAGESERVER", &format!("tcp:{address}"));
    world.set("OFFSHOOT_RETRY_MS", "100");
    let stderr = world.run("unreachable");
    assert!(stderr.contains("cannot connect"), "{stderr}");
}

fn unreachable() {
    let failed = File::open("base/5/300").unwrap_err();
    assert_eq!(failed.raw_os_error(), Some(libc::EIO));
}

#[test]
fn nothing_but_relation_files_is_asked_for() {
    let world = World::new(files());
    std::fs::write(world.file("base/5/PG_VERSION"), "15\n").unwrap();
    world.run("unknown_paths");
    assert_eq!(world.server.counts().connections.load(Ordering::SeqCst), 0);
}

fn unknown_paths() {
    assert_eq!(read_all("base/5/PG_VERSION"), b"15\n");
    for path in [
        "base/5/t3_100",
        "base/5/pg_internal.init",
        "/base/5/100",
        "base/5/100x",
    ] {
        assert!(File::open(path).is_err(), "{path}");
    }
}
