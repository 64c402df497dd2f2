//! MULTI_INSERT has its flags at 0; 0x01 clears both bits of block 0. LOCK_UPDATED is as LOCK.

use offshoot_wal::Record;

use crate::payload::Malformed;
use crate::rmgr::heap;
use crate::visibility_map::VmClear;

const MULTI_INSERT_FLAGS_AT: usize = 0;
const XLH_INSERT_ALL_VISIBLE_CLEARED: u8 = 0x01;

pub(crate) fn multi_insert_clears(record: &Record) -> Result<Vec<VmClear>, Malformed> {
    heap::clear(
        record,
        MULTI_INSERT_FLAGS_AT,
        XLH_INSERT_ALL_VISIBLE_CLEARED,
    )
}
