//! Payloads. The tuples are data of block 0.

use crate::payload::{Malformed, Payload};

/// CREATE_INDEX.
///
/// | main data | offset | width |
/// |---|---|---|
/// | pagesPerRange | 0 | 4 |
/// | version | 4 | 2 |
pub(super) struct CreateIndex {
    pub pages_per_range: u32,
    pub version: u16,
}

impl CreateIndex {
    pub(super) fn parse(main: &[u8]) -> Result<CreateIndex, Malformed> {
        let mut payload = Payload::new(main);
        Ok(CreateIndex {
            pages_per_range: payload.u32()?,
            version: payload.u16()?,
        })
    }
}

/// INSERT: the tuple of a range.
///
/// | main data | offset | width |
/// |---|---|---|
/// | heapBlk | 0 | 4 |
/// | pagesPerRange | 4 | 4 |
/// | offnum | 8 | 2 |
pub(super) struct Insert {
    /// A block of the range, the first if the writer is as usual.
    pub heap_block: u32,
    pub pages_per_range: u32,
    /// Where the tuple is on the regular page.
    pub offset: u16,
}

impl Insert {
    pub(super) fn parse(main: &[u8]) -> Result<Insert, Malformed> {
        Insert::take(&mut Payload::new(main))
    }

    fn take(payload: &mut Payload<'_>) -> Result<Insert, Malformed> {
        Ok(Insert {
            heap_block: payload.u32()?,
            pages_per_range: payload.u32()?,
            offset: payload.u16()?,
        })
    }
}

/// UPDATE: the tuple of a range moves to another page.
///
/// | main data | offset | width |
/// |---|---|---|
/// | oldOffnum | 0 | 2 (2 more of padding) |
/// | insert | 4 | 10, as of INSERT |
pub(super) struct Update {
    pub old_offset: u16,
    pub insert: Insert,
}

impl Update {
    pub(super) fn parse(main: &[u8]) -> Result<Update, Malformed> {
        let mut payload = Payload::new(main);
        let old_offset = payload.u16()?;
        payload.u16()?;
        let insert = Insert::take(&mut payload)?;
        Ok(Update { old_offset, insert })
    }
}

/// SAMEPAGE_UPDATE: `offnum` (2 bytes), where the tuple is.
pub(super) fn parse_samepage_update(main: &[u8]) -> Result<u16, Malformed> {
    Payload::new(main).u16()
}

/// REVMAP_EXTEND: `targetBlk` (4 bytes), the block that becomes the last revmap page.
pub(super) fn parse_revmap_extend(main: &[u8]) -> Result<u32, Malformed> {
    Payload::new(main).u32()
}

/// DESUMMARIZE: a range loses its tuple. Not the order of INSERT:
///
/// | main data | offset | width |
/// |---|---|---|
/// | pagesPerRange | 0 | 4 |
/// | heapBlk | 4 | 4 |
/// | regOffset | 8 | 2 |
pub(super) struct Desummarize {
    pub pages_per_range: u32,
    pub heap_block: u32,
    /// Where the tuple was on the regular page.
    pub offset: u16,
}

impl Desummarize {
    pub(super) fn parse(main: &[u8]) -> Result<Desummarize, Malformed> {
        let mut payload = Payload::new(main);
        Ok(Desummarize {
            pages_per_range: payload.u32()?,
            heap_block: payload.u32()?,
            offset: payload.u16()?,
        })
    }
}
