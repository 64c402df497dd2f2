//! SET: remote LSN u64, origin u16, force u8. DROP: origin u16.

use offshoot_wal::Record;

use super::is_tracked;
use crate::context::RedoContext;
use crate::effect::{Effect, OriginAdvance};
use crate::payload::{Malformed, Payload};

pub(crate) fn set(
    record: &Record,
    _: &RedoContext,
    list: &mut Vec<Effect>,
) -> Result<(), Malformed> {
    let mut payload = Payload::new(record.main_data());
    let (remote_lsn, node) = (payload.lsn()?, payload.u16()?);
    let advance = match payload.u8()? {
        0 => OriginAdvance::Forward,
        _ => OriginAdvance::Force,
    };
    if is_tracked(node) {
        list.push(Effect::Origin {
            node,
            remote_lsn,
            advance,
        });
    }
    Ok(())
}

pub(crate) fn drop(
    record: &Record,
    _: &RedoContext,
    list: &mut Vec<Effect>,
) -> Result<(), Malformed> {
    let node = Payload::new(record.main_data()).u16()?;
    list.push(Effect::OriginDrop { node });
    Ok(())
}
