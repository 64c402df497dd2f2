//! A run of commits and rollbacks of one timeline, as one entry of `files` (kind 8).
//!
//! Their times do not ascend with the LSN: a transaction takes its time before its place in the WAL. What
//! is searched for is the first one later than a time, and it is always one that is later than all before
//! it. So the key begins with the newest time before the run: such keys ascend both in time and in LSN.
//!
//! ```text
//! key     a, b: newest time of all of the timeline before it (i64, sign bit flipped), high and low half
//!         lsn: end of its first record
//! value   for each record: varint: end, less the end before it (of the first: 0)
//!                          varint: end, less start, times two; one more for a rollback
//!                          varint: time, less the time before it (of the first: time), zigzag
//! ```
//! A varint is 7 bits a byte, the lowest first, bit 0x80 on all but the last.

use offshoot_layout::Lsn;
use offshoot_redo::rmgr::xact::Fate;

use super::PgTime;
use crate::keys::{FileKey, FileKind, lsn_at_end, parse_file_key};
use crate::{EngineError, files};

const SIGN: u64 = 1 << 63;
const MORE: u8 = 0x80;
/// Longest varint of 64 bits.
const VARINT_BYTES_MAX: usize = 10;

/// One commit or abort record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending {
    pub start: Lsn,
    pub end: Lsn,
    pub time: PgTime,
    pub fate: Fate,
}

/// Where a run is filed that comes after others up to `newest`; the time before all times when there are none.
pub fn chunk_key(newest: PgTime) -> FileKey {
    let biased = newest as u64 ^ SIGN;
    FileKey::new(FileKind::CommitTimes, (biased >> 32) as u32, biased as u32)
}

/// A run that grows.
pub struct ChunkDraft {
    /// The newest time before it.
    pub base: PgTime,
    pub first_end: Lsn,
    pub bytes: Vec<u8>,
    pub count: usize,
    last: Ending,
}

impl ChunkDraft {
    pub fn new(base: PgTime, first: &Ending) -> ChunkDraft {
        let before = Ending {
            start: first.end,
            end: first.end,
            time: 0,
            fate: Fate::Committed,
        };
        let mut draft = ChunkDraft {
            base,
            first_end: first.end,
            bytes: Vec::new(),
            count: 0,
            last: before,
        };
        draft.push(first);
        draft
    }

    /// They come in LSN order.
    pub fn push(&mut self, ending: &Ending) {
        put_varint(&mut self.bytes, ending.end.0.wrapping_sub(self.last.end.0));
        let length = ending.end.0.wrapping_sub(ending.start.0);
        let rolled_back = u64::from(ending.fate == Fate::RolledBack);
        put_varint(&mut self.bytes, length << 1 | rolled_back);
        let step = ending.time.wrapping_sub(self.last.time);
        put_varint(&mut self.bytes, zigzag(step));
        self.last = *ending;
        self.count += 1;
    }
}

/// A run in the store.
#[derive(Debug, Clone, Copy)]
pub struct Chunk<'s> {
    pub base: PgTime,
    pub first_end: Lsn,
    bytes: &'s [u8],
}

impl<'s> Chunk<'s> {
    /// # Errors
    /// `Damaged`.
    pub fn parse(key: &[u8], value: &'s [u8]) -> Result<Chunk<'s>, EngineError> {
        let file = parse_file_key(key).filter(|(file, _)| file.kind == FileKind::CommitTimes);
        let (Some((file, _)), Some(first_end)) = (file, lsn_at_end(key)) else {
            return Err(damaged("its key is none"));
        };
        let biased = u64::from(file.a) << 32 | u64::from(file.b);
        Ok(Chunk {
            base: (biased ^ SIGN) as PgTime,
            first_end,
            bytes: files::parse(value)?.unwrap_or_default(),
        })
    }

    /// In LSN order.
    pub fn endings(&self) -> Endings<'s> {
        Endings {
            rest: self.bytes,
            last_end: self.first_end,
            last_time: 0,
        }
    }
}

/// Reads a run.
pub struct Endings<'s> {
    rest: &'s [u8],
    last_end: Lsn,
    last_time: PgTime,
}

impl Iterator for Endings<'_> {
    type Item = Result<Ending, EngineError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let ending = self.read();
        if ending.is_none() {
            self.rest = &[];
        }
        Some(ending.ok_or_else(|| damaged("it ends amid a number")))
    }
}

impl Endings<'_> {
    fn read(&mut self) -> Option<Ending> {
        let end = Lsn(self.last_end.0.wrapping_add(take_varint(&mut self.rest)?));
        let length = take_varint(&mut self.rest)?;
        let start = Lsn(end.0.wrapping_sub(length >> 1));
        let fate = match length & 1 {
            0 => Fate::Committed,
            _ => Fate::RolledBack,
        };
        let time = self
            .last_time
            .wrapping_add(unzigzag(take_varint(&mut self.rest)?));
        (self.last_end, self.last_time) = (end, time);
        Some(Ending {
            start,
            end,
            time,
            fate,
        })
    }
}

fn damaged(reason: &str) -> EngineError {
    EngineError::damaged("run of commit times", reason)
}

fn zigzag(number: i64) -> u64 {
    (number << 1 ^ number >> 63) as u64
}

fn unzigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

fn put_varint(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= u64::from(MORE) {
        bytes.push(number as u8 | MORE);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn take_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for place in 0..VARINT_BYTES_MAX {
        let (&byte, behind) = rest.split_first()?;
        *rest = behind;
        number |= u64::from(byte & !MORE) << (7 * place);
        if byte & MORE == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_back() {
        for number in [0, 1, 127, 128, 300, 1 << 35, u64::MAX - 1, u64::MAX] {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, number);
            assert_eq!(take_varint(&mut &bytes[..]), Some(number));
            assert_eq!(take_varint(&mut &bytes[..bytes.len() - 1]), None);
        }
        for number in [0, 1, -1, i64::MAX, i64::MIN] {
            assert_eq!(unzigzag(zigzag(number)), number);
        }
        assert_eq!(take_varint(&mut &[0xFF; 11][..]), None);
    }

    #[test]
    fn keys_ascend_with_the_time() {
        let keys = [i64::MIN, -1, 0, 1, 1 << 32, i64::MAX].map(chunk_key);
        assert!(keys.is_sorted());
    }

    #[test]
    fn a_commit_takes_few_bytes() {
        let commit = |number: u64| Ending {
            start: Lsn(1_000_000 + number * 500),
            end: Lsn(1_000_048 + number * 500),
            time: 800_000_000_000_000 + number as i64 * 900,
            fate: Fate::Committed,
        };
        let mut draft = ChunkDraft::new(0, &commit(0));
        (1..1000).for_each(|number| draft.push(&commit(number)));
        assert_eq!(draft.count, 1000);
        assert!(draft.bytes.len() < 5100, "{}", draft.bytes.len());
    }
}
