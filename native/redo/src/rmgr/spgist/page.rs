//! SP-GiST pages: their special space, and what is done to tuples of all kinds.
//!
//! | special space | bytes |
//! |---|---|
//! | flags: 1 meta, 2 deleted, 4 leaf, 8 nulls | 0–1 |
//! | nRedirection | 2–3 |
//! | nPlaceholder | 4–5 |
//! | spgist_page_id | 6–7 |

use offshoot_layout::item::max_offset_number;
use offshoot_layout::page::{self, pd_special};
use offshoot_layout::tid::Tid;
use offshoot_layout::{BLCKSZ, Page};

use super::offsets::Offsets;
use super::record::Downlink;
use super::tuple::{self, DeadTuple, SPGIST_PLACEHOLDER};
use crate::effect::PageBase;
use crate::opcode::BlockChange;
use crate::page_items::{Place, add_item, delete_item, delete_items, item, item_mut};
use crate::payload::Malformed;

/// Page flag: leaf tuples live here.
pub(super) const SPGIST_LEAF: u16 = 4;
/// Page flag: of the tree of nulls.
pub(super) const SPGIST_NULLS: u16 = 8;

const SIZE_OF_OPAQUE: u16 = 8;
const SPECIAL: usize = BLCKSZ - SIZE_OF_OPAQUE as usize;
const SPGIST_PAGE_ID: u16 = 0xFF82;

/// As many as fit: MaxIndexTuplesPerPage.
pub(super) const MAX_ITEMS: usize = 408;

pub(super) const TOO_MANY: Malformed = Malformed("more tuples than a page has");

/// A counter in the special space.
#[derive(Clone, Copy)]
pub(super) enum Counter {
    Redirection = 2,
    Placeholder = 4,
}

/// Adds to a counter. It only steers when to clean up, so it may be wrong and wraps, as it does
/// in Postgres.
pub(super) fn count(page: &mut Page, counter: Counter, by: i16) {
    let at = SPECIAL + counter as usize;
    let before = u16::from_le_bytes([page[at], page[at + 1]]);
    let after = before.wrapping_add_signed(by);
    page[at..at + 2].copy_from_slice(&after.to_le_bytes());
}

/// Flags of a leaf page.
pub(super) fn leaf_flags(stores_nulls: bool) -> u16 {
    SPGIST_LEAF | nulls_flag(stores_nulls)
}

/// Flags of an inner page.
pub(super) fn nulls_flag(stores_nulls: bool) -> u16 {
    if stores_nulls { SPGIST_NULLS } else { 0 }
}

/// Gets the page ready: an empty one with these flags if the record says that it is new,
/// else what is there must be an SP-GiST page.
pub(super) fn prepare(
    change: &BlockChange<'_>,
    page: &mut Page,
    new_page: bool,
    flags: u16,
) -> Result<(), Malformed> {
    if new_page != (change.base == PageBase::Init) {
        return Err(Malformed(
            "record and block disagree whether the page is new",
        ));
    }
    if !new_page {
        return check(page);
    }
    page::init(page, SIZE_OF_OPAQUE);
    page[SPECIAL..SPECIAL + 2].copy_from_slice(&flags.to_le_bytes());
    page[SPECIAL + 6..].copy_from_slice(&SPGIST_PAGE_ID.to_le_bytes());
    Ok(())
}

fn check(page: &Page) -> Result<(), Malformed> {
    let id = page[SPECIAL + 6..] == SPGIST_PAGE_ID.to_le_bytes();
    if !id || usize::from(pd_special(page)) != SPECIAL {
        return Err(Malformed("the page is none of an SP-GiST index"));
    }
    Ok(())
}

/// [`prepare`] for blocks that are never new.
pub(super) fn prepare_old(change: &BlockChange<'_>, page: &mut Page) -> Result<(), Malformed> {
    prepare(change, page, false, 0)
}

/// Adds a tuple at an offset number that is the next one or a placeholder's (addOrReplaceTuple).
pub(super) fn add_or_replace(page: &mut Page, tuple: &[u8], at: u16) -> Result<(), Malformed> {
    if at <= max_offset_number(page) {
        if tuple::tupstate(item(page, at)?)? != SPGIST_PLACEHOLDER {
            return Err(Malformed("tuple to be replaced is no placeholder"));
        }
        count(page, Counter::Placeholder, -1);
        delete_item(page, at)?;
    }
    add_item(page, tuple, Place::Insert(at)).map(|_| ())
}

/// Replaces whatever tuple is at an offset number.
pub(super) fn replace(page: &mut Page, tuple: &[u8], at: u16) -> Result<(), Malformed> {
    delete_item(page, at)?;
    add_item(page, tuple, Place::Insert(at)).map(|_| ())
}

/// Counts a dead tuple that came to the page.
pub(super) fn count_dead(page: &mut Page, dead: DeadTuple) {
    match dead {
        DeadTuple::Redirect { .. } => count(page, Counter::Redirection, 1),
        DeadTuple::Placeholder => count(page, Counter::Placeholder, 1),
        DeadTuple::Dead => {}
    }
}

/// The offset numbers, in the first of the slots.
pub(super) fn collect<'s>(
    offsets: Offsets<'_>,
    slots: &'s mut [u16; MAX_ITEMS],
) -> Result<&'s mut [u16], Malformed> {
    let slots = slots.get_mut(..offsets.len()).ok_or(TOO_MANY)?;
    for (slot, offset) in slots.iter_mut().zip(offsets.iter()) {
        *slot = offset;
    }
    Ok(slots)
}

/// Replaces tuples by dead ones: the one that is named first, which need not have the lowest
/// offset number, by `first`, all others by `rest` (spgPageIndexMultiDelete).
pub(super) fn replace_by_dead(
    page: &mut Page,
    offsets: Offsets<'_>,
    first: DeadTuple,
    rest: DeadTuple,
) -> Result<(), Malformed> {
    let Some(named_first) = offsets.first() else {
        return Ok(());
    };
    let mut slots = [0; MAX_ITEMS];
    let sorted = collect(offsets, &mut slots)?;
    sorted.sort_unstable();
    delete_items(page, sorted)?;
    for at in sorted {
        let dead = if *at == named_first { first } else { rest };
        add_item(page, &dead.to_bytes(), Place::Insert(*at))?;
        count_dead(page, dead);
    }
    Ok(())
}

/// Points a node of an inner tuple on this page at a child.
pub(super) fn link(page: &mut Page, downlink: Downlink, child: Tid) -> Result<(), Malformed> {
    let parent = item_mut(page, downlink.parent)?;
    tuple::update_node_link(parent, downlink.node, child)
}
