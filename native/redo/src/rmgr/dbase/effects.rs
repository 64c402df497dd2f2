//! | record | payload |
//! |---|---|
//! | CREATE_FILE_COPY | database, tablespace, source database, source tablespace |
//! | CREATE_WAL_LOG | database, tablespace |
//! | DROP | database, count, tablespaces |

use offshoot_wal::Record;

use crate::context::RedoContext;
use crate::effect::Effect;
use crate::payload::{Malformed, Payload};

pub(crate) fn create_file_copy(
    record: &Record,
    _: &RedoContext,
    list: &mut Vec<Effect>,
) -> Result<(), Malformed> {
    let mut payload = Payload::new(record.main_data());
    list.push(Effect::DatabaseCopy {
        db: payload.u32()?,
        spc: payload.u32()?,
        src_db: payload.u32()?,
        src_spc: payload.u32()?,
    });
    Ok(())
}

pub(crate) fn create_wal_log(
    record: &Record,
    _: &RedoContext,
    list: &mut Vec<Effect>,
) -> Result<(), Malformed> {
    let mut payload = Payload::new(record.main_data());
    list.push(Effect::DatabaseCreate {
        db: payload.u32()?,
        spc: payload.u32()?,
    });
    Ok(())
}

pub(crate) fn drop(
    record: &Record,
    _: &RedoContext,
    list: &mut Vec<Effect>,
) -> Result<(), Malformed> {
    let mut payload = Payload::new(record.main_data());
    let db = payload.u32()?;
    let count = payload.count()?;
    let spcs = payload.u32s(count)?;
    list.push(Effect::DatabaseDrop { db, spcs });
    Ok(())
}
