//! The relation map is stored as it is.

use offshoot_wal::Record;

use crate::context::RedoContext;
use crate::effect::Effect;
use crate::payload::{Malformed, Payload};

/// Size of pg_filenode.map up to major 15.
const RELMAP_FILE_BYTES: usize = 512;

pub(crate) fn update(
    record: &Record,
    _: &RedoContext,
    list: &mut Vec<Effect>,
) -> Result<(), Malformed> {
    let mut payload = Payload::new(record.main_data());
    let (db, spc, count) = (payload.u32()?, payload.u32()?, payload.count()?);
    if count != RELMAP_FILE_BYTES {
        return Err(Malformed("relation map of another size"));
    }
    let bytes = payload.take(count)?.to_vec();
    list.push(Effect::RelMap { spc, db, bytes });
    Ok(())
}
