//! Deletion of an empty page, in two steps: the leaf page becomes half-dead, which takes it out of
//! its parent; then it, and before it those of its parents that have no other child, are taken out
//! of the chains of siblings.

use offshoot_layout::Page;
use offshoot_layout::page::{SIZE_OF_PAGE_HEADER, set_pd_lower};

use super::opaque::{
    self, BTP_DELETED, BTP_HALF_DEAD, BTP_HAS_FULLXID, BTP_LEAF, Opaque, leaf_flag,
};
use super::record::{HalfDeadLeaf, MarkPageHalfdead, UnlinkPage};
use super::{NO_SUCH_BLOCK, meta, tuple, tuple_space};
use crate::opcode::{BlockChange, Stamp};
use crate::page_items::{delete_item, item, item_mut};
use crate::payload::Malformed;

const TOO_SHORT: Malformed = Malformed("a downlink is shorter than a tuple's header");

/// | block | page |
/// |---|---|
/// | 0 | the leaf page, built anew |
/// | 1 | the parent of the topmost page that will go |
pub(crate) fn mark_page_halfdead(
    change: &BlockChange<'_>,
    page: &mut Page,
) -> Result<Stamp, Malformed> {
    let mark = MarkPageHalfdead::parse(change.record.main_data())?;
    match change.block.id {
        0 => half_dead_leaf(&mark.leaf, page),
        1 => remove_downlink(mark.poffset, page),
        _ => Err(NO_SUCH_BLOCK),
    }
}

/// The right sibling takes over the key range: the downlink to the deleted page becomes one to the
/// right sibling, whose own downlink goes.
fn remove_downlink(poffset: u16, page: &mut Page) -> Result<Stamp, Malformed> {
    opaque::check(page)?;
    let next = poffset.saturating_add(1);
    let child = item(page, next)?.first_chunk::<{ tuple::SIZE_OF_BLOCK }>();
    let child = *child.ok_or(TOO_SHORT)?;
    *item_mut(page, poffset)?
        .first_chunk_mut()
        .ok_or(TOO_SHORT)? = child;
    delete_item(page, next)?;
    Ok(Stamp::EndLsn)
}

/// Its one item is a high key without a key, whose downlink leads to the topmost parent to delete.
fn half_dead_leaf(leaf: &HalfDeadLeaf, page: &mut Page) -> Result<Stamp, Malformed> {
    let opaque = Opaque {
        prev: leaf.leftsib,
        next: leaf.rightsib,
        flags: BTP_HALF_DEAD | BTP_LEAF,
        ..Opaque::default()
    };
    opaque::init(page, &opaque);
    tuple_space::append(page, &tuple::pivot_without_key(leaf.topparent))?;
    Ok(Stamp::EndLsn)
}

/// | block | page |
/// |---|---|
/// | 0 | the deleted page, built anew |
/// | 1 | its left sibling, if any |
/// | 2 | its right sibling |
/// | 3 | the half-dead leaf page below, built anew, if the deleted page is an inner one |
pub(crate) fn unlink_page(change: &BlockChange<'_>, page: &mut Page) -> Result<Stamp, Malformed> {
    let unlink = UnlinkPage::parse(change.record.main_data())?;
    match change.block.id {
        0 => Ok(deleted_page(&unlink, page)),
        1 => opaque::change(page, |opaque| opaque.next = unlink.rightsib),
        2 => opaque::change(page, |opaque| opaque.prev = unlink.leftsib),
        3 => half_dead_leaf(&unlink.leaf, page),
        _ => Err(NO_SUCH_BLOCK),
    }
}

/// As [`unlink_page`]; the right sibling is the new fast root, as the metapage (block 4) says.
pub(crate) fn unlink_page_meta(
    change: &BlockChange<'_>,
    page: &mut Page,
) -> Result<Stamp, Malformed> {
    match change.block.id {
        4 => meta::restore(change, page),
        _ => unlink_page(change, page),
    }
}

/// Behind its header is the transaction id alone (BTDeletedPageData).
fn deleted_page(unlink: &UnlinkPage, page: &mut Page) -> Stamp {
    let opaque = Opaque {
        prev: unlink.leftsib,
        next: unlink.rightsib,
        level: unlink.level,
        flags: BTP_DELETED | BTP_HAS_FULLXID | leaf_flag(unlink.level),
        cycleid: 0,
    };
    opaque::init(page, &opaque);
    let end = SIZE_OF_PAGE_HEADER + size_of::<u64>();
    page[SIZE_OF_PAGE_HEADER..end].copy_from_slice(&unlink.safexid.to_le_bytes());
    set_pd_lower(page, end as u16);
    Stamp::EndLsn
}
