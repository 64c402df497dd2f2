//! Values of `versions` that hold WAL records: those of one page that came one after the other.
//!
//! ```text
//! records  2 | chain u16 | record, record, …
//! packed   3 | chain u16 | length u32 | the records of that length, compressed with LZ4
//! record   end - key's lsn u32 | end - start u32 | block id u8 | length u32 | record bytes
//! ```
//! The key's LSN is the end of the first of them. `chain` counts the records since the page's last image,
//! up to the last one here.

use offshoot_layout::Lsn;
use offshoot_layout::le::bytes_at;

use crate::EngineError;

/// Block id of a record that changes a page which it does not reference.
pub const IMPLICIT_BLOCK: u8 = 0xFF;

pub(crate) const TAG_RECORDS: u8 = 2;
pub(crate) const TAG_PACKED: u8 = 3;
const GROUP_HEADER_BYTES: usize = 3;
const CHAIN_AT: usize = 1;
const RECORD_HEADER_BYTES: usize = 13;
const PACKED_LENGTH_BYTES: usize = size_of::<u32>();
/// Fewer bytes of records are never compressed.
const PACKED_BYTES_MIN: usize = 256;
/// Fewer are not worth the time: a page that is changed now and then has such groups.
const WORTH_PACKING_BYTES: usize = 512;
/// More are left as they are, so that whoever reads them needs no more room than this.
const PACKED_BYTES_MAX: usize = 1 << 20;

/// A WAL record filed under a page that it changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredRecord<'a> {
    /// Which of the record's blocks the page is; `IMPLICIT_BLOCK` when none.
    pub block_id: u8,
    pub start: Lsn,
    pub end: Lsn,
    /// The whole record, but images of other pages.
    pub bytes: &'a [u8],
}

/// A value that holds records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordGroup<'a> {
    /// The LSN of its key.
    first_end: Lsn,
    chain: u16,
    stored: Stored<'a>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stored<'a> {
    Plain(&'a [u8]),
    Packed { bytes: usize, payload: &'a [u8] },
}

impl<'a> RecordGroup<'a> {
    /// What follows the tag of a value whose key ends with `first_end`.
    pub(crate) fn parse(
        tag: u8,
        rest: &'a [u8],
        first_end: Lsn,
    ) -> Result<RecordGroup<'a>, EngineError> {
        let (chain, rest) = rest
            .split_first_chunk()
            .filter(|(_, rest)| !rest.is_empty())
            .ok_or_else(|| damaged("it holds no record"))?;
        let stored = match tag {
            TAG_PACKED => parse_packed(rest).ok_or_else(|| damaged("its length makes no sense"))?,
            _ => Stored::Plain(rest),
        };
        Ok(RecordGroup {
            first_end,
            chain: u16::from_be_bytes(*chain),
            stored,
        })
    }

    /// Records since the last image, up to the last one here.
    #[must_use]
    pub fn chain_length(&self) -> u16 {
        self.chain
    }

    /// The records, from the oldest to the newest; `room` is for those that have to be unpacked.
    ///
    /// # Errors
    /// `Damaged`.
    pub fn records<'r>(&self, room: &'r mut Vec<u8>) -> Result<Records<'r>, EngineError>
    where
        'a: 'r,
    {
        let rest = match self.stored {
            Stored::Plain(rest) => rest,
            Stored::Packed { bytes, payload } => {
                room.resize(bytes, 0);
                match lz4_flex::block::decompress_into(payload, room) {
                    Ok(unpacked) if unpacked == bytes => &room[..],
                    _ => return Err(damaged("its records do not unpack")),
                }
            }
        };
        let first_end = self.first_end;
        Ok(Records { first_end, rest })
    }
}

fn parse_packed(rest: &[u8]) -> Option<Stored<'_>> {
    let (length, payload) = rest.split_first_chunk()?;
    let bytes = u32::from_be_bytes(*length) as usize;
    let sane = (PACKED_BYTES_MIN..=PACKED_BYTES_MAX).contains(&bytes);
    sane.then_some(Stored::Packed { bytes, payload })
}

/// The records of a group.
#[derive(Debug, Clone)]
pub struct Records<'a> {
    first_end: Lsn,
    rest: &'a [u8],
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<StoredRecord<'a>, EngineError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let record = take_record(self.first_end, &mut self.rest);
        if record.is_none() {
            self.rest = &[];
        }
        Some(record.ok_or_else(|| damaged("a record is cut off")))
    }
}

fn take_record<'a>(first_end: Lsn, rest: &mut &'a [u8]) -> Option<StoredRecord<'a>> {
    let number = |at: usize| bytes_at(rest, at).map(u32::from_be_bytes);
    let end = first_end.0.checked_add(u64::from(number(0)?))?;
    let start = end.checked_sub(u64::from(number(4)?))?;
    let block_id = *rest.get(8)?;
    let length = number(9)? as usize;
    let (bytes, after) = rest.get(RECORD_HEADER_BYTES..)?.split_at_checked(length)?;
    *rest = after;
    Some(StoredRecord {
        block_id,
        start: Lsn(start),
        end: Lsn(end),
        bytes,
    })
}

/// Writes one group to the end of a buffer.
pub(crate) struct GroupWriter<'o> {
    out: &'o mut Vec<u8>,
    began: usize,
    first_end: Option<Lsn>,
}

impl GroupWriter<'_> {
    pub(crate) fn new(out: &mut Vec<u8>) -> GroupWriter<'_> {
        let began = out.len();
        GroupWriter {
            out,
            began,
            first_end: None,
        }
    }

    /// Adds a record; false, and nothing added, when it lies too far from the first.
    pub(crate) fn push(&mut self, record: &StoredRecord<'_>) -> bool {
        let first_end = self.first_end.unwrap_or(record.end);
        let distance = record.end.0.checked_sub(first_end.0);
        let (Some(distance), Ok(length), Some(bytes)) = (
            distance.and_then(|bytes| u32::try_from(bytes).ok()),
            u32::try_from(record.bytes.len()),
            span(record),
        ) else {
            return false;
        };
        if self.first_end.is_none() {
            self.first_end = Some(first_end);
            self.out.extend_from_slice(&[TAG_RECORDS, 0, 0]);
        }
        self.out.reserve(RECORD_HEADER_BYTES + record.bytes.len());
        self.out.extend_from_slice(&distance.to_be_bytes());
        self.out.extend_from_slice(&bytes.to_be_bytes());
        self.out.push(record.block_id);
        self.out.extend_from_slice(&length.to_be_bytes());
        self.out.extend_from_slice(record.bytes);
        true
    }

    /// The LSN for its key; `None` when there is nothing in it.
    pub(crate) fn finish(self, chain: u16) -> Option<Lsn> {
        let first_end = self.first_end?;
        let header = &mut self.out[self.began..self.began + GROUP_HEADER_BYTES];
        header[CHAIN_AT..].copy_from_slice(&chain.to_be_bytes());
        pack(self.out, self.began);
        Some(first_end)
    }
}

/// Compresses the group that begins there, if that pays. Records of one page have much in common.
fn pack(out: &mut Vec<u8>, began: usize) {
    let (records, end) = (began + GROUP_HEADER_BYTES, out.len());
    let bytes = end - records;
    if !(WORTH_PACKING_BYTES..=PACKED_BYTES_MAX).contains(&bytes) {
        return;
    }
    out.resize(end + lz4_flex::block::get_maximum_output_size(bytes), 0);
    let (plain, packed) = out.split_at_mut(end);
    let packed = lz4_flex::block::compress_into(&plain[records..], packed);
    let packed = packed.unwrap_or(usize::MAX);
    // What saves less is not worth its time to whoever reads it.
    let worth_it = packed < bytes - bytes / 8 - PACKED_LENGTH_BYTES;
    if worth_it {
        let payload = records + PACKED_LENGTH_BYTES;
        out.copy_within(end..end + packed, payload);
        out[began] = TAG_PACKED;
        out[records..payload].copy_from_slice(&(bytes as u32).to_be_bytes());
        out.truncate(payload + packed);
    } else {
        out.truncate(end);
    }
}

/// Bytes of WAL that the record takes, page headers included.
fn span(record: &StoredRecord<'_>) -> Option<u32> {
    let bytes = record.end.0.checked_sub(record.start.0)?;
    u32::try_from(bytes).ok()
}

fn damaged(reason: &str) -> EngineError {
    EngineError::damaged("page version", reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: StoredRecord<'_> = StoredRecord {
        block_id: 3,
        start: Lsn(0x1_0000_0000),
        end: Lsn(0x1_0000_0040),
        bytes: b"first",
    };
    const SECOND: StoredRecord<'_> = StoredRecord {
        block_id: IMPLICIT_BLOCK,
        start: Lsn(0x1_0001_0000),
        end: Lsn(0x1_0003_0000),
        bytes: b"",
    };

    fn group(records: &[StoredRecord<'_>], chain: u16) -> (Lsn, Vec<u8>) {
        let mut out = b"before".to_vec();
        let mut writer = GroupWriter::new(&mut out);
        for record in records {
            assert!(writer.push(record));
        }
        let lsn = writer.finish(chain).unwrap();
        (lsn, out.split_off(6))
    }

    #[test]
    fn records_come_back_as_they_were() {
        let (lsn, value) = group(&[FIRST, SECOND], 7);
        assert_eq!((lsn, value[0]), (FIRST.end, TAG_RECORDS));
        let parsed = RecordGroup::parse(TAG_RECORDS, &value[1..], lsn).unwrap();
        assert_eq!(parsed.chain_length(), 7);
        let mut room = Vec::new();
        let records: Result<Vec<_>, _> = parsed.records(&mut room).unwrap().collect();
        assert_eq!(records.unwrap(), [FIRST, SECOND]);
    }

    #[test]
    fn many_records_alike_are_packed() {
        let ends = (0..40).map(|number| Lsn(FIRST.end.0 + number * 64));
        let alike: Vec<_> = ends.map(|end| StoredRecord { end, ..FIRST }).collect();
        let (lsn, value) = group(&alike, 40);
        assert_eq!(value[0], TAG_PACKED);
        assert!(value.len() < alike.len() * RECORD_HEADER_BYTES);
        let parsed = RecordGroup::parse(TAG_PACKED, &value[1..], lsn).unwrap();
        let mut room = b"of an older group".to_vec();
        let records: Result<Vec<_>, _> = parsed.records(&mut room).unwrap().collect();
        assert_eq!(records.unwrap(), alike);
    }

    #[test]
    fn damage_of_packed_records_is_an_error() {
        let (lsn, value) = group(&[FIRST; 40], 40);
        let whole = |value: &[u8]| {
            let parsed = RecordGroup::parse(TAG_PACKED, value, lsn)?;
            parsed
                .records(&mut Vec::new())
                .map(|records| records.count())
        };
        assert_eq!(whole(&value[1..]).unwrap(), 40);
        for cut in 1..value.len() {
            assert!(whole(&value[1..cut]).is_err());
        }
        for length in [0, 255, 719, 721, u32::MAX] {
            let mut other = value.clone();
            other[3..7].copy_from_slice(&length.to_be_bytes());
            assert!(whole(&other[1..]).is_err());
        }
    }

    #[test]
    fn an_empty_group_writes_nothing() {
        let mut out = Vec::new();
        assert_eq!(GroupWriter::new(&mut out).finish(0), None);
        assert!(out.is_empty());
    }

    #[test]
    fn a_record_too_far_away_begins_another_group() {
        let far = StoredRecord {
            start: Lsn(FIRST.end.0 + (1 << 32)),
            end: Lsn(FIRST.end.0 + (1 << 32)),
            ..FIRST
        };
        let mut out = Vec::new();
        let mut writer = GroupWriter::new(&mut out);
        assert!(writer.push(&FIRST));
        assert!(!writer.push(&far));
        // Nor does one belong here that is older than the first.
        assert!(!writer.push(&StoredRecord {
            end: Lsn(8),
            ..FIRST
        }));
    }

    #[test]
    fn damage_is_an_error_and_ends() {
        let (lsn, value) = group(&[FIRST, SECOND], 7);
        assert!(RecordGroup::parse(TAG_RECORDS, &value[1..2], lsn).is_err());
        assert!(RecordGroup::parse(TAG_RECORDS, &value[1..3], lsn).is_err());
        for cut in 4..value.len() - 1 {
            let parsed = RecordGroup::parse(TAG_RECORDS, &value[1..cut], lsn).unwrap();
            let whole = cut == 3 + RECORD_HEADER_BYTES + FIRST.bytes.len();
            let mut room = Vec::new();
            let mut records = parsed.records(&mut room).unwrap();
            assert_eq!(records.any(|record| record.is_err()), !whole);
        }
    }
}
