//! Payloads. `offnum` is a tuple's number on the page; `infobits` say what the new xmax is.

use super::tuple::SIZE_OF_HEAP_TUPLE_HEADER;
use crate::payload::{Malformed, Payload};

/// The record clears the page's "all visible".
pub(super) const XLH_INSERT_ALL_VISIBLE_CLEARED: u8 = 0x01;
const XLH_DELETE_ALL_VISIBLE_CLEARED: u8 = 0x01;
const XLH_DELETE_IS_SUPER: u8 = 0x08;
const XLH_DELETE_IS_PARTITION_MOVE: u8 = 0x10;
const XLH_UPDATE_OLD_ALL_VISIBLE_CLEARED: u8 = 0x01;
const XLH_UPDATE_NEW_ALL_VISIBLE_CLEARED: u8 = 0x02;
const XLH_UPDATE_PREFIX_FROM_OLD: u8 = 0x20;
const XLH_UPDATE_SUFFIX_FROM_OLD: u8 = 0x40;

const TOO_SHORT: Malformed = Malformed("block data ends early");

/// What of a new tuple's header is logged (xl_heap_header).
///
/// | field | offset | width |
/// |---|---|---|
/// | t_infomask2 | 0 | 2 |
/// | t_infomask | 2 | 2 |
/// | t_hoff | 4 | 1 |
#[derive(Clone, Copy)]
pub(crate) struct HeapHeader {
    pub infomask2: u16,
    pub infomask: u16,
    pub hoff: u8,
}

impl HeapHeader {
    /// The header at the beginning of `data`, and what follows.
    pub(crate) fn split(data: &[u8]) -> Result<(HeapHeader, &[u8]), Malformed> {
        let (&[a, b, c, d, hoff], rest) = data.split_first_chunk().ok_or(TOO_SHORT)?;
        let header = HeapHeader {
            infomask2: u16::from_le_bytes([a, b]),
            infomask: u16::from_le_bytes([c, d]),
            hoff,
        };
        Ok((header, rest))
    }
}

/// | field | offset | width |
/// |---|---|---|
/// | offnum | 0 | 2 |
/// | flags | 2 | 1 |
///
/// Data of block 0: the header (5 bytes), then the tuple from its null bitmap on.
pub(super) struct Insert {
    pub offnum: u16,
    pub flags: u8,
}

impl Insert {
    pub(super) fn parse(main: &[u8]) -> Result<Insert, Malformed> {
        let mut payload = Payload::new(main);
        Ok(Insert {
            offnum: payload.u16()?,
            flags: payload.u8()?,
        })
    }
}

/// | field | offset | width |
/// |---|---|---|
/// | xmax | 0 | 4 |
/// | offnum | 4 | 2 |
/// | infobits | 6 | 1 |
/// | flags | 7 | 1 |
/// | old tuple or its key, for logical decoding | 8 | rest |
pub(super) struct Delete {
    pub xmax: u32,
    pub offnum: u16,
    pub infobits: u8,
    flags: u8,
}

impl Delete {
    pub(super) fn parse(main: &[u8]) -> Result<Delete, Malformed> {
        let mut payload = Payload::new(main);
        Ok(Delete {
            xmax: payload.u32()?,
            offnum: payload.u16()?,
            infobits: payload.u8()?,
            flags: payload.u8()?,
        })
    }

    pub(super) fn clears_all_visible(&self) -> bool {
        self.flags & XLH_DELETE_ALL_VISIBLE_CLEARED != 0
    }

    /// The transaction takes its own speculative insertion back.
    pub(super) fn is_super(&self) -> bool {
        self.flags & XLH_DELETE_IS_SUPER != 0
    }

    /// The row went to another partition.
    pub(super) fn is_partition_move(&self) -> bool {
        self.flags & XLH_DELETE_IS_PARTITION_MOVE != 0
    }
}

/// | field | offset | width |
/// |---|---|---|
/// | old_xmax | 0 | 4 |
/// | old_offnum | 4 | 2 |
/// | old_infobits | 6 | 1 |
/// | flags | 7 | 1 |
/// | new_xmax | 8 | 4 |
/// | new_offnum | 12 | 2 |
/// | old tuple or its key, for logical decoding | 14 | rest |
pub(super) struct Update {
    pub old_xmax: u32,
    pub old_offnum: u16,
    pub old_infobits: u8,
    flags: u8,
    pub new_xmax: u32,
    pub new_offnum: u16,
}

impl Update {
    pub(super) fn parse(main: &[u8]) -> Result<Update, Malformed> {
        let mut payload = Payload::new(main);
        Ok(Update {
            old_xmax: payload.u32()?,
            old_offnum: payload.u16()?,
            old_infobits: payload.u8()?,
            flags: payload.u8()?,
            new_xmax: payload.u32()?,
            new_offnum: payload.u16()?,
        })
    }

    pub(super) fn clears_old_all_visible(&self) -> bool {
        self.flags & XLH_UPDATE_OLD_ALL_VISIBLE_CLEARED != 0
    }

    pub(super) fn clears_new_all_visible(&self) -> bool {
        self.flags & XLH_UPDATE_NEW_ALL_VISIBLE_CLEARED != 0
    }
}

/// Data of an update's block 0. The new tuple's user data is the old tuple's first
/// `prefix_length` bytes of user data, `body`, and the old tuple's last `suffix_length` bytes.
///
/// | field | width |
/// |---|---|
/// | prefix_length | 2, if the flag says so |
/// | suffix_length | 2, if the flag says so |
/// | header | 5 |
/// | bitmap: null bitmap and padding | t_hoff - 23 |
/// | body | rest |
pub(super) struct UpdatedTuple<'a> {
    pub prefix_length: usize,
    pub suffix_length: usize,
    pub header: HeapHeader,
    pub bitmap: &'a [u8],
    pub body: &'a [u8],
}

impl<'a> UpdatedTuple<'a> {
    pub(super) fn parse(update: &Update, data: &'a [u8]) -> Result<UpdatedTuple<'a>, Malformed> {
        let (prefix_length, data) = length_if(update.flags & XLH_UPDATE_PREFIX_FROM_OLD, data)?;
        let (suffix_length, data) = length_if(update.flags & XLH_UPDATE_SUFFIX_FROM_OLD, data)?;
        let (header, data) = HeapHeader::split(data)?;
        let bitmap_length = usize::from(header.hoff)
            .checked_sub(SIZE_OF_HEAP_TUPLE_HEADER)
            .ok_or(Malformed("user data within the tuple's header"))?;
        let (bitmap, body) = data.split_at_checked(bitmap_length).ok_or(TOO_SHORT)?;
        Ok(UpdatedTuple {
            prefix_length,
            suffix_length,
            header,
            bitmap,
            body,
        })
    }
}

/// The length at the beginning of `data`, if the flag is set, else 0; and what follows.
fn length_if(flag: u8, data: &[u8]) -> Result<(usize, &[u8]), Malformed> {
    if flag == 0 {
        return Ok((0, data));
    }
    let (length, rest) = data.split_first_chunk().ok_or(TOO_SHORT)?;
    Ok((usize::from(u16::from_le_bytes(*length)), rest))
}

/// LOCK, and LOCK_UPDATED of Heap2.
///
/// | field | offset | width |
/// |---|---|---|
/// | xmax | 0 | 4 |
/// | offnum | 4 | 2 |
/// | infobits | 6 | 1 |
/// | flags | 7 | 1 |
pub(crate) struct Lock {
    pub xmax: u32,
    pub offnum: u16,
    pub infobits: u8,
}

impl Lock {
    pub(crate) fn parse(main: &[u8]) -> Result<Lock, Malformed> {
        let mut payload = Payload::new(main);
        Ok(Lock {
            xmax: payload.u32()?,
            offnum: payload.u16()?,
            infobits: payload.u8()?,
        })
    }
}

/// CONFIRM and INPLACE are the offset number (2 bytes).
pub(super) fn parse_offnum(main: &[u8]) -> Result<u16, Malformed> {
    Payload::new(main).u16()
}
