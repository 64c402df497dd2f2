//! A model of what Postgres does to its files and its WAL while a base backup reads them.
//!
//! Changes are made in memory and reach the files some time; the first change of a page after a checkpoint
//! brings an image or builds the page anew; sizes change in the files at once.

#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod heap;

use std::collections::{BTreeMap, BTreeSet};

use offshoot_layout::{BLCKSZ, BlockKey, Fork, Lsn, Page, RelKey, page};
use offshoot_wal::Compression;
use offshoot_wal::generate::{ImageDraft, RecordDraft, WalStream};

use crate::source::{Files, START, backup_files, wal};

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
    /// Its pages that production knows and we may not: their source was changed between the copy and the
    /// backup's end, and what the WAL has of either is younger than the copy.
    pub uncertain: BTreeSet<(RelKey, usize)>,
}

/// A page whose source was in the files only when it was copied, and the source's LSN then, if it was
/// there.
type Copied = (RelKey, usize, Option<Lsn>);

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
    /// Pages of which the WAL has an image or the making.
    in_wal: BTreeSet<(RelKey, usize)>,
    copied_from_files: Vec<Copied>,
    backed_up: bool,
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
            uncertain: BTreeSet::new(),
        };
        let mut cluster = Cluster {
            random: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
            memory,
            files: BTreeMap::new(),
            xact_file: xact,
            logged: BTreeSet::new(),
            in_wal: BTreeSet::new(),
            copied_from_files: Vec::new(),
            backed_up: false,
            stream: wal(),
            tag: 1,
            xid: 1001,
            reading: None,
        };
        for relnode in RELNODES.take(3) {
            let blocks = cluster.below(BLOCKS_MAX);
            let key = rel(DATABASE, relnode, Fork::Main);
            let pages: Vec<Page> = (0..blocks)
                .map(|block| cluster.new_page(key, block, Lsn(START.0 - 8)))
                .collect();
            let mut map = [0; BLCKSZ];
            page::init(&mut map, 0);
            page::set_pd_lsn(&mut map, Lsn(START.0 - 8));
            map[VM_BYTE..VM_BYTE + 2].fill(0xFF);
            cluster
                .memory
                .relations
                .insert(rel(DATABASE, relnode, Fork::Vm), vec![map]);
            cluster.memory.relations.insert(key, pages);
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
        self.backed_up = true;
        self.find_uncertain();
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
                self.torn(&old, &new)
            }
        }
    }

    /// Part of the page had been read when the rest was written, or the other way round.
    fn torn(&mut self, old: &Page, new: &Page) -> Page {
        let at = 512 * self.below(17);
        let (begin, rest) = match self.chance(2) {
            true => (old, new),
            false => (new, old),
        };
        let mut torn = *rest;
        torn[..at].copy_from_slice(&begin[..at]);
        torn
    }

    /// When the backup has ended: nothing of it is newer than what is in memory now.
    fn find_uncertain(&mut self) {
        for (key, block, lsn) in std::mem::take(&mut self.copied_from_files) {
            let source = RelKey {
                dbnode: DATABASE,
                ..key
            };
            if self.lsn_of(&source, block) != lsn {
                self.memory.uncertain.insert((key, block));
            }
        }
    }

    /// `None` for a page that was never made.
    fn lsn_of(&self, key: &RelKey, block: usize) -> Option<Lsn> {
        let found = self.memory.relations.get(key)?.get(block)?;
        (!page::is_new(found)).then(|| page::pd_lsn(found))
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
            self.forget(key, 0);
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
        self.forget(key, blocks);
    }

    /// What there was to know of a relation's pages from `first` on.
    fn forget(&mut self, key: RelKey, first: usize) {
        let stays = |rel: &RelKey, block: usize| *rel != key || block < first;
        self.logged.retain(|(rel, block)| stays(rel, *block));
        self.in_wal.retain(|(rel, block)| stays(rel, *block));
        self.memory
            .uncertain
            .retain(|(rel, block)| stays(rel, *block));
        self.copied_from_files
            .retain(|(rel, block, _)| stays(rel, *block));
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
            self.note_copied(key);
            self.memory.gone.remove(&key);
            self.memory.relations.insert(key, pages);
        }
        self.memory.copied = true;
        self.check_point();
    }

    /// Of pages that are not there the backup may see some all the same.
    fn note_copied(&mut self, key: RelKey) {
        let source = RelKey {
            dbnode: DATABASE,
            ..key
        };
        let from_files = |block: &usize| {
            !self.backed_up && key.fork == Fork::Main && !self.in_wal.contains(&(source, *block))
        };
        let pages = (0..BLOCKS_MAX).filter(from_files);
        let pages: Vec<Copied> = pages
            .map(|block| (key, block, self.lsn_of(&source, block)))
            .collect();
        self.copied_from_files.extend(pages);
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

    fn delete(&mut self) {
        let Some((key, block)) = self.some_page().filter(|(key, _)| key.fork == Fork::Main) else {
            return;
        };
        if page::is_new(&self.memory.relations[&key][block]) {
            return;
        }
        self.xid += 1;
        self.log(heap::delete(block_key(key, block), self.xid));
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
        let tag = self.new_tag();
        self.log(heap::inplace(block_key(key, block), tag));
    }

    /// For some block of the heap whose map this is.
    fn set_bits(&mut self, map: RelKey) {
        let key = rel(map.dbnode, map.relnode, Fork::Main);
        let blocks = self.memory.relations.get(&key).map_or(0, Vec::len);
        let block = self.below(blocks);
        let made = self.lsn_of(&key, block).is_some();
        let bits = self.memory.relations[&map][0][VM_BYTE + block / 4] >> (block % 4 * 2) & 3;
        if made && bits == 0 {
            self.log(heap::visible(block_key(key, block)));
        }
    }

    /// By a record that builds the page, or by its image.
    fn build(&mut self, key: RelKey, block: usize) {
        if self.chance(2) {
            return self.image(key, block);
        }
        let tag = self.new_tag();
        self.log(heap::insert_init(block_key(key, block), tag, self.xid));
    }

    fn image(&mut self, key: RelKey, block: usize) {
        let mut made = self.new_page(key, block, Lsn(8));
        self.note_made((key, block));
        let mut reference = heap::reference(0, block_key(key, block), false, Vec::new());
        reference.image = Some(image_of(&made));
        let draft = RecordDraft {
            rmid: 0,
            info: 0xB0,
            blocks: vec![reference],
            ..RecordDraft::default()
        };
        let end = self.append(draft);
        page::set_pd_lsn(&mut made, end);
        self.memory.relations.get_mut(&key).unwrap()[block] = made;
    }

    /// The WAL has all of the page.
    fn note_made(&mut self, page: (RelKey, usize)) {
        self.logged.insert(page);
        self.in_wal.insert(page);
        self.memory.uncertain.remove(&page);
        self.copied_from_files
            .retain(|(key, block, _)| (*key, *block) != page);
    }

    /// A record that changes pages, with the images that are due.
    fn log(&mut self, draft: RecordDraft) {
        let mut with_images = draft.clone();
        for block in &mut with_images.blocks {
            let (key, number) = (block.key.rel, block.key.block as usize);
            if block.id == heap::HEAP_BLOCK_OF_VISIBLE || self.logged.contains(&(key, number)) {
                continue;
            }
            if !block.will_init {
                let mut made = self.memory.relations[&key][number];
                let lsn = page::pd_lsn(&made);
                let end = Lsn(self.stream.end().0 + 8);
                heap::redo(&draft, block.id, self.stream.end(), end, &mut made);
                // The page gets its new LSN when the record is written.
                page::set_pd_lsn(&mut made, lsn);
                block.image = Some(image_of(&made));
            }
            self.note_made((key, number));
        }
        let start = self.stream.append(&with_images).unwrap();
        let end = self.stream.end();
        for block in &draft.blocks {
            let pages = self.memory.relations.get_mut(&block.key.rel).unwrap();
            let page = &mut pages[block.key.block as usize];
            heap::redo(&draft, block.id, start, end, page);
        }
    }

    fn append(&mut self, draft: RecordDraft) -> Lsn {
        self.stream.append(&draft).unwrap();
        self.stream.end()
    }

    fn new_page(&mut self, rel: RelKey, block: usize, lsn: Lsn) -> Page {
        let tag = self.new_tag();
        heap::full_page(block_key(rel, block), tag, lsn)
    }

    fn new_tag(&mut self) -> u32 {
        self.tag += 1;
        self.tag
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

fn image_of(page: &Page) -> ImageDraft {
    ImageDraft {
        apply: true,
        compression: Compression::None,
        hole_offset: 0,
        hole_length: 0,
        stored: page.to_vec(),
    }
}

fn block_key(rel: RelKey, block: usize) -> BlockKey {
    let block = block as u32;
    BlockKey { rel, block }
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}
