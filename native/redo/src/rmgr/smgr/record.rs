//! CREATE (16 bytes) and TRUNCATE (20 bytes).

use offshoot_layout::{Fork, RelKey};

use crate::payload::{Malformed, Payload};

const SMGR_TRUNCATE_HEAP: u32 = 0x1;
const SMGR_TRUNCATE_VM: u32 = 0x2;
const SMGR_TRUNCATE_FSM: u32 = 0x4;

pub(super) fn parse_create(main: &[u8]) -> Result<RelKey, Malformed> {
    let mut payload = Payload::new(main);
    let main_fork = payload.rel()?;
    let fork = u8::try_from(payload.i32()?)
        .ok()
        .and_then(Fork::from_number);
    let fork = fork.ok_or(Malformed("unknown fork"))?;
    Ok(RelKey { fork, ..main_fork })
}

/// A relation is cut off at `blocks` blocks of its main fork.
pub(super) struct Truncate {
    pub blocks: u32,
    pub main_fork: RelKey,
    flags: u32,
}

impl Truncate {
    pub(super) fn parse(main: &[u8]) -> Result<Truncate, Malformed> {
        let mut payload = Payload::new(main);
        Ok(Truncate {
            blocks: payload.u32()?,
            main_fork: payload.rel()?,
            flags: payload.u32()?,
        })
    }

    /// Whether the truncation covers this fork, in units of main-fork blocks.
    pub(super) fn covers(&self, fork: Fork) -> bool {
        let flag = match fork {
            Fork::Main => SMGR_TRUNCATE_HEAP,
            Fork::Vm => SMGR_TRUNCATE_VM,
            Fork::Fsm => SMGR_TRUNCATE_FSM,
            Fork::Init => 0,
        };
        self.flags & flag != 0
    }
}
