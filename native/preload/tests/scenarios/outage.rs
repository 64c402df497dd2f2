//! The page server goes away, comes back, refuses and lies.

use crate::Scenario;
use crate::page_server::Faults;
use crate::reading::page;
use crate::world::{MadeUp, World, main_fork, remote_page, succeeded};
use offshoot_layout::{BLCKSZ, BlockKey};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

pub const SCENARIOS: &[Scenario] = &[
    ("refused_page", refused_page),
    ("server_away", server_away),
    ("server_late", server_late),
    ("hung", hung),
    ("lied_to", lied_to),
    ("parent", || {}),
];

fn files() -> MadeUp {
    MadeUp::default()
        .with("base/5/100", 1000)
        .with("base/5/200", 10)
}

fn read_error(file: &File, block: u64) -> i32 {
    let error = file.read_at(&mut [0; BLCKSZ], block * BLCKSZ as u64);
    error.unwrap_err().raw_os_error().unwrap()
}

/// Lets the other half of the test do its part.
fn tell(name: &str) {
    std::fs::write(name, "").unwrap();
}

fn wait_for(path: impl AsRef<Path>) {
    let start = Instant::now();
    while !path.as_ref().exists() {
        assert!(start.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_refused_page_is_an_error_at_once_with_the_servers_text() {
    let mut source = files();
    let block = 7;
    let rel = main_fork(5, 100);
    source.broken.push(BlockKey { rel, block });
    let world = World::new(source);
    let stderr = world.run("refused_page");
    let line = "1663/5/100 block 7: page server: cannot make 1663/5/100 block 7";
    assert_eq!(stderr.matches(line).count(), 2, "{stderr}");
}

fn refused_page() {
    let file = File::open("base/5/100").unwrap();
    let start = Instant::now();
    assert_eq!(read_error(&file, 7), libc::EIO);
    // A scan asks for it ahead, which is no reason to log it.
    for block in 0..7 {
        assert_eq!(page(&file, block), remote_page("base/5/100", block as u32));
    }
    assert_eq!(read_error(&file, 7), libc::EIO);
    assert_eq!(page(&file, 8), remote_page("base/5/100", 8));
    assert!(start.elapsed() < Duration::from_secs(2));
}

#[test]
fn without_a_server_a_read_fails_after_its_time_and_later_ones_work() {
    let mut world = World::new(files());
    world.set("OFFSHOOT_RETRY_MS", "300");
    let child = world.spawn("server_away", &[]);
    wait_for(world.file("ready"));
    world.server.stop();
    std::fs::write(world.file("away"), "").unwrap();
    wait_for(world.file("failed"));
    world.server.listen();
    std::fs::write(world.file("back"), "").unwrap();
    let stderr = succeeded(child);
    assert!(
        stderr.contains("1663/5/100 block 500: page server: cannot connect"),
        "{stderr}"
    );
}

fn server_away() {
    let file = File::open("base/5/100").unwrap();
    page(&file, 0);
    tell("ready");
    wait_for("away");
    let start = Instant::now();
    assert_eq!(read_error(&file, 500), libc::EIO);
    assert!(start.elapsed() > Duration::from_millis(150));
    assert!(start.elapsed() < Duration::from_secs(3));
    assert_eq!(
        page(&file, 0),
        remote_page("base/5/100", 0),
        "what is here is read"
    );
    let unknown = File::open("base/5/200").unwrap_err();
    assert_eq!(unknown.raw_os_error(), Some(libc::EIO), "not: missing");
    tell("failed");
    wait_for("back");
    assert_eq!(page(&file, 500), remote_page("base/5/100", 500));
    File::open("base/5/200").unwrap();
}

#[test]
fn a_read_waits_for_a_server_that_comes_back() {
    let world = World::new(files());
    let child = world.spawn("server_late", &[]);
    wait_for(world.file("ready"));
    world.server.stop();
    std::fs::write(world.file("away"), "").unwrap();
    std::thread::sleep(Duration::from_millis(300));
    world.server.listen();
    succeeded(child);
}

fn server_late() {
    let file = File::open("base/5/100").unwrap();
    page(&file, 0);
    tell("ready");
    wait_for("away");
    for block in 500..600 {
        assert_eq!(page(&file, block), remote_page("base/5/100", block as u32));
    }
}

#[test]
fn a_server_that_hangs_counts_as_lost() {
    let mut world = World::new(files());
    world.set("OFFSHOOT_RETRY_MS", "600");
    let child = world.spawn("hung", &[]);
    wait_for(world.file("ready"));
    world.server.set_faults(Faults {
        silent: true,
        ..Faults::default()
    });
    std::fs::write(world.file("away"), "").unwrap();
    wait_for(world.file("failed"));
    world.server.set_faults(Faults::default());
    std::fs::write(world.file("back"), "").unwrap();
    let stderr = succeeded(child);
    assert!(stderr.contains("no answer within 0.6 s"), "{stderr}");
}

fn hung() {
    let file = File::open("base/5/100").unwrap();
    page(&file, 0);
    tell("ready");
    wait_for("away");
    let start = Instant::now();
    assert_eq!(read_error(&file, 500), libc::EIO);
    assert!(start.elapsed() < Duration::from_secs(4));
    tell("failed");
    wait_for("back");
    assert_eq!(page(&file, 500), remote_page("base/5/100", 500));
}

#[test]
fn a_page_of_another_block_is_not_taken() {
    let world = World::new(files());
    world.server.set_faults(Faults {
        other_block_one_in: 5,
        ..Faults::default()
    });
    let stderr = world.run("lied_to");
    assert!(
        stderr.is_empty() || stderr.contains("another question"),
        "{stderr}"
    );
    assert!(world.server.counts().connections.load(Ordering::SeqCst) > 5);
}

fn lied_to() {
    let file = File::open("base/5/100").unwrap();
    for block in 0..200 {
        assert_eq!(page(&file, block), remote_page("base/5/100", block as u32));
    }
}

#[test]
fn without_its_parent_the_program_does_not_start() {
    let mut world = World::new(files());
    world.set("OFFSHOOT_PARENT_PID", &std::process::id().to_string());
    world.run("parent");
    world.set("OFFSHOOT_PARENT_PID", "1");
    let output = world.spawn("parent", &[]).wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("parent process 1 is gone"), "{stderr}");
}

#[test]
fn wrong_settings_are_refused_at_the_start() {
    let mut world = World::new(files());
    world.set("OFFSHOOT_LSN", "zero");
    let output = world.spawn("parent", &[]).wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("OFFSHOOT_LSN"), "{stderr}");
}
