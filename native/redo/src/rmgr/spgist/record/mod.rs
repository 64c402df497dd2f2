//! Payloads of the records. Gaps in the tables of bytes are filling.

mod inner;
mod leaf;
mod pick_split;
mod vacuum;

pub(super) use inner::{AddNode, SplitTuple};
pub(super) use leaf::{AddLeaf, MoveLeafs};
pub(super) use pick_split::PickSplit;
pub(super) use vacuum::{VacuumLeaf, VacuumRedirect, VacuumRoot};

use offshoot_layout::tid::Tid;
use offshoot_wal::Record;

use super::tuple::DeadTuple;
use crate::payload::{Malformed, Payload};

/// The end of the payload must be here.
pub(super) fn at_end(payload: &Payload<'_>) -> Result<(), Malformed> {
    match payload.clone().u8() {
        Ok(_) => Err(Malformed("payload goes on behind its end")),
        Err(_) => Ok(()),
    }
}

/// The number of the block that the record references with this id.
pub(super) fn block_number(record: &Record, id: u8) -> Result<u32, Malformed> {
    let block = record.block(id).map(|block| block.key.block);
    block.ok_or(Malformed("a block reference is missing"))
}

/// Where the pointer to a tuple is: a node of an inner tuple.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Downlink {
    /// Offset number of the inner tuple; 0 if there is none.
    pub parent: u16,
    pub node: u16,
}

impl Downlink {
    fn parse(payload: &mut Payload<'_>) -> Result<Downlink, Malformed> {
        Ok(Downlink {
            parent: payload.u16()?,
            node: payload.u16()?,
        })
    }
}

/// spgxlogState, what redo must know of the session that made the change:
///
/// | field | bytes |
/// |---|---|
/// | myXid | 0–3 |
/// | isBuild | 4 |
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct State {
    pub my_xid: u32,
    pub is_build: bool,
}

impl State {
    pub(super) fn parse(payload: &mut Payload<'_>) -> Result<State, Malformed> {
        let state = State {
            my_xid: payload.u32()?,
            is_build: payload.u8()? != 0,
        };
        payload.take(3)?;
        Ok(state)
    }

    /// What a tuple leaves behind that moved there. Nobody searches an index that is being
    /// built, so that nobody has to be redirected.
    pub(super) fn moved_to(self, to: Tid) -> DeadTuple {
        if self.is_build {
            DeadTuple::Placeholder
        } else {
            let xid = self.my_xid;
            DeadTuple::Redirect { to, xid }
        }
    }
}
