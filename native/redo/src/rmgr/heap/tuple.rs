//! The header of a tuple on a page.
//!
//! | field | offset | width |
//! |---|---|---|
//! | t_xmin | 0 | 4 |
//! | t_xmax | 4 | 4 |
//! | t_field3: command id, or the xid of an old VACUUM FULL | 8 | 4 |
//! | t_ctid | 12 | 6 |
//! | t_infomask2 | 18 | 2 |
//! | t_infomask | 20 | 2 |
//! | t_hoff: where user data begins | 22 | 1 |
//! | null bitmap | 23 | |

use offshoot_layout::item::LP_NORMAL;
use offshoot_layout::{Page, Tid};

use crate::page_items::{existing_item_id, item_mut};
use crate::payload::Malformed;

/// Bytes of the header before the null bitmap (SizeofHeapTupleHeader).
pub(super) const SIZE_OF_HEAP_TUPLE_HEADER: usize = 23;
/// `t_ctid` of a row that went to another partition (MovedPartitions).
pub(super) const MOVED_PARTITIONS: Tid = Tid {
    block: u32::MAX,
    offset: 0xFFFD,
};

const T_XMIN: usize = 0;
const T_XMAX: usize = 4;
const T_FIELD3: usize = 8;
const T_CTID: usize = 12;
const T_INFOMASK2: usize = 18;
const T_INFOMASK: usize = 20;
const T_HOFF: usize = 22;

/// `t_infomask`: see Postgres' htup_details.h.
const HEAP_XMAX_KEYSHR_LOCK: u16 = 0x0010;
pub(super) const HEAP_COMBOCID: u16 = 0x0020;
const HEAP_XMAX_EXCL_LOCK: u16 = 0x0040;
const HEAP_XMAX_LOCK_ONLY: u16 = 0x0080;
const HEAP_XMAX_COMMITTED: u16 = 0x0400;
const HEAP_XMAX_INVALID: u16 = 0x0800;
const HEAP_XMAX_IS_MULTI: u16 = 0x1000;
const HEAP_MOVED: u16 = 0xC000;
const HEAP_LOCK_MASK: u16 = HEAP_XMAX_EXCL_LOCK | HEAP_XMAX_KEYSHR_LOCK;
const HEAP_XMAX_BITS: u16 = HEAP_XMAX_COMMITTED
    | HEAP_XMAX_INVALID
    | HEAP_XMAX_IS_MULTI
    | HEAP_LOCK_MASK
    | HEAP_XMAX_LOCK_ONLY;
/// `t_infomask2`: the same.
const HEAP_KEYS_UPDATED: u16 = 0x2000;
const HEAP_HOT_UPDATED: u16 = 0x4000;

/// Bits of a record's infobits, and the bit of `t_infomask` that each stands for.
const XLHL_INFOMASK: [(u8, u16); 4] = [
    (0x01, HEAP_XMAX_IS_MULTI),
    (0x02, HEAP_XMAX_LOCK_ONLY),
    (0x04, HEAP_XMAX_EXCL_LOCK),
    (0x08, HEAP_XMAX_KEYSHR_LOCK),
];
const XLHL_KEYS_UPDATED: u8 = 0x10;

/// The header of a tuple on a page, to change.
pub(crate) struct TupleHeader<'a> {
    bytes: &'a mut [u8; SIZE_OF_HEAP_TUPLE_HEADER],
}

impl<'a> TupleHeader<'a> {
    /// That of the tuple with this offset number, which must be an ordinary one.
    pub(crate) fn of(page: &'a mut Page, offnum: u16) -> Result<TupleHeader<'a>, Malformed> {
        if existing_item_id(page, offnum)?.flags != LP_NORMAL {
            return Err(Malformed("the line pointer is not that of a tuple"));
        }
        let bytes = item_mut(page, offnum)?.first_chunk_mut();
        Ok(TupleHeader {
            bytes: bytes.ok_or(Malformed("tuple without a whole header"))?,
        })
    }

    pub(crate) fn hoff(&self) -> usize {
        usize::from(self.bytes[T_HOFF])
    }

    pub(crate) fn set_xmin(&mut self, xid: u32) {
        self.set_u32(T_XMIN, xid);
    }

    pub(crate) fn set_xmax(&mut self, xid: u32) {
        self.set_u32(T_XMAX, xid);
    }

    pub(crate) fn set_field3(&mut self, value: u32) {
        self.set_u32(T_FIELD3, value);
    }

    /// The command that deleted is not in the WAL; a page rebuilt has the first one.
    pub(crate) fn forget_cmax(&mut self) {
        self.set_field3(0);
        self.set_infomask(self.infomask() & !HEAP_COMBOCID);
    }

    pub(crate) fn set_ctid(&mut self, tid: Tid) {
        self.bytes[T_CTID..T_INFOMASK2].copy_from_slice(&tid.to_bytes());
    }

    pub(crate) fn set_hot_updated(&mut self, hot: bool) {
        let others = self.infomask2() & !HEAP_HOT_UPDATED;
        self.set_infomask2(others | if hot { HEAP_HOT_UPDATED } else { 0 });
    }

    /// Notes what the new xmax is, and nothing more of it is known.
    pub(crate) fn set_infobits(&mut self, infobits: u8) {
        let mut infomask = self.infomask() & !(HEAP_XMAX_BITS | HEAP_MOVED);
        for (infobit, bit) in XLHL_INFOMASK {
            if infobits & infobit != 0 {
                infomask |= bit;
            }
        }
        let mut infomask2 = self.infomask2() & !HEAP_KEYS_UPDATED;
        if infobits & XLHL_KEYS_UPDATED != 0 {
            infomask2 |= HEAP_KEYS_UPDATED;
        }
        self.set_infomask(infomask);
        self.set_infomask2(infomask2);
    }

    /// Whether xmax has locked the tuple and not changed it (HEAP_XMAX_IS_LOCKED_ONLY); a single
    /// exclusive locker of Postgres before 9.3 had no bit for that.
    pub(crate) fn is_locked_only(&self) -> bool {
        let infomask = self.infomask();
        infomask & HEAP_XMAX_LOCK_ONLY != 0
            || infomask & (HEAP_XMAX_IS_MULTI | HEAP_LOCK_MASK) == HEAP_XMAX_EXCL_LOCK
    }

    pub(crate) fn set_infomask(&mut self, infomask: u16) {
        self.bytes[T_INFOMASK..T_INFOMASK + 2].copy_from_slice(&infomask.to_le_bytes());
    }

    pub(crate) fn set_infomask2(&mut self, infomask2: u16) {
        self.bytes[T_INFOMASK2..T_INFOMASK2 + 2].copy_from_slice(&infomask2.to_le_bytes());
    }

    pub(super) fn set_hoff(&mut self, hoff: u8) {
        self.bytes[T_HOFF] = hoff;
    }

    fn infomask(&self) -> u16 {
        self.u16(T_INFOMASK)
    }

    fn infomask2(&self) -> u16 {
        self.u16(T_INFOMASK2)
    }

    fn u16(&self, at: usize) -> u16 {
        u16::from_le_bytes([self.bytes[at], self.bytes[at + 1]])
    }

    fn set_u32(&mut self, at: usize, value: u32) {
        self.bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }
}
