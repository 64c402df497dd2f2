//! Which keys a timeline has anything at: what a read on a branch far below it asks before it asks the store.
//!
//! A Bloom filter of keys without their timeline and LSN, and of the parts of them that listings go by. What it says
//! is "nothing" or "perhaps"; "nothing" has to be true, and is by three rules:
//!
//! * It is made from one or more snapshots that have all of the timeline up to `covers_to`, and has every key that is
//!   there, at whatever LSN.
//! * It is asked only by who sees the timeline up to an LSN that is not later than that.
//! * Up to an LSN at which a branch leaves it a timeline gets no entry any more: it is committed before the branch is
//!   attached, and a writer goes on behind it. What is removed leaves a "perhaps" that is wrong, which costs a look.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use offshoot_layout::Lsn;
use offshoot_store::{Snapshot, StoreError, Table};
use parking_lot::{Mutex, RwLock};

const TIMELINE_BYTES: usize = size_of::<u32>();
const LSN_BYTES: usize = size_of::<u64>();
/// Tablespace and database, behind the timeline of a key of `sizes`.
pub(crate) const DATABASE_BYTES: usize = 8;
/// The kind, behind the timeline of a key of `files`.
pub(crate) const KIND_BYTES: usize = 1;
/// With three bits for each key, one in 200 that is not there is looked for in vain.
const BITS_PER_KEY: usize = 16;
const BITS_SET: u32 = 3;
/// A timeline with more keys has no filter: it takes too long to make, and is sought in like a root.
const KEYS_MAX: usize = 1 << 17;

/// What a key is found by, whichever timeline it is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Probe(u64);

impl Probe {
    /// Of a key of the store as it is: its timeline and its LSN do not matter.
    pub(crate) fn of_key(table: Table, key: &[u8]) -> Probe {
        let end = key.len().saturating_sub(LSN_BYTES);
        Probe::of_part(table, key.get(TIMELINE_BYTES..end).unwrap_or_default())
    }

    /// Of all keys that have this behind their timeline.
    pub(crate) fn of_prefix(table: Table, key: &[u8], bytes: usize) -> Probe {
        let part = key.get(TIMELINE_BYTES..TIMELINE_BYTES + bytes);
        Probe::of_part(table, part.unwrap_or_default())
    }

    fn of_part(table: Table, part: &[u8]) -> Probe {
        const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;
        let mut hash = (table as u64 + 1).wrapping_mul(MULTIPLIER) ^ part.len() as u64;
        for word in part.chunks(8) {
            let mut bytes = [0; 8];
            bytes[..word.len()].copy_from_slice(word);
            hash = (hash.rotate_left(23) ^ u64::from_le_bytes(bytes)).wrapping_mul(MULTIPLIER);
        }
        // Every bit of the key has its say in every bit of the hash.
        hash = (hash ^ (hash >> 32)).wrapping_mul(0xD6E8_FEB8_6659_FD93);
        hash = (hash ^ (hash >> 32)).wrapping_mul(0xD6E8_FEB8_6659_FD93);
        Probe(hash ^ (hash >> 32))
    }
}

/// Of which timelines in a chain it is found out which keys they have, and what that may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyFilterOptions {
    /// Memory for all timelines of a tenant; the last filter may go past it. 0: none is made.
    pub bytes_max: u64,
    /// A chain of no more timelines is looked into as it is.
    pub shallow: usize,
    /// The first ones, which move on, and are seen up to another LSN by each that leaves them.
    pub nearest: usize,
    /// The last ones: a root has too much.
    pub farthest: usize,
    /// Keys that one view walks through: some milliseconds. The next one goes on.
    pub entries_max: usize,
}

impl Default for KeyFilterOptions {
    fn default() -> KeyFilterOptions {
        KeyFilterOptions {
            bytes_max: 64 << 20,
            shallow: 4,
            nearest: 2,
            farthest: 1,
            entries_max: 20_000,
        }
    }
}

impl KeyFilterOptions {
    /// Which ones of so many timelines that one sees.
    pub(crate) fn surveyed(&self, timelines: usize) -> Range<usize> {
        match timelines > self.shallow {
            true => self.nearest..timelines.saturating_sub(self.farthest),
            false => 0..0,
        }
    }
}

/// Memory that the filters of a tenant take.
pub(crate) struct KeyFilterRoom {
    used: AtomicU64,
    pub(crate) options: KeyFilterOptions,
}

impl KeyFilterRoom {
    pub(crate) fn new(options: KeyFilterOptions) -> KeyFilterRoom {
        KeyFilterRoom {
            used: AtomicU64::new(0),
            options,
        }
    }

    fn is_full(&self) -> bool {
        self.used.load(Ordering::Relaxed) >= self.options.bytes_max
    }
}

/// The filter.
pub(crate) struct KeyFilter {
    covers_to: Lsn,
    /// A power of two of them.
    words: Box<[u64]>,
    room: Arc<KeyFilterRoom>,
}

impl KeyFilter {
    fn new(covers_to: Lsn, probes: &[Probe], room: &Arc<KeyFilterRoom>) -> KeyFilter {
        let bits = (probes.len() * BITS_PER_KEY).next_power_of_two().max(64);
        let mut filter = KeyFilter {
            covers_to,
            words: vec![0; bits / 64].into_boxed_slice(),
            room: Arc::clone(room),
        };
        for probe in probes {
            for (word, bit) in filter.places(*probe) {
                filter.words[word] |= bit;
            }
        }
        room.used.fetch_add(filter.bytes(), Ordering::Relaxed);
        filter
    }

    /// False: the timeline has nothing there, up to the LSN that this was asked for.
    pub(crate) fn may_have(&self, probe: Probe) -> bool {
        self.places(probe)
            .all(|(word, bit)| self.words[word] & bit != 0)
    }

    fn places(&self, Probe(hash): Probe) -> impl Iterator<Item = (usize, u64)> + use<> {
        let mask = self.words.len() * 64 - 1;
        let step = (hash >> 32) | 1;
        (0..BITS_SET).map(move |nth| {
            let at = hash.wrapping_add(step.wrapping_mul(u64::from(nth))) as usize & mask;
            (at / 64, 1 << (at % 64))
        })
    }

    fn bytes(&self) -> u64 {
        (self.words.len() * size_of::<u64>()) as u64
    }
}

impl Drop for KeyFilter {
    fn drop(&mut self) {
        self.room.used.fetch_sub(self.bytes(), Ordering::Relaxed);
    }
}

/// The filter of one timeline, which is made when somebody first has use for it.
#[derive(Default)]
pub(crate) struct Survey {
    known: RwLock<Option<Arc<KeyFilter>>>,
    begun: Mutex<Begun>,
}

/// A walk through the keys of a timeline; it may be gone on with on another snapshot.
#[derive(Default)]
struct Begun {
    covers_to: Lsn,
    probes: Vec<Probe>,
    /// Where in `Table::ALL`, and in that table behind which key.
    table: usize,
    behind: Vec<u8>,
    is_too_much: bool,
}

impl Survey {
    /// For who sees the timeline up to `up_to`, by a snapshot that has all of that. `None`: it is to be looked into,
    /// as there is no filter, or not yet. `entries_left` bounds how much is done for that now.
    pub(crate) fn filter(
        &self,
        timeline: u32,
        up_to: Lsn,
        snapshot: &Snapshot,
        room: &Arc<KeyFilterRoom>,
        entries_left: &mut usize,
    ) -> Option<Arc<KeyFilter>> {
        let known = self.known.read();
        if let Some(filter) = known.as_ref()
            && filter.covers_to >= up_to
        {
            return Some(Arc::clone(filter));
        }
        drop(known);
        if *entries_left == 0 || room.is_full() {
            return None;
        }
        // Whoever comes while another one is at it looks into the store.
        let mut begun = self.begun.try_lock()?;
        if begun.is_too_much {
            return None;
        }
        if begun.is_new() {
            begun.covers_to = up_to;
        } else if begun.covers_to > up_to {
            // The snapshot may lack what lies in between.
            return None;
        }
        let done = begun.go_on(timeline, snapshot, entries_left);
        // Who reads is told by the read itself.
        if !done.unwrap_or(false) {
            return None;
        }
        let Begun {
            covers_to, probes, ..
        } = std::mem::take(&mut *begun);
        let filter = Arc::new(KeyFilter::new(covers_to, &probes, room));
        *self.known.write() = Some(Arc::clone(&filter));
        (covers_to >= up_to).then_some(filter)
    }
}

impl Begun {
    fn is_new(&self) -> bool {
        self.table == 0 && self.behind.is_empty()
    }

    /// Whether it is through.
    fn go_on(
        &mut self,
        timeline: u32,
        snapshot: &Snapshot,
        entries_left: &mut usize,
    ) -> Result<bool, StoreError> {
        while let Some(table) = Table::ALL.get(self.table) {
            if !self.go_through(*table, timeline, snapshot, entries_left)? {
                return Ok(false);
            }
            self.table += 1;
            self.behind.clear();
        }
        Ok(true)
    }

    fn go_through(
        &mut self,
        table: Table,
        timeline: u32,
        snapshot: &Snapshot,
        entries_left: &mut usize,
    ) -> Result<bool, StoreError> {
        let from = match self.behind.is_empty() {
            true => timeline.to_be_bytes().to_vec(),
            // The key right behind it.
            false => [&self.behind[..], &[0]].concat(),
        };
        for entry in snapshot.prefix_from(table, &timeline.to_be_bytes(), &from)? {
            let (key, _) = entry?;
            if *entries_left == 0 {
                return Ok(false);
            }
            *entries_left -= 1;
            self.add(table, key);
            if self.probes.len() > KEYS_MAX {
                *self = Begun {
                    is_too_much: true,
                    ..Begun::default()
                };
                return Ok(false);
            }
            self.behind.clear();
            self.behind.extend_from_slice(key);
        }
        Ok(true)
    }

    /// Once for all versions of a key, which follow each other.
    fn add(&mut self, table: Table, key: &[u8]) {
        let probe = Probe::of_key(table, key);
        if self.probes.last() == Some(&probe) {
            return;
        }
        let group = match table {
            Table::Sizes => Some(DATABASE_BYTES),
            Table::Files => Some(KIND_BYTES),
            _ => None,
        };
        if let Some(bytes) = group {
            self.probes.push(Probe::of_prefix(table, key, bytes));
        }
        self.probes.push(probe);
    }
}
