//! Compressed posting lists (ginpostinglist.c): a segment is a first item and the distances from
//! each item to the next, all in ascending order.
//!
//! | field | offset | width |
//! |---|---|---|
//! | first | 0 | 6, a tuple identifier |
//! | nbytes | 6 | 2 |
//! | bytes | 8 | nbytes, and a zero if that is odd |
//!
//! For the distances an item is the number `block << 11 | offset number`. A distance takes one to
//! seven bytes of seven bits each, the lowest first; all but its last byte have the highest bit.

use offshoot_layout::tid::{SIZE_OF_TID, Tid};

use crate::payload::{Malformed, Payload};

const OFFSET_BITS: u32 = 11;
const ITEM_BITS: u32 = 32 + OFFSET_BITS;
const SIZE_OF_SEGMENT_HEADER: usize = SIZE_OF_TID + 2;

const BAD_SEGMENT: Malformed = Malformed("a posting list segment ends early");
const BAD_ITEM: Malformed = Malformed("a posting list item that cannot be");
const NOT_ASCENDING: Malformed = Malformed("posting list items do not ascend");
const NO_ROOM: Malformed = Malformed("the page has no room for its posting list");

/// The next segment, its filling to an even length included.
pub(super) fn take_segment<'a>(payload: &mut Payload<'a>) -> Result<&'a [u8], Malformed> {
    let mut header = payload.clone();
    header.take(SIZE_OF_TID)?;
    let nbytes = usize::from(header.u16()?);
    payload.take(SIZE_OF_SEGMENT_HEADER + nbytes.next_multiple_of(2))
}

fn take_tid(payload: &mut Payload<'_>) -> Result<u64, Malformed> {
    let tid = Tid::read(payload.take(SIZE_OF_TID)?, 0).ok_or(BAD_SEGMENT)?;
    if tid.offset >> OFFSET_BITS != 0 {
        return Err(BAD_ITEM);
    }
    Ok(u64::from(tid.block) << OFFSET_BITS | u64::from(tid.offset))
}

fn tid_of(item: u64) -> Tid {
    Tid {
        block: (item >> OFFSET_BITS) as u32,
        offset: (item & ((1 << OFFSET_BITS) - 1)) as u16,
    }
}

/// Items, one after the other.
pub(super) trait Items {
    /// The next one, `None` at the end.
    fn next(&mut self) -> Result<Option<u64>, Malformed>;
}

/// The items of a segment.
pub(super) struct SegmentItems<'a> {
    /// The first one, until it was given out.
    first: Option<u64>,
    previous: u64,
    bytes: std::slice::Iter<'a, u8>,
}

impl SegmentItems<'_> {
    pub(super) fn new(segment: &[u8]) -> Result<SegmentItems<'_>, Malformed> {
        let mut payload = Payload::new(segment);
        let first = take_tid(&mut payload)?;
        let nbytes = payload.u16()?;
        Ok(SegmentItems {
            first: Some(first),
            previous: first,
            bytes: payload.take(usize::from(nbytes))?.iter(),
        })
    }

    /// The distance that begins with `byte`.
    fn distance(&mut self, byte: u8) -> Result<u64, Malformed> {
        let mut distance = u64::from(byte & 0x7F);
        let mut shift = 7;
        let mut last = byte;
        while last & 0x80 != 0 {
            if shift >= ITEM_BITS {
                return Err(BAD_ITEM);
            }
            last = *self.bytes.next().ok_or(BAD_SEGMENT)?;
            distance |= u64::from(last & 0x7F) << shift;
            shift += 7;
        }
        Ok(distance)
    }
}

impl Items for SegmentItems<'_> {
    fn next(&mut self) -> Result<Option<u64>, Malformed> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        let Some(&byte) = self.bytes.next() else {
            return Ok(None);
        };
        // Both are of less than 50 bits.
        self.previous += self.distance(byte)?;
        if self.previous >> ITEM_BITS != 0 {
            return Err(BAD_ITEM);
        }
        Ok(Some(self.previous))
    }
}

/// Tuple identifiers one after the other, six bytes each.
pub(super) struct TidItems<'a> {
    tids: std::slice::ChunksExact<'a, u8>,
}

impl TidItems<'_> {
    pub(super) fn new(tids: &[u8]) -> TidItems<'_> {
        TidItems {
            tids: tids.chunks_exact(SIZE_OF_TID),
        }
    }
}

impl Items for TidItems<'_> {
    fn next(&mut self) -> Result<Option<u64>, Malformed> {
        let tid = self.tids.next();
        tid.map(|tid| take_tid(&mut Payload::new(tid))).transpose()
    }
}

/// Writes the items of both as one segment to the begin of `out` and gives its size; an item that
/// both have becomes one.
pub(super) fn write_merged(
    mut ours: impl Items,
    mut theirs: impl Items,
    out: &mut [u8],
) -> Result<usize, Malformed> {
    let (mut our, mut their) = (ours.next()?, theirs.next()?);
    let mut writer = SegmentWriter::new(out);
    while let Some(item) = [our, their].into_iter().flatten().min() {
        writer.push(item)?;
        if our == Some(item) {
            our = ours.next()?;
        }
        if their == Some(item) {
            their = theirs.next()?;
        }
    }
    writer.finish()
}

/// Writes the items as one segment to the begin of `out` and gives its size.
pub(super) fn write_segment(items: impl Items, out: &mut [u8]) -> Result<usize, Malformed> {
    write_merged(items, TidItems::new(&[]), out)
}

struct SegmentWriter<'a> {
    out: &'a mut [u8],
    end: usize,
    previous: Option<u64>,
}

impl SegmentWriter<'_> {
    fn new(out: &mut [u8]) -> SegmentWriter<'_> {
        SegmentWriter {
            out,
            end: SIZE_OF_SEGMENT_HEADER,
            previous: None,
        }
    }

    fn push(&mut self, item: u64) -> Result<(), Malformed> {
        match self.previous.replace(item) {
            None => put(self.out, 0, &tid_of(item).to_bytes()),
            Some(previous) if previous < item => self.push_distance(item - previous),
            Some(_) => Err(NOT_ASCENDING),
        }
    }

    fn push_distance(&mut self, distance: u64) -> Result<(), Malformed> {
        let mut rest = distance;
        while rest > 0x7F {
            self.push_byte(0x80 | (rest & 0x7F) as u8)?;
            rest >>= 7;
        }
        self.push_byte(rest as u8)
    }

    fn push_byte(&mut self, byte: u8) -> Result<(), Malformed> {
        *self.out.get_mut(self.end).ok_or(NO_ROOM)? = byte;
        self.end += 1;
        Ok(())
    }

    fn finish(mut self) -> Result<usize, Malformed> {
        if self.previous.is_none() {
            return Err(Malformed("a posting list segment without items"));
        }
        let nbytes = self.end - SIZE_OF_SEGMENT_HEADER;
        put(self.out, SIZE_OF_TID, &(nbytes as u16).to_le_bytes())?;
        if nbytes % 2 == 1 {
            self.push_byte(0)?;
        }
        Ok(self.end)
    }
}

fn put(out: &mut [u8], at: usize, bytes: &[u8]) -> Result<(), Malformed> {
    out.get_mut(at..at + bytes.len())
        .ok_or(NO_ROOM)?
        .copy_from_slice(bytes);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    type BlocksAndOffsets = &'static [(u32, u16)];

    fn tids(items: &[(u32, u16)]) -> Vec<u8> {
        let tid = |&(block, offset)| Tid { block, offset }.to_bytes();
        items.iter().flat_map(tid).collect()
    }

    fn segment(items: &[(u32, u16)]) -> Result<Vec<u8>, Malformed> {
        let mut out = [0xEE; 100];
        let size = write_segment(TidItems::new(&tids(items)), &mut out)?;
        Ok(out[..size].to_vec())
    }

    fn decoded(segment: &[u8]) -> Result<Vec<u64>, Malformed> {
        let mut items = SegmentItems::new(segment)?;
        std::iter::from_fn(|| items.next().transpose()).collect()
    }

    #[test]
    fn distances_take_seven_bits_a_byte() {
        let cases: [(BlocksAndOffsets, &[u8]); 6] = [
            (&[(0x1_0002, 3)], &[1, 0, 2, 0, 3, 0, 0, 0]),
            (&[(0, 1), (0, 2)], &[0, 0, 0, 0, 1, 0, 1, 0, 1, 0]),
            (&[(0, 1), (0, 128)], &[0, 0, 0, 0, 1, 0, 1, 0, 127, 0]),
            (&[(0, 1), (0, 129)], &[0, 0, 0, 0, 1, 0, 2, 0, 0x80, 1]),
            (&[(0, 1), (1, 1)], &[0, 0, 0, 0, 1, 0, 2, 0, 0x80, 0x10]),
            (
                &[(0, 0), (u32::MAX, 2047)],
                &[
                    0, 0, 0, 0, 0, 0, 7, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1, 0,
                ],
            ),
        ];
        for (items, bytes) in cases {
            assert_eq!(segment(items).unwrap(), bytes);
            let numbers = items
                .iter()
                .map(|&(block, offset)| u64::from(block) << 11 | u64::from(offset));
            assert_eq!(decoded(bytes).unwrap(), numbers.collect::<Vec<_>>());
        }
    }

    #[test]
    fn merging_sorts_and_keeps_one_of_equals() {
        let ours = segment(&[(1, 1), (1, 5), (900, 9)]).unwrap();
        let theirs = tids(&[(0, 7), (1, 5), (2, 2), (901, 1)]);
        let mut out = [0; 64];
        let items = SegmentItems::new(&ours).unwrap();
        let size = write_merged(TidItems::new(&theirs), items, &mut out).unwrap();
        let all = [(0, 7), (1, 1), (1, 5), (2, 2), (900, 9), (901, 1)];
        assert_eq!(out[..size], segment(&all).unwrap());
    }

    #[test]
    fn what_cannot_be_is_refused() {
        assert_eq!(segment(&[(0, 2048)]), Err(BAD_ITEM));
        assert_eq!(segment(&[(1, 1), (1, 1)]), Err(NOT_ASCENDING));
        assert_eq!(segment(&[(1, 2), (1, 1)]), Err(NOT_ASCENDING));
        assert!(segment(&[]).is_err());
        // A byte is missing; an eighth byte; an item beyond the last block.
        assert_eq!(decoded(&[0, 0, 0, 0, 1, 0, 1, 0, 0x80]), Err(BAD_SEGMENT));
        let long = [
            0, 0, 0, 0, 1, 0, 8, 0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0,
        ];
        assert_eq!(decoded(&long), Err(BAD_ITEM));
        let far = [255, 255, 255, 255, 255, 7, 1, 0, 1, 0];
        assert_eq!(decoded(&far), Err(BAD_ITEM));
        for room in 0..10 {
            let mut out = vec![0; room];
            let both = tids(&[(0, 1), (0, 2)]);
            assert_eq!(write_segment(TidItems::new(&both), &mut out), Err(NO_ROOM));
        }
    }
}
