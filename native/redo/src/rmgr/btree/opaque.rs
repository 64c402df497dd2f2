//! The special space of a B-tree page (BTPageOpaqueData), the page's last 16 bytes.
//!
//! | field | offset | width |
//! |---|---|---|
//! | btpo_prev | 0 | 4 |
//! | btpo_next | 4 | 4 |
//! | btpo_level | 8 | 4 |
//! | btpo_flags | 12 | 2 |
//! | btpo_cycleid | 14 | 2 |

use offshoot_layout::page::{self, pd_special};
use offshoot_layout::{BLCKSZ, Page};

use crate::opcode::Stamp;
use crate::payload::{Malformed, Payload};

/// No sibling: block 0 is the metapage, which is nobody's.
pub(super) const P_NONE: u32 = 0;
/// Offset number of the high key, on pages that are not their level's last.
pub(super) const P_HIKEY: u16 = 1;

pub(super) const BTP_LEAF: u16 = 0x0001;
pub(super) const BTP_ROOT: u16 = 0x0002;
pub(super) const BTP_DELETED: u16 = 0x0004;
pub(super) const BTP_META: u16 = 0x0008;
pub(super) const BTP_HALF_DEAD: u16 = 0x0010;
/// There may be items marked dead (hint).
pub(super) const BTP_HAS_GARBAGE: u16 = 0x0040;
/// The right half of a split has no downlink yet.
pub(super) const BTP_INCOMPLETE_SPLIT: u16 = 0x0080;
/// A deleted page holds a 64-bit transaction id.
pub(super) const BTP_HAS_FULLXID: u16 = 0x0100;

const SIZE: usize = 16;
pub(super) const SPECIAL: usize = BLCKSZ - SIZE;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Opaque {
    pub prev: u32,
    pub next: u32,
    pub level: u32,
    pub flags: u16,
    /// Id of the VACUUM during which the page was split. Records do not tell it: redo writes 0.
    pub cycleid: u16,
}

impl Opaque {
    pub(super) fn read(page: &Page) -> Result<Opaque, Malformed> {
        check(page)?;
        let mut special = Payload::new(&page[SPECIAL..]);
        Ok(Opaque {
            prev: special.u32()?,
            next: special.u32()?,
            level: special.u32()?,
            flags: special.u16()?,
            cycleid: special.u16()?,
        })
    }

    fn write(&self, page: &mut Page) {
        page[SPECIAL..SPECIAL + 4].copy_from_slice(&self.prev.to_le_bytes());
        page[SPECIAL + 4..SPECIAL + 8].copy_from_slice(&self.next.to_le_bytes());
        page[SPECIAL + 8..SPECIAL + 12].copy_from_slice(&self.level.to_le_bytes());
        page[SPECIAL + 12..SPECIAL + 14].copy_from_slice(&self.flags.to_le_bytes());
        page[SPECIAL + 14..].copy_from_slice(&self.cycleid.to_le_bytes());
    }

    /// Offset number of the first item that is not the high key.
    pub(super) fn first_data_key(&self) -> u16 {
        if self.next == P_NONE {
            P_HIKEY
        } else {
            P_HIKEY + 1
        }
    }
}

/// `BTP_LEAF` on level 0.
pub(super) fn leaf_flag(level: u32) -> u16 {
    if level == 0 { BTP_LEAF } else { 0 }
}

/// Whether the page has a B-tree page's special space.
pub(super) fn check(page: &Page) -> Result<(), Malformed> {
    let is_ours = usize::from(pd_special(page)) == SPECIAL;
    is_ours
        .then_some(())
        .ok_or(Malformed("the special space is not a B-tree page's"))
}

/// Makes the page an empty one of the tree (_bt_pageinit).
pub(super) fn init(page: &mut Page, opaque: &Opaque) {
    page::init(page, SIZE as u16);
    opaque.write(page);
}

/// Changes the special space and nothing else.
pub(super) fn change(page: &mut Page, change: impl Fn(&mut Opaque)) -> Result<Stamp, Malformed> {
    let mut opaque = Opaque::read(page)?;
    change(&mut opaque);
    opaque.write(page);
    Ok(Stamp::EndLsn)
}
