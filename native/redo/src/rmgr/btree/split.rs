//! A page is split, and a new item goes to one of the halves.
//!
//! | block | page | data |
//! |---|---|---|
//! | 0 | the left half, where the page was | see [`LeftData`] |
//! | 1 | the right half, a new page | its tuple space |
//! | 2 | the right sibling, if any | |
//! | 3 | of an inner page: the child whose split the new downlink completes | |

use offshoot_layout::Page;
use offshoot_layout::tid::SIZE_OF_TID;

use super::opaque::{self, BTP_INCOMPLETE_SPLIT, Opaque, P_NONE, leaf_flag};
use super::record::Split;
use super::{NO_SUCH_BLOCK, block_number, clear_incomplete_split, tuple, tuple_space};
use crate::opcode::{BlockChange, Stamp};
use crate::page_items::{item, item_mut};
use crate::payload::Malformed;

/// The new item goes to the left half.
pub(crate) fn split_l(change: &BlockChange<'_>, page: &mut Page) -> Result<Stamp, Malformed> {
    split(change, page, true)
}

/// The new item goes to the right half.
pub(crate) fn split_r(change: &BlockChange<'_>, page: &mut Page) -> Result<Stamp, Malformed> {
    split(change, page, false)
}

fn split(change: &BlockChange<'_>, page: &mut Page, onleft: bool) -> Result<Stamp, Malformed> {
    let split = Split::parse(change.record.main_data())?;
    match change.block.id {
        0 => left_half(change, &split, onleft, page),
        1 => right_half(change, &split, page),
        2 => {
            let prev = block_number(change, 1)?;
            opaque::change(page, |opaque| opaque.prev = prev)
        }
        3 => clear_incomplete_split(page),
        _ => Err(NO_SUCH_BLOCK),
    }
}

fn right_half(
    change: &BlockChange<'_>,
    split: &Split,
    page: &mut Page,
) -> Result<Stamp, Malformed> {
    let sibling = change.record.block(2);
    let opaque = Opaque {
        prev: block_number(change, 0)?,
        next: sibling.map_or(P_NONE, |block| block.key.block),
        level: split.level,
        flags: leaf_flag(split.level),
        cycleid: 0,
    };
    opaque::init(page, &opaque);
    tuple_space::restore(page, change.record.block_data(change.block))?;
    Ok(Stamp::EndLsn)
}

/// The items that stay are those of the old page, which are not in the record.
fn left_half(
    change: &BlockChange<'_>,
    split: &Split,
    onleft: bool,
    page: &mut Page,
) -> Result<Stamp, Malformed> {
    let data = LeftData::parse(change.record.block_data(change.block), split, onleft)?;
    let before = *page;
    let old = Opaque::read(&before)?;
    let halved = Opaque {
        next: block_number(change, 1)?,
        flags: BTP_INCOMPLETE_SPLIT | leaf_flag(split.level),
        cycleid: 0,
        ..old
    };
    opaque::init(page, &halved);
    tuple_space::append(page, data.high_key)?;
    let mut new_item = data.new_item;
    for offset in old.first_data_key()..split.firstrightoff {
        if onleft && offset == split.newitemoff {
            new_item.append_to(page)?;
        }
        let at = tuple_space::append(page, item(&before, offset)?)?;
        if split.postingoff != 0 && offset.checked_add(1) == Some(split.newitemoff) {
            new_item.swap_into(item_mut(page, at)?, split.postingoff)?;
        }
    }
    if onleft && split.newitemoff == split.firstrightoff {
        new_item.append_to(page)?;
    }
    new_item.check_done()?;
    Ok(Stamp::EndLsn)
}

/// Data of block 0: the new item, then the left half's new high key. The new item is there if it
/// goes to the left half, or to the right one by way of a posting list in the left one. It is not
/// yet changed by the posting list.
struct LeftData<'a> {
    new_item: NewItem<'a>,
    high_key: &'a [u8],
}

impl LeftData<'_> {
    fn parse<'a>(data: &'a [u8], split: &Split, onleft: bool) -> Result<LeftData<'a>, Malformed> {
        let mut new_item = NewItem {
            is_to_be_added: onleft,
            is_to_be_swapped: split.postingoff != 0,
            ..NewItem::default()
        };
        let mut rest = data;
        if onleft || split.postingoff != 0 {
            (new_item.tuple, rest) = tuple::split_first(data)?;
            new_item.tid = tuple::t_tid(new_item.tuple)?;
        }
        match tuple::split_first(rest)? {
            (high_key, []) => Ok(LeftData { new_item, high_key }),
            _ => Err(Malformed("bytes behind the high key")),
        }
    }
}

/// What the new item means for the left half.
#[derive(Default)]
struct NewItem<'a> {
    tuple: &'a [u8],
    /// The row it gets: its own, or the last of the posting list.
    tid: [u8; SIZE_OF_TID],
    is_to_be_added: bool,
    is_to_be_swapped: bool,
}

impl NewItem<'_> {
    fn append_to(&mut self, page: &mut Page) -> Result<(), Malformed> {
        let at = tuple_space::append(page, self.tuple)?;
        self.is_to_be_added = false;
        tuple::set_t_tid(item_mut(page, at)?, self.tid)
    }

    fn swap_into(&mut self, posting: &mut [u8], postingoff: u16) -> Result<(), Malformed> {
        self.tid = tuple::swap_posting(posting, self.tid, postingoff)?;
        self.is_to_be_swapped = false;
        Ok(())
    }

    fn check_done(&self) -> Result<(), Malformed> {
        if self.is_to_be_added || self.is_to_be_swapped {
            return Err(Malformed("the new item's place is not in the left half"));
        }
        Ok(())
    }
}
