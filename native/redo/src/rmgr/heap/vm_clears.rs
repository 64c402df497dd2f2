//! Which bits a record clears is in its flags.
//!
//! | record | flags at | flag | heap block | bits |
//! |---|---|---|---|---|
//! | INSERT | 2 | 0x01 | 0 | both |
//! | DELETE | 7 | 0x01 | 0 | both |
//! | UPDATE, HOT_UPDATE | 7 | 0x01 | 1 if there, else 0 (the old tuple's) | both |
//! | | | 0x02 | 0 (the new tuple's) | both |
//! | LOCK | 7 | 0x01 | 0 | all frozen |

use offshoot_wal::Record;

use crate::payload::Malformed;
use crate::visibility_map::{VISIBILITYMAP_ALL_FROZEN, VISIBILITYMAP_ALL_VISIBLE, VmClear};

const BOTH: u8 = VISIBILITYMAP_ALL_VISIBLE | VISIBILITYMAP_ALL_FROZEN;

const INSERT_FLAGS_AT: usize = 2;
const DELETE_FLAGS_AT: usize = 7;
const UPDATE_FLAGS_AT: usize = 7;
const LOCK_FLAGS_AT: usize = 7;

const XLH_INSERT_ALL_VISIBLE_CLEARED: u8 = 0x01;
const XLH_DELETE_ALL_VISIBLE_CLEARED: u8 = 0x01;
const XLH_UPDATE_OLD_ALL_VISIBLE_CLEARED: u8 = 0x01;
const XLH_UPDATE_NEW_ALL_VISIBLE_CLEARED: u8 = 0x02;
const XLH_LOCK_ALL_FROZEN_CLEARED: u8 = 0x01;

pub(crate) fn insert_clears(record: &Record) -> Result<Vec<VmClear>, Malformed> {
    clear(record, INSERT_FLAGS_AT, XLH_INSERT_ALL_VISIBLE_CLEARED)
}

pub(crate) fn delete_clears(record: &Record) -> Result<Vec<VmClear>, Malformed> {
    clear(record, DELETE_FLAGS_AT, XLH_DELETE_ALL_VISIBLE_CLEARED)
}

pub(crate) fn update_clears(record: &Record) -> Result<Vec<VmClear>, Malformed> {
    let flags = flags(record, UPDATE_FLAGS_AT)?;
    let old_block = if record.block(1).is_some() { 1 } else { 0 };
    let mut clears = Vec::new();
    if flags & XLH_UPDATE_OLD_ALL_VISIBLE_CLEARED != 0 {
        clears.push(of_block(record, old_block, BOTH)?);
    }
    if flags & XLH_UPDATE_NEW_ALL_VISIBLE_CLEARED != 0 {
        clears.push(of_block(record, 0, BOTH)?);
    }
    Ok(clears)
}

/// LOCK, and LOCK_UPDATED of Heap2: the block stays all visible.
pub(crate) fn lock_clears(record: &Record) -> Result<Vec<VmClear>, Malformed> {
    match flags(record, LOCK_FLAGS_AT)? & XLH_LOCK_ALL_FROZEN_CLEARED {
        0 => Ok(Vec::new()),
        _ => Ok(vec![of_block(record, 0, VISIBILITYMAP_ALL_FROZEN)?]),
    }
}

/// Both bits of block 0, if the flag is set in the byte at `flags_at`.
pub(crate) fn clear(record: &Record, flags_at: usize, flag: u8) -> Result<Vec<VmClear>, Malformed> {
    match flags(record, flags_at)? & flag {
        0 => Ok(Vec::new()),
        _ => Ok(vec![of_block(record, 0, BOTH)?]),
    }
}

fn flags(record: &Record, at: usize) -> Result<u8, Malformed> {
    let flags = record.main_data().get(at).copied();
    flags.ok_or(Malformed("payload ends before its flags"))
}

fn of_block(record: &Record, block_id: u8, bits: u8) -> Result<VmClear, Malformed> {
    let block = record.block(block_id);
    let heap = block.ok_or(Malformed("no heap block referenced"))?.key;
    Ok(VmClear { heap, bits })
}
