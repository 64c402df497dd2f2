//! A model of what Postgres does to its files and its WAL while a base backup reads them.
//!
//! Changes are made in memory and reach the files some time; the first change of a page after a checkpoint
//! brings an image or builds the page anew; sizes change in the files at once.

#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use std::collections::{BTreeMap, BTreeSet};

use offshoot_layout::{BLCKSZ, BlockKey, Fork, Lsn, Page, RelKey, page};
use offshoot_wal::Compression;
use offshoot_wal::generate::{BlockDraft, ImageDraft, RecordDraft, WalStream};

use crate::source::{Files, START, backup_files, page_of, wal};

const RELNODES: std::ops::Range<u32> = 17_000..17_005;
const BLOCKS_MAX: usize = 8;
const DATABASE: u32 = 5;
/// Made of database 5 by copying files, and dropped.
pub const COPY: u32 = 6;
const VM_BYTE: usize = 24;

/// What the cluster holds, by its own account.
#[derive(Clone)]
pub struct Memory {
    pub relations: BTreeMap<RelKey, Vec<Page>>,
    pub gone: BTreeSet<RelKey>,
    pub xact: Page,
    /// Whether database 6 exists.
    pub copied: bool,
}

/// A file that the backup has opened: its size then, and what was read so far.
struct Reading {
    rel: RelKey,
    blocks: usize,
    pages: Vec<Page>,
    /// The relation was dropped (and perhaps made again) meanwhile.
    unlinked: bool,
}

pub struct Cluster {
    random: u64,
    memory: Memory,
    files: BTreeMap<RelKey, Vec<Page>>,
    xact_file: Page,
    /// Pages that were changed since the last checkpoint.
    logged: BTreeSet<(RelKey, usize)>,
    stream: WalStream,
    tag: u32,
    xid: u32,
    reading: Option<Reading>,
}

fn rel(dbnode: u32, relnode: u32, fork: Fork) -> RelKey {
    RelKey {
        spcnode: 1663,
        dbnode,
        relnode,
        fork,
    }
}

impl Cluster {
    pub fn new(seed: u64) -> Cluster {
        let mut xact = [0; BLCKSZ];
        xact[249] = 0b0101_0101;
        let memory = Memory {
            relations: BTreeMap::new(),
            gone: BTreeSet::new(),
            xact,
            copied: false,
        };
        let mut cluster = Cluster {
            random: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
            memory,
            files: BTreeMap::new(),
            xact_file: xact,
            logged: BTreeSet::new(),
            stream: wal(),
            tag: 1,
            xid: 1001,
            reading: None,
        };
        for relnode in RELNODES.take(3) {
            let blocks = cluster.below(BLOCKS_MAX);
            let pages: Vec<Page> = (0..blocks)
                .map(|_| cluster.new_page(Lsn(START.0 - 8)))
                .collect();
            let mut map = cluster.new_page(Lsn(START.0 - 8));
            map[VM_BYTE..VM_BYTE + 2].fill(0xFF);
            cluster
                .memory
                .relations
                .insert(rel(DATABASE, relnode, Fork::Vm), vec![map]);
            cluster
                .memory
                .relations
                .insert(rel(DATABASE, relnode, Fork::Main), pages);
        }
        cluster.files = cluster.memory.relations.clone();
        cluster
    }

    pub fn memory(&self) -> Memory {
        self.memory.clone()
    }

    pub fn wal(&self) -> &[u8] {
        self.stream.bytes()
    }

    pub fn end(&self) -> Lsn {
        self.stream.end()
    }

    /// The archive's members, read while the cluster changes.
    pub fn back_up(&mut self) -> Files {
        let mut read: BTreeMap<RelKey, Vec<Page>> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        let mut xact = None;
        for _ in 0..40 {
            if self.chance(2) {
                self.change();
            }
            if let Some(reading) = self.reading.take_if(|_| true) {
                let (rel, pages) = self.read_rest(reading);
                read.insert(rel, pages);
            } else if self.chance(2) {
                let left: Vec<RelKey> = self
                    .files
                    .keys()
                    .filter(|rel| !seen.contains(*rel))
                    .copied()
                    .collect();
                if !left.is_empty() {
                    let rel = left[self.below(left.len())];
                    seen.insert(rel);
                    self.reading = Some(self.begin_reading(rel));
                }
            } else if xact.is_none() && self.chance(8) {
                xact = Some(self.torn_xact());
            }
        }
        // A file that was there all the time is not overlooked.
        let left: Vec<RelKey> = self
            .files
            .keys()
            .filter(|rel| !seen.contains(*rel))
            .copied()
            .collect();
        for rel in left {
            let reading = self.begin_reading(rel);
            let (rel, pages) = self.read_rest(reading);
            read.insert(rel, pages);
        }
        if let Some(reading) = self.reading.take() {
            let (rel, pages) = self.read_rest(reading);
            read.insert(rel, pages);
        }
        let xact = xact.unwrap_or_else(|| self.torn_xact());
        // A record that the backup's end is behind of.
        self.append(RecordDraft {
            rmid: 0,
            info: 0x50,
            main: vec![0; 8],
            ..RecordDraft::default()
        });
        self.archive(read, &xact)
    }

    fn archive(&self, read: BTreeMap<RelKey, Vec<Page>>, xact: &Page) -> Files {
        let mut files = backup_files();
        files.retain(|(path, _)| path != "pg_xact/0000" && path != "base/5/16385");
        files.push(("pg_xact/0000".to_owned(), xact.to_vec()));
        for (rel, pages) in read {
            let suffix = if rel.fork == Fork::Vm { "_vm" } else { "" };
            let path = format!("base/{}/{}{suffix}", rel.dbnode, rel.relnode);
            files.push((path, pages.concat()));
        }
        files
    }

    fn begin_reading(&mut self, rel: RelKey) -> Reading {
        let blocks = self.files[&rel].len();
        let mut reading = Reading {
            rel,
            blocks,
            pages: Vec::new(),
            unlinked: false,
        };
        for block in 0..self.below(blocks + 1) {
            let page = self.read_page(&reading, block);
            reading.pages.push(page);
        }
        reading
    }

    fn read_rest(&mut self, mut reading: Reading) -> (RelKey, Vec<Page>) {
        for block in reading.pages.len()..reading.blocks {
            let page = self.read_page(&reading, block);
            reading.pages.push(page);
        }
        (reading.rel, reading.pages)
    }

    /// A page of the file; perhaps it is being written just now. Zeros where the file was cut off.
    fn read_page(&mut self, reading: &Reading, block: usize) -> Page {
        let key = reading.rel;
        let file = self.files.get(&key).filter(|_| !reading.unlinked);
        let Some(old) = file.and_then(|pages| pages.get(block)).copied() else {
            return [0; BLCKSZ];
        };
        let new = self.memory.relations[&key][block];
        match self.below(3) {
            0 => old,
            1 => {
                self.files.get_mut(&key).unwrap()[block] = new;
                new
            }
            _ => {
                self.files.get_mut(&key).unwrap()[block] = new;
                let written = 512 * self.below(17);
                let mut torn = old;
                torn[..written].copy_from_slice(&new[..written]);
                torn
            }
        }
    }

    fn torn_xact(&mut self) -> Page {
        let written = 512 * self.below(17);
        let mut torn = self.xact_file;
        torn[..written].copy_from_slice(&self.memory.xact[..written]);
        torn
    }

    /// One thing happens.
    pub fn change(&mut self) {
        match self.below(24) {
            0 => self.check_point(),
            1 => self.write_some(),
            2 => self.create(),
            3 => self.drop_relation(),
            4 | 5 => self.truncate(),
            6 => self.extend_silently(),
            7 => self.copy_database(),
            8 => self.drop_database(),
            9..=11 => self.commit(&[]),
            12..=13 => self.delete(),
            14..=17 => self.add_page(),
            _ => self.change_page(),
        }
    }

    fn check_point(&mut self) {
        self.files = self.memory.relations.clone();
        self.xact_file = self.memory.xact;
        self.logged.clear();
    }

    fn write_some(&mut self) {
        if let Some((key, block)) = self.some_page() {
            self.files.get_mut(&key).unwrap()[block] = self.memory.relations[&key][block];
        }
    }

    fn create(&mut self) {
        let key = rel(DATABASE, self.relnode(), Fork::Main);
        if self.memory.relations.contains_key(&key) {
            return;
        }
        self.append(RecordDraft {
            rmid: 2,
            info: 0x10,
            main: words(&[1663, DATABASE, key.relnode, 0]),
            ..RecordDraft::default()
        });
        self.memory.gone.remove(&key);
        self.memory.relations.insert(key, Vec::new());
        self.files.insert(key, Vec::new());
    }

    fn drop_relation(&mut self) {
        let key = rel(self.database(), self.relnode(), Fork::Main);
        if self.memory.relations.contains_key(&key) {
            self.commit(&[key]);
            self.unlink(|rel| (rel.dbnode, rel.relnode) == (key.dbnode, key.relnode));
        }
    }

    fn unlink(&mut self, gone: impl Fn(&RelKey) -> bool) {
        let keys: Vec<RelKey> = self.files.keys().filter(|rel| gone(rel)).copied().collect();
        for key in keys {
            self.files.remove(&key);
            self.memory.relations.remove(&key);
            self.memory.gone.insert(key);
            self.logged.retain(|(rel, _)| *rel != key);
            if let Some(reading) = self.reading.as_mut().filter(|reading| reading.rel == key) {
                reading.unlinked = true;
            }
        }
    }

    fn truncate(&mut self) {
        let Some((key, blocks)) = self.some_page().filter(|(key, _)| key.fork == Fork::Main) else {
            return;
        };
        self.append(RecordDraft {
            rmid: 2,
            info: 0x20,
            main: words(&[blocks as u32, 1663, key.dbnode, key.relnode, 1]),
            ..RecordDraft::default()
        });
        self.memory
            .relations
            .get_mut(&key)
            .unwrap()
            .truncate(blocks);
        self.files.get_mut(&key).unwrap().truncate(blocks);
        self.logged
            .retain(|(rel, block)| *rel != key || *block < blocks);
    }

    /// Without a word in the WAL.
    fn extend_silently(&mut self) {
        let key = rel(self.database(), self.relnode(), Fork::Main);
        if self
            .memory
            .relations
            .get(&key)
            .is_some_and(|pages| pages.len() < BLOCKS_MAX)
        {
            self.memory
                .relations
                .get_mut(&key)
                .unwrap()
                .push([0; BLCKSZ]);
            self.files.get_mut(&key).unwrap().push([0; BLCKSZ]);
        }
    }

    fn copy_database(&mut self) {
        if self.memory.copied || !self.chance(3) {
            return;
        }
        self.check_point();
        let source = self
            .memory
            .relations
            .iter()
            .filter(|(rel, _)| rel.dbnode == DATABASE);
        let copies: Vec<_> = source
            .map(|(key, pages)| (rel(COPY, key.relnode, key.fork), pages.clone()))
            .collect();
        self.append(RecordDraft {
            rmid: 4,
            info: 0x00,
            main: words(&[COPY, 1663, DATABASE, 1663]),
            ..RecordDraft::default()
        });
        for (key, pages) in copies {
            self.memory.gone.remove(&key);
            self.memory.relations.insert(key, pages);
        }
        self.memory.copied = true;
        self.check_point();
    }

    fn drop_database(&mut self) {
        if !self.memory.copied {
            return;
        }
        self.append(RecordDraft {
            rmid: 4,
            info: 0x20,
            main: words(&[COPY, 1, 1663]),
            ..RecordDraft::default()
        });
        self.unlink(|rel| rel.dbnode == COPY);
        self.memory.copied = false;
    }

    fn commit(&mut self, dropped: &[RelKey]) {
        let (xid, info) = (self.xid, if dropped.is_empty() { 0 } else { 0x80 });
        self.xid += 1 + self.below(40) as u32;
        let mut main = vec![0; 8];
        if !dropped.is_empty() {
            main.extend(words(&[4, dropped.len() as u32]));
            let rels = dropped.iter();
            main.extend(rels.flat_map(|rel| words(&[rel.spcnode, rel.dbnode, rel.relnode])));
        }
        self.append(RecordDraft {
            rmid: 1,
            info,
            xid,
            main,
            ..RecordDraft::default()
        });
        self.memory.xact[xid as usize / 4] |= 1 << (xid % 4 * 2);
    }

    /// Heap/DELETE, which clears bits of the map.
    fn delete(&mut self) {
        let Some((key, block)) = self.some_page().filter(|(key, _)| key.fork == Fork::Main) else {
            return;
        };
        if page::is_new(&self.memory.relations[&key][block]) {
            return;
        }
        let end = self.log(
            key,
            block,
            (10, 0x10),
            vec![0xDB, 2, 0, 0, 1, 0, 0, 1],
            false,
        );
        self.memory.relations.get_mut(&key).unwrap()[block] = self.new_page(end);
        let map = rel(key.dbnode, key.relnode, Fork::Vm);
        if let Some(pages) = self.memory.relations.get_mut(&map) {
            pages[0][VM_BYTE + block / 4] &= !(3 << (block % 4 * 2));
        }
    }

    fn add_page(&mut self) {
        let key = rel(self.database(), self.relnode(), Fork::Main);
        let Some(blocks) = self.memory.relations.get(&key).map(Vec::len) else {
            return;
        };
        let block = blocks + self.below(2);
        if block >= BLOCKS_MAX {
            return;
        }
        for pages in [&mut self.memory.relations, &mut self.files] {
            pages.get_mut(&key).unwrap().resize(block + 1, [0; BLCKSZ]);
        }
        self.build(key, block);
    }

    fn change_page(&mut self) {
        let Some((key, block)) = self.some_page() else {
            return;
        };
        if key.fork == Fork::Vm {
            return self.set_bits(key);
        }
        if page::is_new(&self.memory.relations[&key][block]) {
            return self.build(key, block);
        }
        if self.chance(2) {
            return self.image(key, block);
        }
        // Btree/INSERT_LEAF: whatever it does, the page is another one.
        let end = self.log(key, block, (11, 0x00), vec![1, 0], false);
        self.memory.relations.get_mut(&key).unwrap()[block] = self.new_page(end);
    }

    /// Heap2/VISIBLE, as far as the map goes.
    fn set_bits(&mut self, key: RelKey) {
        let mut made = self.memory.relations[&key][0];
        made[VM_BYTE] = 0xFF;
        let logged = !self.logged.insert((key, 0));
        let image = (!logged).then_some(&made);
        let mut draft = RecordDraft {
            rmid: 9,
            info: 0x40,
            main: vec![0; 5],
            ..RecordDraft::default()
        };
        draft.blocks = vec![reference(key, 0, image, false)];
        let end = self.append(draft);
        page::set_pd_lsn(&mut made, end);
        self.memory.relations.insert(key, vec![made]);
    }

    /// By a record that builds the page, or by its image.
    fn build(&mut self, key: RelKey, block: usize) {
        if self.chance(2) {
            return self.image(key, block);
        }
        let end = self.log(key, block, (10, 0x80), vec![1, 0, 0], true);
        self.memory.relations.get_mut(&key).unwrap()[block] = self.new_page(end);
    }

    fn image(&mut self, key: RelKey, block: usize) {
        let mut made = self.new_page(Lsn(8));
        self.logged.insert((key, block));
        let mut draft = RecordDraft {
            rmid: 0,
            info: 0xB0,
            ..RecordDraft::default()
        };
        draft.blocks = vec![reference(key, block, Some(&made), false)];
        let end = self.append(draft);
        page::set_pd_lsn(&mut made, end);
        self.memory.relations.get_mut(&key).unwrap()[block] = made;
    }

    /// A record that changes a page; with the page's image when that is due, which is then not what we
    /// say it made of the page: the caller's page is of the image's making.
    fn log(&mut self, key: RelKey, block: usize, kind: (u8, u8), main: Vec<u8>, init: bool) -> Lsn {
        let logged = !self.logged.insert((key, block));
        let image = (!init && !logged).then(|| self.page_for(self.tag + 1));
        let draft = RecordDraft {
            rmid: kind.0,
            info: kind.1,
            xid: 1000,
            blocks: vec![reference(key, block, image.as_ref(), init)],
            main,
            ..RecordDraft::default()
        };
        self.append(draft)
    }

    fn append(&mut self, draft: RecordDraft) -> Lsn {
        self.stream.append(&draft).unwrap();
        self.stream.end()
    }

    fn new_page(&mut self, lsn: Lsn) -> Page {
        self.tag += 1;
        let mut made = self.page_for(self.tag);
        page::set_pd_lsn(&mut made, lsn);
        made
    }

    /// Full of the tag, so that a torn page is none.
    fn page_for(&self, tag: u32) -> Page {
        let mut made = page_of(tag, Lsn(8));
        for chunk in made[28..].chunks_exact_mut(4) {
            chunk.copy_from_slice(&tag.to_le_bytes());
        }
        made
    }

    fn some_page(&mut self) -> Option<(RelKey, usize)> {
        let pages = self.memory.relations.iter();
        let pages: Vec<(RelKey, usize)> = pages
            .flat_map(|(rel, pages)| (0..pages.len()).map(|block| (*rel, block)))
            .collect();
        (!pages.is_empty()).then(|| pages[self.below(pages.len())])
    }

    fn relnode(&mut self) -> u32 {
        RELNODES.start + self.below(RELNODES.len()) as u32
    }

    fn database(&mut self) -> u32 {
        if self.chance(4) { COPY } else { DATABASE }
    }

    fn below(&mut self, end: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        ((self.random >> 11) % end.max(1) as u64) as usize
    }

    fn chance(&mut self, one_in: usize) -> bool {
        self.below(one_in) == 0
    }
}

fn reference(rel: RelKey, block: usize, image: Option<&Page>, will_init: bool) -> BlockDraft {
    let image = image.map(|page| ImageDraft {
        apply: true,
        compression: Compression::None,
        hole_offset: 0,
        hole_length: 0,
        stored: page.to_vec(),
    });
    BlockDraft {
        id: 0,
        key: BlockKey {
            rel,
            block: block as u32,
        },
        will_init,
        image,
        data: Vec::new(),
    }
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}
