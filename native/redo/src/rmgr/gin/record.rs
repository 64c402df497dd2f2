//! Main data and block data of the records of GIN.

use offshoot_layout::tid::SIZE_OF_TID;

use super::page::INVALID_BLOCK;
use crate::payload::{Malformed, Payload};

const ISDATA: u16 = 0x01;
const ISLEAF: u16 = 0x02;

/// Bytes of the metapage's own data.
pub(super) const SIZE_OF_META: usize = 56;
/// Bytes of a posting item: a child's block (four), and the child's last tuple identifier.
pub(super) const SIZE_OF_POSTING_ITEM: usize = 4 + SIZE_OF_TID;
/// Bytes of an index tuple's header: a tuple identifier, and t_info.
const SIZE_OF_INDEX_TUPLE_HEADER: usize = SIZE_OF_TID + 2;
const INDEX_SIZE_MASK: u16 = 0x1FFF;

/// A block number as within tuples: two u16, the high half first.
pub(super) fn block_id(block: u32) -> [u8; 4] {
    let [a, b] = ((block >> 16) as u16).to_le_bytes();
    let [c, d] = (block as u16).to_le_bytes();
    [a, b, c, d]
}

fn parse_block_id(payload: &mut Payload<'_>) -> Result<u32, Malformed> {
    let (high, low) = (payload.u16()?, payload.u16()?);
    Ok(u32::from(high) << 16 | u32::from(low))
}

/// An index tuple, as long as it says it is.
pub(super) fn index_tuple<'a>(payload: &mut Payload<'a>) -> Result<&'a [u8], Malformed> {
    let mut header = payload.clone();
    header.take(SIZE_OF_TID)?;
    let size = usize::from(header.u16()? & INDEX_SIZE_MASK);
    if size < SIZE_OF_INDEX_TUPLE_HEADER {
        return Err(Malformed("index tuple shorter than its header"));
    }
    payload.take(size)
}

/// Nothing may be left over.
pub(super) fn end(mut payload: Payload<'_>) -> Result<(), Malformed> {
    match payload.u8() {
        Ok(_) => Err(Malformed("more data than expected")),
        Err(_) => Ok(()),
    }
}

/// What INSERT and SPLIT say of the tree and the level that changes.
#[derive(Clone, Copy)]
pub(super) struct InsertFlags {
    pub is_data: bool,
    pub is_leaf: bool,
}

impl From<u16> for InsertFlags {
    fn from(flags: u16) -> InsertFlags {
        InsertFlags {
            is_data: flags & ISDATA != 0,
            is_leaf: flags & ISLEAF != 0,
        }
    }
}

/// INSERT:
///
/// | field | offset | width |
/// |---|---|---|
/// | flags | 0 | 2 |
/// | left child | 2 | 4, only if not ISLEAF |
/// | right child | 6 | 4, only if not ISLEAF |
pub(super) struct Insert {
    pub flags: InsertFlags,
    /// The right half of the child's split, whose left half is what gets inserted.
    pub right_child: Option<u32>,
}

impl Insert {
    pub(super) fn parse(main: &[u8]) -> Result<Insert, Malformed> {
        let mut payload = Payload::new(main);
        let flags = InsertFlags::from(payload.u16()?);
        let mut right_child = None;
        if !flags.is_leaf {
            parse_block_id(&mut payload)?; // the left child is in the block's data, too
            right_child = Some(parse_block_id(&mut payload)?);
        }
        Ok(Insert { flags, right_child })
    }
}

/// Block data of INSERT in the tree of entries:
///
/// | field | offset | width |
/// |---|---|---|
/// | offset | 0 | 2 |
/// | isDelete | 2 | 1 |
/// | tuple | 4 | its IndexTupleSize |
pub(super) struct InsertEntry<'a> {
    pub offset: u16,
    /// The tuple takes the place of the one that is there.
    pub is_delete: bool,
    pub tuple: &'a [u8],
}

impl InsertEntry<'_> {
    pub(super) fn parse(data: &[u8]) -> Result<InsertEntry<'_>, Malformed> {
        let mut payload = Payload::new(data);
        let offset = payload.u16()?;
        let is_delete = payload.u8()? != 0;
        payload.take(1)?;
        let tuple = index_tuple(&mut payload)?;
        end(payload)?;
        Ok(InsertEntry {
            offset,
            is_delete,
            tuple,
        })
    }
}

/// Block data of INSERT on an internal page of a posting tree:
///
/// | field | offset | width |
/// |---|---|---|
/// | offset | 0 | 2 |
/// | newitem | 2 | 10 |
pub(super) struct InsertDataInternal<'a> {
    pub offset: u16,
    pub new_item: &'a [u8],
}

impl InsertDataInternal<'_> {
    pub(super) fn parse(data: &[u8]) -> Result<InsertDataInternal<'_>, Malformed> {
        let mut payload = Payload::new(data);
        let offset = payload.u16()?;
        let new_item = payload.take(SIZE_OF_POSTING_ITEM)?;
        end(payload)?;
        Ok(InsertDataInternal { offset, new_item })
    }
}

/// Whether a SPLIT (main data: relation 12, right link 4, children 4 each, flags 2 at 24) is one
/// of leaves.
pub(super) fn split_flags(main: &[u8]) -> Result<InsertFlags, Malformed> {
    let mut payload = Payload::new(main);
    payload.take(24)?;
    payload.u16().map(InsertFlags::from)
}

/// Segments of CREATE_PTREE: their size in four bytes, then they.
pub(super) fn create_ptree_segments(main: &[u8]) -> Result<&[u8], Malformed> {
    let mut payload = Payload::new(main);
    let size = payload.count()?;
    let segments = payload.take(size)?;
    end(payload)?;
    Ok(segments)
}

/// DELETE_PAGE:
///
/// | field | offset | width |
/// |---|---|---|
/// | parentOffset | 0 | 2 |
/// | rightLink | 4 | 4 |
/// | deleteXid | 8 | 4 |
pub(super) struct DeletePage {
    pub parent_offset: u16,
    pub right_link: u32,
    pub delete_xid: u32,
}

impl DeletePage {
    pub(super) fn parse(main: &[u8]) -> Result<DeletePage, Malformed> {
        let mut payload = Payload::new(main);
        let parent_offset = payload.u16()?;
        payload.take(2)?;
        Ok(DeletePage {
            parent_offset,
            right_link: payload.u32()?,
            delete_xid: payload.u32()?,
        })
    }
}

/// UPDATE_META_PAGE:
///
/// | field | offset | width |
/// |---|---|---|
/// | locator | 0 | 12 |
/// | metadata | 16 | 56 |
/// | prevTail | 72 | 4 |
/// | newRightlink | 76 | 4 |
/// | ntuples | 80 | 4 |
pub(super) struct UpdateMetaPage<'a> {
    pub metadata: &'a [u8],
    pub tail: TailChange,
}

/// What UPDATE_META_PAGE does to the pending list's last page.
pub(super) enum TailChange {
    Nothing,
    /// So many tuples of one heap tuple are added.
    Tuples(usize),
    /// Further pages are linked to it.
    Rightlink(u32),
}

impl UpdateMetaPage<'_> {
    pub(super) fn parse(main: &[u8]) -> Result<UpdateMetaPage<'_>, Malformed> {
        let mut payload = Payload::new(main);
        payload.take(16)?;
        let metadata = payload.take(SIZE_OF_META)?;
        let (prev_tail, new_rightlink) = (payload.u32()?, payload.u32()?);
        let tail = match payload.count()? {
            0 if prev_tail == INVALID_BLOCK => TailChange::Nothing,
            0 => TailChange::Rightlink(new_rightlink),
            count => TailChange::Tuples(count),
        };
        Ok(UpdateMetaPage { metadata, tail })
    }
}

/// INSERT_LISTPAGE: rightlink in four bytes, ntuples in four; the tuples are the block's data.
pub(super) struct InsertListPage {
    pub rightlink: u32,
    pub ntuples: usize,
}

impl InsertListPage {
    pub(super) fn parse(main: &[u8]) -> Result<InsertListPage, Malformed> {
        let mut payload = Payload::new(main);
        Ok(InsertListPage {
            rightlink: payload.u32()?,
            ntuples: payload.count()?,
        })
    }
}

/// DELETE_LISTPAGE: metadata in 56 bytes, ndeleted in four.
pub(super) struct DeleteListPages<'a> {
    pub metadata: &'a [u8],
    /// The pages are blocks 1 to this.
    pub ndeleted: usize,
}

impl DeleteListPages<'_> {
    pub(super) fn parse(main: &[u8]) -> Result<DeleteListPages<'_>, Malformed> {
        let mut payload = Payload::new(main);
        Ok(DeleteListPages {
            metadata: payload.take(SIZE_OF_META)?,
            ndeleted: payload.count()?,
        })
    }
}
