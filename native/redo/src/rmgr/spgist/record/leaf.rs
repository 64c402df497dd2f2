//! ADD_LEAF and MOVE_LEAFS.

use offshoot_layout::tid::Tid;
use offshoot_wal::Record;

use super::{Downlink, State, at_end, block_number};
use crate::payload::{Malformed, Payload};
use crate::rmgr::spgist::offsets::Offsets;
use crate::rmgr::spgist::tuple;

/// ADD_LEAF:
///
/// | field | bytes |
/// |---|---|
/// | newPage | 0 |
/// | storesNulls | 1 |
/// | offnumLeaf | 2–3 |
/// | offnumHeadLeaf | 4–5 |
/// | offnumParent, nodeI | 6–9 |
/// | leaf tuple | 10… |
pub(in crate::rmgr::spgist) struct AddLeaf<'a> {
    pub new_page: bool,
    pub stores_nulls: bool,
    pub offnum_leaf: u16,
    /// 0: no chain; the leaf's own: the tuple there, which is dead, is replaced.
    pub offnum_head_leaf: u16,
    pub downlink: Downlink,
    pub tuple: &'a [u8],
}

impl<'a> AddLeaf<'a> {
    pub(in crate::rmgr::spgist) fn parse(main: &'a [u8]) -> Result<AddLeaf<'a>, Malformed> {
        let mut payload = Payload::new(main);
        let add = AddLeaf {
            new_page: payload.u8()? != 0,
            stores_nulls: payload.u8()? != 0,
            offnum_leaf: payload.u16()?,
            offnum_head_leaf: payload.u16()?,
            downlink: Downlink::parse(&mut payload)?,
            tuple: tuple::take_leaf(&mut payload)?,
        };
        at_end(&payload)?;
        Ok(add)
    }
}

/// MOVE_LEAFS:
///
/// | field | bytes |
/// |---|---|
/// | nMoves | 0–1 |
/// | newPage | 2 |
/// | replaceDead | 3 |
/// | storesNulls | 4 |
/// | offnumParent, nodeI | 6–9 |
/// | stateSrc | 12–19 |
/// | offsets to delete, nMoves | 20… |
/// | offsets to insert, 1 if replaceDead, else nMoves + 1 | |
/// | leaf tuples, as many | |
pub(in crate::rmgr::spgist) struct MoveLeafs<'a> {
    pub new_page: bool,
    pub stores_nulls: bool,
    pub downlink: Downlink,
    pub state: State,
    pub to_delete: Offsets<'a>,
    pub to_insert: Offsets<'a>,
    /// The leaf tuples, to be taken one by one.
    pub tuples: Payload<'a>,
}

impl<'a> MoveLeafs<'a> {
    pub(in crate::rmgr::spgist) fn parse(main: &'a [u8]) -> Result<MoveLeafs<'a>, Malformed> {
        let mut payload = Payload::new(main);
        let moves = payload.u16()?;
        let new_page = payload.u8()? != 0;
        let replace_dead = payload.u8()? != 0;
        let stores_nulls = payload.u8()? != 0;
        payload.take(1)?;
        let downlink = Downlink::parse(&mut payload)?;
        payload.take(2)?;
        let inserts = match replace_dead {
            true => 1,
            false => moves
                .checked_add(1)
                .ok_or(Malformed("more tuples than a page has"))?,
        };
        Ok(MoveLeafs {
            new_page,
            stores_nulls,
            downlink,
            state: State::parse(&mut payload)?,
            to_delete: Offsets::parse(&mut payload, moves)?,
            to_insert: Offsets::parse(&mut payload, inserts)?,
            tuples: payload,
        })
    }

    /// The head of the chain, which is the last that is inserted.
    pub(in crate::rmgr::spgist) fn head(&self, record: &Record) -> Result<Tid, Malformed> {
        Ok(Tid {
            block: block_number(record, 1)?,
            offset: self.to_insert.last().unwrap_or_default(),
        })
    }
}
