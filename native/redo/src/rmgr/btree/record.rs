//! Main data of the record types.

use crate::payload::{Malformed, Payload};

/// INSERT_LEAF, INSERT_UPPER, INSERT_META and INSERT_POST: where the tuple goes.
///
/// | field | offset | width |
/// |---|---|---|
/// | offnum | 0 | 2 |
pub(super) fn parse_insert(main: &[u8]) -> Result<u16, Malformed> {
    Payload::new(main).u16()
}

/// SPLIT_L and SPLIT_R.
///
/// | field | offset | width |
/// |---|---|---|
/// | level | 0 | 4 |
/// | firstrightoff | 4 | 2 |
/// | newitemoff | 6 | 2 |
/// | postingoff | 8 | 2 |
pub(super) struct Split {
    pub level: u32,
    /// Offset number in the old page of the first item that goes to the right page.
    pub firstrightoff: u16,
    /// Offset number in the old page at which the new item goes.
    pub newitemoff: u16,
    /// If not 0, the new item goes into the posting list before it, at this index.
    pub postingoff: u16,
}

impl Split {
    pub(super) fn parse(main: &[u8]) -> Result<Split, Malformed> {
        let mut payload = Payload::new(main);
        Ok(Split {
            level: payload.u32()?,
            firstrightoff: payload.u16()?,
            newitemoff: payload.u16()?,
            postingoff: payload.u16()?,
        })
    }
}

/// DEDUP: how many intervals there are.
///
/// | field | offset | width |
/// |---|---|---|
/// | nintervals | 0 | 2 |
pub(super) fn parse_dedup(main: &[u8]) -> Result<usize, Malformed> {
    Payload::new(main).u16().map(usize::from)
}

/// What DELETE and VACUUM take away.
pub(super) struct Deletion {
    /// Tuples that go.
    pub ndeleted: usize,
    /// Posting list tuples of which some rows go.
    pub nupdated: usize,
}

impl Deletion {
    /// DELETE.
    ///
    /// | field | offset | width |
    /// |---|---|---|
    /// | latestRemovedXid | 0 | 4 |
    /// | ndeleted | 4 | 2 |
    /// | nupdated | 6 | 2 |
    pub(super) fn parse_delete(main: &[u8]) -> Result<Deletion, Malformed> {
        let mut payload = Payload::new(main);
        payload.u32()?;
        Deletion::parse_counts(payload)
    }

    /// VACUUM.
    ///
    /// | field | offset | width |
    /// |---|---|---|
    /// | ndeleted | 0 | 2 |
    /// | nupdated | 2 | 2 |
    pub(super) fn parse_vacuum(main: &[u8]) -> Result<Deletion, Malformed> {
        Deletion::parse_counts(Payload::new(main))
    }

    fn parse_counts(mut payload: Payload<'_>) -> Result<Deletion, Malformed> {
        Ok(Deletion {
            ndeleted: payload.u16()?.into(),
            nupdated: payload.u16()?.into(),
        })
    }
}

/// UNLINK_PAGE and UNLINK_PAGE_META.
///
/// | field | offset | width |
/// |---|---|---|
/// | leftsib | 0 | 4 |
/// | rightsib | 4 | 4 |
/// | level | 8 | 4 |
/// | safexid | 16 | 8 |
/// | leafleftsib | 24 | 4 |
/// | leafrightsib | 28 | 4 |
/// | leaftopparent | 32 | 4 |
pub(super) struct UnlinkPage {
    pub leftsib: u32,
    pub rightsib: u32,
    pub level: u32,
    /// The page may be used anew when no snapshot can see this transaction as running.
    pub safexid: u64,
    /// The half-dead leaf page from which the deletion began, if that is another page.
    pub leaf: HalfDeadLeaf,
}

/// What a half-dead leaf page consists of.
pub(super) struct HalfDeadLeaf {
    pub leftsib: u32,
    pub rightsib: u32,
    /// The topmost inner page that is still to be deleted, 0xFFFFFFFF if none is.
    pub topparent: u32,
}

impl UnlinkPage {
    pub(super) fn parse(main: &[u8]) -> Result<UnlinkPage, Malformed> {
        let mut payload = Payload::new(main);
        let (leftsib, rightsib, level) = (payload.u32()?, payload.u32()?, payload.u32()?);
        payload.u32()?; // alignment
        Ok(UnlinkPage {
            leftsib,
            rightsib,
            level,
            safexid: payload.u64()?,
            leaf: HalfDeadLeaf {
                leftsib: payload.u32()?,
                rightsib: payload.u32()?,
                topparent: payload.u32()?,
            },
        })
    }
}

/// MARK_PAGE_HALFDEAD.
///
/// | field | offset | width |
/// |---|---|---|
/// | poffset | 0 | 2 |
/// | leafblk | 4 | 4 |
/// | leftblk | 8 | 4 |
/// | rightblk | 12 | 4 |
/// | topparent | 16 | 4 |
pub(super) struct MarkPageHalfdead {
    /// Offset number of the deleted page's downlink in its parent.
    pub poffset: u16,
    pub leaf: HalfDeadLeaf,
}

impl MarkPageHalfdead {
    pub(super) fn parse(main: &[u8]) -> Result<MarkPageHalfdead, Malformed> {
        let mut payload = Payload::new(main);
        let poffset = payload.u16()?;
        payload.u16()?; // alignment
        payload.u32()?; // leafblk: the block reference says it
        Ok(MarkPageHalfdead {
            poffset,
            leaf: HalfDeadLeaf {
                leftsib: payload.u32()?,
                rightsib: payload.u32()?,
                topparent: payload.u32()?,
            },
        })
    }
}

/// NEWROOT: the root's level.
///
/// | field | offset | width |
/// |---|---|---|
/// | rootblk | 0 | 4 |
/// | level | 4 | 4 |
pub(super) fn parse_newroot(main: &[u8]) -> Result<u32, Malformed> {
    let mut payload = Payload::new(main);
    payload.u32()?; // rootblk: the block reference says it
    payload.u32()
}
