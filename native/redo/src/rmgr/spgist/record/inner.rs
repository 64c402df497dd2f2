//! ADD_NODE and SPLIT_TUPLE.

use super::{Downlink, State, at_end};
use crate::payload::{Malformed, Payload};
use crate::rmgr::spgist::tuple;

/// ADD_NODE:
///
/// | field | bytes |
/// |---|---|
/// | offnum | 0–1 |
/// | offnumNew | 2–3 |
/// | newPage | 4 |
/// | parentBlk, signed | 5 |
/// | offnumParent, nodeI | 6–9 |
/// | stateSrc | 12–19 |
/// | inner tuple | 20… |
pub(in crate::rmgr::spgist) struct AddNode<'a> {
    pub offnum: u16,
    pub offnum_new: u16,
    pub new_page: bool,
    /// Block reference of the page with the parent; 0 and 1 if that has another role besides.
    pub parent_blk: u8,
    pub downlink: Downlink,
    pub state: State,
    pub tuple: &'a [u8],
}

impl<'a> AddNode<'a> {
    pub(in crate::rmgr::spgist) fn parse(main: &'a [u8]) -> Result<AddNode<'a>, Malformed> {
        let mut payload = Payload::new(main);
        let (offnum, offnum_new) = (payload.u16()?, payload.u16()?);
        let (new_page, parent_blk) = (payload.u8()? != 0, payload.u8()?);
        let downlink = Downlink::parse(&mut payload)?;
        payload.take(2)?;
        let add = AddNode {
            offnum,
            offnum_new,
            new_page,
            parent_blk,
            downlink,
            state: State::parse(&mut payload)?,
            tuple: tuple::take_inner(&mut payload)?,
        };
        at_end(&payload)?;
        Ok(add)
    }
}

/// SPLIT_TUPLE:
///
/// | field | bytes |
/// |---|---|
/// | offnumPrefix | 0–1 |
/// | offnumPostfix | 2–3 |
/// | newPage | 4 |
/// | postfixBlkSame | 5 |
/// | prefix tuple | 6… |
/// | postfix tuple | |
pub(in crate::rmgr::spgist) struct SplitTuple<'a> {
    pub offnum_prefix: u16,
    pub offnum_postfix: u16,
    /// Whether the page of the postfix tuple is new.
    pub new_page: bool,
    /// Whether both are on one page.
    pub postfix_blk_same: bool,
    pub prefix: &'a [u8],
    pub postfix: &'a [u8],
}

impl<'a> SplitTuple<'a> {
    pub(in crate::rmgr::spgist) fn parse(main: &'a [u8]) -> Result<SplitTuple<'a>, Malformed> {
        let mut payload = Payload::new(main);
        let split = SplitTuple {
            offnum_prefix: payload.u16()?,
            offnum_postfix: payload.u16()?,
            new_page: payload.u8()? != 0,
            postfix_blk_same: payload.u8()? != 0,
            prefix: tuple::take_inner(&mut payload)?,
            postfix: tuple::take_inner(&mut payload)?,
        };
        at_end(&payload)?;
        Ok(split)
    }
}
