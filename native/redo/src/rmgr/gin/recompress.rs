//! Changes of a posting tree's leaf, by segments (ginRedoRecompress). Block data:
//!
//! | field | offset | width |
//! |---|---|---|
//! | nactions | 0 | 2 |
//!
//! and for each action, by ascending segment:
//!
//! | field | offset | width |
//! |---|---|---|
//! | segno | 0 | 1, counted from 0 on the page before the record |
//! | action | 1 | 1 |
//! | segment | 2 | INSERT (before `segno`) and REPLACE: it with its filling to an even length |
//! | nitems | 2 | ADDITEMS: 2 |
//! | items | 4 | ADDITEMS: six each, ascending |

use offshoot_layout::page::pd_lower;
use offshoot_layout::tid::SIZE_OF_TID;
use offshoot_layout::{BLCKSZ, Page};

use super::page::{
    COMPRESSED, DATA, DATA_START, LEAF, SPECIAL, check_kind, flags, maxoff, set_data_size,
    set_flags, set_maxoff,
};
use super::posting_list::{SegmentItems, TidItems, take_segment, write_merged, write_segment};
use super::record::end;
use crate::payload::{Malformed, Payload};

const DELETE: u8 = 1;
const INSERT: u8 = 2;
const REPLACE: u8 = 3;
const ADDITEMS: u8 = 4;

const NO_ROOM: Malformed = Malformed("the page has no room for its posting list");
const BAD_LEAF: Malformed = Malformed("the posting list reaches out of the page");

/// Applies the actions to a leaf.
pub(super) fn recompress(page: &mut Page, actions: &[u8]) -> Result<(), Malformed> {
    check_kind(page, DATA | LEAF, DATA | LEAF)?;
    if flags(page) & COMPRESSED == 0 {
        compress(page)?;
    }
    let before = *page;
    let lower = usize::from(pd_lower(&before)).min(BLCKSZ);
    let old = before.get(DATA_START..lower).ok_or(BAD_LEAF)?;
    let mut leaf = Leaf {
        old,
        taken: 0,
        segno: 0,
        new: page.get_mut(DATA_START..SPECIAL).ok_or(BAD_LEAF)?,
        size: 0,
    };
    let mut actions = Payload::new(actions);
    for _ in 0..actions.u16()? {
        leaf.act(&mut actions)?;
    }
    end(actions)?;
    let size = leaf.finish()?;
    set_data_size(page, size);
    Ok(())
}

/// A leaf of before 9.4 is a plain list of `maxoff` items; it becomes one segment.
fn compress(page: &mut Page) -> Result<(), Malformed> {
    let before = *page;
    let items_end = DATA_START + SIZE_OF_TID * usize::from(maxoff(page));
    let size = match before.get(DATA_START..items_end).ok_or(BAD_LEAF)? {
        [] => 0,
        tids => {
            let room = page.get_mut(DATA_START..SPECIAL).ok_or(BAD_LEAF)?;
            write_segment(TidItems::new(tids), room)?
        }
    };
    set_data_size(page, size);
    let compressed = flags(page) | COMPRESSED;
    set_flags(page, compressed);
    set_maxoff(page, 0);
    Ok(())
}

/// A leaf's segments: those before the record, and those written so far.
struct Leaf<'a> {
    old: &'a [u8],
    /// Bytes of `old` that are dealt with; the next segment begins there.
    taken: usize,
    /// Number of the next segment.
    segno: u8,
    new: &'a mut [u8],
    size: usize,
}

impl<'a> Leaf<'a> {
    fn act(&mut self, actions: &mut Payload<'_>) -> Result<(), Malformed> {
        let (segno, action) = (actions.u8()?, actions.u8()?);
        self.keep_until(segno)?;
        match action {
            DELETE => self.take_old().map(|_| ()),
            INSERT => self.write(take_segment(actions)?),
            REPLACE => {
                self.take_old()?;
                self.write(take_segment(actions)?)
            }
            ADDITEMS => {
                let nitems = usize::from(actions.u16()?);
                self.add_items(actions.take(SIZE_OF_TID * nitems)?)
            }
            _ => Err(Malformed("unknown action on a posting list segment")),
        }
    }

    /// Segments that no action is about stay as they are.
    fn keep_until(&mut self, segno: u8) -> Result<(), Malformed> {
        if segno < self.segno {
            return Err(Malformed("segment numbers descend"));
        }
        let from = self.taken;
        while self.segno < segno {
            self.take_old()?;
        }
        self.write(self.old.get(from..self.taken).ok_or(BAD_LEAF)?)
    }

    fn take_old(&mut self) -> Result<&'a [u8], Malformed> {
        let rest = self.old.get(self.taken..).ok_or(BAD_LEAF)?;
        let segment = take_segment(&mut Payload::new(rest))?;
        self.taken += segment.len();
        // An action's number has eight bits, so that the 256th segment cannot be followed by one.
        self.segno = self.segno.saturating_add(1);
        Ok(segment)
    }

    fn add_items(&mut self, tids: &[u8]) -> Result<(), Malformed> {
        let old = SegmentItems::new(self.take_old()?)?;
        let room = self.new.get_mut(self.size..).ok_or(NO_ROOM)?;
        self.size += write_merged(TidItems::new(tids), old, room)?;
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        self.new
            .get_mut(self.size..self.size + bytes.len())
            .ok_or(NO_ROOM)?
            .copy_from_slice(bytes);
        self.size += bytes.len();
        Ok(())
    }

    /// Keeps what is left and gives the size of all.
    fn finish(mut self) -> Result<usize, Malformed> {
        self.write(self.old.get(self.taken..).ok_or(BAD_LEAF)?)?;
        Ok(self.size)
    }
}
