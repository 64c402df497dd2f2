//! PICKSPLIT.

use offshoot_layout::tid::Tid;
use offshoot_wal::Record;

use super::{Downlink, State, block_number};
use crate::payload::{Malformed, Payload};
use crate::rmgr::spgist::offsets::Offsets;
use crate::rmgr::spgist::tuple;

/// PICKSPLIT:
///
/// | field | bytes |
/// |---|---|
/// | isRootSplit | 0 |
/// | nDelete | 2–3 |
/// | nInsert | 4–5 |
/// | initSrc | 6 |
/// | initDest | 7 |
/// | offnumInner | 8–9 |
/// | initInner | 10 |
/// | storesNulls | 11 |
/// | innerIsParent | 12 |
/// | offnumParent, nodeI | 14–17 |
/// | stateSrc | 20–27 |
/// | offsets to delete, nDelete | 28… |
/// | offsets to insert, nInsert | |
/// | whether it goes to the destination page, a byte each, nInsert | |
/// | inner tuple | |
/// | leaf tuples, nInsert | |
pub(in crate::rmgr::spgist) struct PickSplit<'a> {
    pub is_root_split: bool,
    pub init_src: bool,
    pub init_dest: bool,
    pub offnum_inner: u16,
    pub init_inner: bool,
    pub stores_nulls: bool,
    pub inner_is_parent: bool,
    pub downlink: Downlink,
    pub state: State,
    pub to_delete: Offsets<'a>,
    pub to_insert: Offsets<'a>,
    /// For each leaf tuple 0 if it goes to the source page, else to the destination page.
    pub leaf_page_select: &'a [u8],
    pub inner: &'a [u8],
    /// The leaf tuples, to be taken one by one.
    pub tuples: Payload<'a>,
}

impl<'a> PickSplit<'a> {
    pub(in crate::rmgr::spgist) fn parse(main: &'a [u8]) -> Result<PickSplit<'a>, Malformed> {
        let mut payload = Payload::new(main);
        let is_root_split = payload.u8()? != 0;
        payload.take(1)?;
        let (deletes, inserts) = (payload.u16()?, payload.u16()?);
        let (init_src, init_dest) = (payload.u8()? != 0, payload.u8()? != 0);
        let offnum_inner = payload.u16()?;
        let (init_inner, stores_nulls) = (payload.u8()? != 0, payload.u8()? != 0);
        let inner_is_parent = payload.u8()? != 0;
        payload.take(1)?;
        let downlink = Downlink::parse(&mut payload)?;
        payload.take(2)?;
        Ok(PickSplit {
            is_root_split,
            init_src,
            init_dest,
            offnum_inner,
            init_inner,
            stores_nulls,
            inner_is_parent,
            downlink,
            state: State::parse(&mut payload)?,
            to_delete: Offsets::parse(&mut payload, deletes)?,
            to_insert: Offsets::parse(&mut payload, inserts)?,
            leaf_page_select: payload.take(usize::from(inserts))?,
            inner: tuple::take_inner(&mut payload)?,
            tuples: payload,
        })
    }

    /// Where the new inner tuple is.
    pub(in crate::rmgr::spgist) fn inner_tid(&self, record: &Record) -> Result<Tid, Malformed> {
        Ok(Tid {
            block: block_number(record, 2)?,
            offset: self.offnum_inner,
        })
    }
}
