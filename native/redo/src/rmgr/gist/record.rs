//! Payloads of the record types that change pages.

use offshoot_layout::{Lsn, le};

use crate::payload::{Malformed, Payload};

/// Most items that an index page can have (MaxIndexTuplesPerPage).
const MAX_INDEX_TUPLES_PER_PAGE: usize = 408;
const SIZE_OF_INDEX_TUPLE_HEADER: usize = 8;
const INDEX_SIZE_MASK: u16 = 0x1FFF;

/// Offset numbers of items to delete.
pub(super) struct OffsetNumbers {
    numbers: [u16; MAX_INDEX_TUPLES_PER_PAGE],
    count: usize,
}

impl OffsetNumbers {
    fn parse(payload: &mut Payload<'_>, count: usize) -> Result<OffsetNumbers, Malformed> {
        let mut numbers = [0; MAX_INDEX_TUPLES_PER_PAGE];
        let listed = numbers
            .get_mut(..count)
            .ok_or(Malformed("it deletes more items than a page has"))?;
        for number in listed {
            *number = payload.u16()?;
        }
        Ok(OffsetNumbers { numbers, count })
    }

    pub(super) fn as_slice(&self) -> &[u16] {
        self.numbers.get(..self.count).unwrap_or_default()
    }
}

/// Index tuples, one directly behind the other. Ends with an error if there are fewer, or other
/// bytes behind them.
pub(super) struct IndexTuples<'a> {
    bytes: &'a [u8],
    left: usize,
}

impl<'a> IndexTuples<'a> {
    /// Bits 0 to 12 of the `u16` at 6 (`t_info`) are the tuple's length, header included.
    fn take_tuple(&mut self) -> Result<&'a [u8], Malformed> {
        let info =
            le::u16_at(self.bytes, 6).ok_or(Malformed("fewer index tuples than promised"))?;
        let size = usize::from(info & INDEX_SIZE_MASK);
        if size < SIZE_OF_INDEX_TUPLE_HEADER {
            return Err(Malformed("index tuple shorter than its header"));
        }
        let (tuple, rest) = self
            .bytes
            .split_at_checked(size)
            .ok_or(Malformed("index tuple reaches beyond its data"))?;
        self.bytes = rest;
        Ok(tuple)
    }
}

impl<'a> Iterator for IndexTuples<'a> {
    type Item = Result<&'a [u8], Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                Some(self.take_tuple())
            }
            None if self.bytes.is_empty() => None,
            None => Some(Err(Malformed("bytes behind the last index tuple"))),
        }
    }
}

/// PAGE_UPDATE: items of a page deleted, others put behind those that stay.
///
/// | main data | offset | width |
/// |---|---|---|
/// | ntodelete | 0 | 2 |
/// | ntoinsert | 2 | 2 |
///
/// Data of block 0: `ntodelete` offset numbers, then `ntoinsert` index tuples.
pub(super) struct PageUpdate<'a> {
    pub deleted: OffsetNumbers,
    pub inserted: IndexTuples<'a>,
}

impl<'a> PageUpdate<'a> {
    pub(super) fn parse(main: &[u8], data: &'a [u8]) -> Result<PageUpdate<'a>, Malformed> {
        let mut main = Payload::new(main);
        let (ntodelete, ntoinsert) = (usize::from(main.u16()?), usize::from(main.u16()?));
        let mut offsets = Payload::new(data);
        let deleted = OffsetNumbers::parse(&mut offsets, ntodelete)?;
        let inserted = IndexTuples {
            bytes: data.get(2 * ntodelete..).unwrap_or_default(),
            left: ntoinsert,
        };
        Ok(PageUpdate { deleted, inserted })
    }

    /// The one item that is replaced by another.
    pub(super) fn replaced(&self) -> Option<u16> {
        match self.deleted.as_slice() {
            [offset] if self.inserted.left == 1 => Some(*offset),
            _ => None,
        }
    }
}

/// DELETE: items marked dead go, to make room on a leaf.
///
/// | main data | offset | width |
/// |---|---|---|
/// | latestRemovedXid | 0 | 4 |
/// | ntodelete | 4 | 2 |
/// | offset numbers | 6 | 2 each |
pub(super) fn parse_delete(main: &[u8]) -> Result<OffsetNumbers, Malformed> {
    let mut payload = Payload::new(main);
    payload.u32()?; // latestRemovedXid is for standbys
    let ntodelete = usize::from(payload.u16()?);
    OffsetNumbers::parse(&mut payload, ntodelete)
}

/// PAGE_SPLIT: a page becomes several, blocks 1 to `npage`.
///
/// | main data | offset | width |
/// |---|---|---|
/// | origrlink | 0 | 4 (4 more of padding) |
/// | orignsn | 8 | 8 |
/// | origleaf | 16 | 1 (1 more of padding) |
/// | npage | 18 | 2 |
/// | markfollowright | 20 | 1 (3 more of padding) |
pub(super) struct PageSplit {
    /// What was to the right of the page.
    pub origrlink: u32,
    pub orignsn: Lsn,
    pub origleaf: bool,
    pub npage: u16,
    pub markfollowright: bool,
}

impl PageSplit {
    pub(super) fn parse(main: &[u8]) -> Result<PageSplit, Malformed> {
        let mut payload = Payload::new(main);
        let origrlink = payload.u32()?;
        payload.u32()?;
        let orignsn = payload.lsn()?;
        let origleaf = payload.u8()? != 0;
        payload.u8()?;
        Ok(PageSplit {
            origrlink,
            orignsn,
            origleaf,
            npage: payload.u16()?,
            markfollowright: payload.u8()? != 0,
        })
    }
}

/// The items of one page of a split: their number (4 bytes), then the index tuples.
pub(super) fn parse_split_page(data: &[u8]) -> Result<IndexTuples<'_>, Malformed> {
    let left = Payload::new(data).count()?;
    let bytes = data.get(4..).unwrap_or_default();
    Ok(IndexTuples { bytes, left })
}

/// PAGE_DELETE: an empty leaf (block 0) and its downlink (block 1) go.
///
/// | main data | offset | width |
/// |---|---|---|
/// | deleteXid | 0 | 8 |
/// | downlinkOffset | 8 | 2 |
pub(super) struct PageDelete {
    /// Full transaction id; the page can be used again when no transaction before it runs.
    pub delete_xid: u64,
    pub downlink_offset: u16,
}

impl PageDelete {
    pub(super) fn parse(main: &[u8]) -> Result<PageDelete, Malformed> {
        let mut payload = Payload::new(main);
        Ok(PageDelete {
            delete_xid: payload.u64()?,
            downlink_offset: payload.u16()?,
        })
    }
}
