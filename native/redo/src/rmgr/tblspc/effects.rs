//! Tablespaces come and go.

use offshoot_wal::Record;

use crate::context::RedoContext;
use crate::effect::Effect;
use crate::payload::{Malformed, Payload};

pub(crate) fn create(
    record: &Record,
    _: &RedoContext,
    list: &mut Vec<Effect>,
) -> Result<(), Malformed> {
    let mut payload = Payload::new(record.main_data());
    list.push(Effect::TablespaceCreate {
        spc: payload.u32()?,
        path: payload.c_string()?.to_vec(),
    });
    Ok(())
}

pub(crate) fn drop(
    record: &Record,
    _: &RedoContext,
    list: &mut Vec<Effect>,
) -> Result<(), Malformed> {
    let spc = Payload::new(record.main_data()).u32()?;
    list.push(Effect::TablespaceDrop { spc });
    Ok(())
}
