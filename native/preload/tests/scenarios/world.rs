//! A data directory, a page server of made-up relations, and programs that run with the library in it.

use crate::page_server::{PageServer, Source};
use offshoot_layout::{BlockKey, Fork, Page, RelFile, RelKey};
use offshoot_pageproto::RelationEntry;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;

pub const ID: &str = "0123456789abcdef0123456789abcdef";
pub const LSN: &str = "0/16B5A50";

/// Relations whose pages are made from their names.
#[derive(Default, Clone)]
pub struct MadeUp {
    pub relations: BTreeMap<RelKey, u32>,
    /// Pages that cannot be had.
    pub broken: Vec<BlockKey>,
}

impl MadeUp {
    /// `path` is of the first segment.
    pub fn with(mut self, path: &str, blocks: u32) -> Self {
        let file = RelFile::parse(path.as_bytes(), 15).unwrap();
        self.relations.insert(file.rel, blocks);
        self
    }
}

impl Source for Arc<MadeUp> {
    fn blocks(&self, rel: RelKey) -> Option<u32> {
        self.relations.get(&rel).copied()
    }

    fn page(&self, key: BlockKey, page: &mut Page) -> Result<(), String> {
        if self.broken.contains(&key) {
            return Err(format!("cannot make {key}"));
        }
        let Some(&blocks) = self.relations.get(&key.rel) else {
            return Err(format!("no relation {}", key.rel));
        };
        if key.block < blocks {
            *page = made_up_page(key);
        }
        Ok(())
    }

    fn relations(&self, spcnode: u32, dbnode: u32) -> Vec<RelationEntry> {
        let of_database = self
            .relations
            .iter()
            .filter(|(rel, _)| rel.spcnode == spcnode && rel.dbnode == dbnode);
        of_database
            .map(|(rel, &blocks)| RelationEntry {
                relnode: rel.relnode,
                fork: rel.fork,
                blocks,
            })
            .collect()
    }
}

/// What the server has of a block: no two are alike.
pub fn made_up_page(key: BlockKey) -> Page {
    let RelKey {
        spcnode,
        dbnode,
        relnode,
        fork,
    } = key.rel;
    let words = [spcnode, dbnode, relnode, fork as u32, key.block, 0x5eed];
    let mut page = [0; 8192];
    for (at, chunk) in page.chunks_exact_mut(4).enumerate() {
        let word = words[at % words.len()].wrapping_add(at as u32);
        chunk.copy_from_slice(&word.to_be_bytes());
    }
    page
}

/// The server's page for a block of a segment file.
pub fn remote_page(path: &str, block: u32) -> Page {
    let file = RelFile::parse(path.as_bytes(), 15).unwrap();
    made_up_page(BlockKey {
        rel: file.rel,
        block: file.first_block() + block,
    })
}

pub struct World {
    pub directory: tempfile::TempDir,
    pub server: PageServer,
    settings: Vec<(String, String)>,
}

impl World {
    pub fn new(source: MadeUp) -> World {
        World::with_token(source, None)
    }

    pub fn with_token(source: MadeUp, token: Option<&str>) -> World {
        let directory = tempfile::tempdir().unwrap();
        let databases = [
            "base/5",
            "base/1",
            "global",
            "pg_tblspc/9/PG_15_202209061/5",
        ];
        let state = ["offshoot/map", "offshoot/gone", "offshoot/tmp"];
        for name in databases.iter().chain(&state) {
            std::fs::create_dir_all(directory.path().join(name)).unwrap();
        }
        let socket = directory.path().join("s");
        let server = PageServer::start(&socket, Arc::new(source), token);
        let mut world = World {
            directory,
            server,
            settings: Vec::new(),
        };
        world.set("OFFSHOOT_PAGESERVER", &format!("unix:{}", socket.display()));
        world.set("OFFSHOOT_TENANT", ID);
        world.set("OFFSHOOT_TIMELINE", ID);
        world.set("OFFSHOOT_LSN", LSN);
        world.set("OFFSHOOT_RETRY_MS", "10000");
        world
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.settings.push((name.to_owned(), value.to_owned()));
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Starts the scenario of this name in a process of its own that has the library.
    pub fn spawn(&self, scenario: &str, arguments: &[(&str, String)]) -> Child {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "child", "--ignored", "--nocapture", "--quiet"])
            .current_dir(self.directory.path())
            .env("LD_PRELOAD", library())
            .env("SCENARIO", scenario)
            .envs(self.settings.iter().map(|(name, value)| (name, value)))
            .envs(arguments.iter().map(|(name, value)| (name, value)))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    /// Runs a scenario, which must succeed, and returns what it wrote to standard error.
    pub fn run(&self, scenario: &str) -> String {
        succeeded(self.spawn(scenario, &[]))
    }
}

/// Waits for a child that must succeed; returns its standard error.
pub fn succeeded(child: Child) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&stderr).into_owned();
    let stdout = String::from_utf8_lossy(&stdout);
    assert!(status.success(), "{status}\n{stdout}\n{stderr}");
    // A scenario that did not run would succeed too.
    assert!(stdout.contains("scenario done"), "{stdout}\n{stderr}");
    stderr
}

/// The library that cargo built beside this test.
fn library() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let beside = test.parent().unwrap().join("liboffshoot_preload.so");
    assert!(beside.exists(), "{} is missing", beside.display());
    beside
}

/// Reads a whole file with plain reads.
pub fn read_all(path: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .unwrap()
        .read_to_end(&mut bytes)
        .unwrap();
    bytes
}

pub fn main_fork(dbnode: u32, relnode: u32) -> RelKey {
    RelKey {
        spcnode: 1663,
        dbnode,
        relnode,
        fork: Fork::Main,
    }
}
