//! VACUUM_LEAF, VACUUM_ROOT and VACUUM_REDIRECT: block 0, and no other.

use offshoot_layout::Page;
use offshoot_layout::item::max_offset_number;

use super::leaf::NO_ROLE;
use super::offsets::Offsets;
use super::page::{self, Counter, count, prepare_old, replace_by_dead};
use super::record::{VacuumLeaf, VacuumRedirect, VacuumRoot};
use super::tuple::{self, DeadTuple};
use crate::opcode::{BlockChange, Stamp};
use crate::page_items::{delete_items, existing_item_id, item_mut, put_item_id};
use crate::payload::Malformed;

fn only_block(change: &BlockChange<'_>, page: &mut Page) -> Result<(), Malformed> {
    match change.block.id {
        0 => prepare_old(change, page),
        _ => Err(NO_ROLE),
    }
}

/// Leaf tuples go from chains. The first of a chain keeps its offset number, as a node points at
/// it: another of the chain moves there, or it becomes a dead tuple if none is left.
pub(crate) fn vacuum_leaf(change: &BlockChange<'_>, page: &mut Page) -> Result<Stamp, Malformed> {
    let vacuum = VacuumLeaf::parse(change.record.main_data())?;
    only_block(change, page)?;
    let placeholder = DeadTuple::Placeholder;
    replace_by_dead(page, vacuum.to_dead, DeadTuple::Dead, DeadTuple::Dead)?;
    replace_by_dead(page, vacuum.to_placeholder, placeholder, placeholder)?;
    for (src, dest) in vacuum.move_src.iter().zip(vacuum.move_dest.iter()) {
        swap(page, src, dest)?;
    }
    replace_by_dead(page, vacuum.move_src, placeholder, placeholder)?;
    for (src, dest) in vacuum.chain_src.iter().zip(vacuum.chain_dest.iter()) {
        tuple::set_next_offset(item_mut(page, src)?, dest)?;
    }
    Ok(Stamp::EndLsn)
}

/// Line pointers change places, the tuples stay.
fn swap(page: &mut Page, one: u16, other: u16) -> Result<(), Malformed> {
    let (first, second) = (existing_item_id(page, one)?, existing_item_id(page, other)?);
    put_item_id(page, one, second)?;
    put_item_id(page, other, first)
}

/// Leaf tuples go from a root, where nothing points at them and none are linked.
pub(crate) fn vacuum_root(change: &BlockChange<'_>, page: &mut Page) -> Result<Stamp, Malformed> {
    let vacuum = VacuumRoot::parse(change.record.main_data())?;
    only_block(change, page)?;
    delete_in_order(page, vacuum.to_delete)?;
    Ok(Stamp::EndLsn)
}

fn delete_in_order(page: &mut Page, offsets: Offsets<'_>) -> Result<(), Malformed> {
    let mut slots = [0; page::MAX_ITEMS];
    let slots = page::collect(offsets, &mut slots)?;
    delete_items(page, slots)
}

/// Redirects that nobody follows any more become placeholders, and placeholders at the page's end
/// go.
pub(crate) fn vacuum_redirect(
    change: &BlockChange<'_>,
    page: &mut Page,
) -> Result<Stamp, Malformed> {
    let vacuum = VacuumRedirect::parse(change.record.main_data())?;
    only_block(change, page)?;
    for at in vacuum.to_placeholder.iter() {
        tuple::redirect_to_placeholder(item_mut(page, at)?)?;
        count(page, Counter::Redirection, -1);
        count(page, Counter::Placeholder, 1);
    }
    if vacuum.first_placeholder != 0 {
        delete_from(page, vacuum.first_placeholder)?;
    }
    Ok(Stamp::EndLsn)
}

/// Deletes all placeholders from an offset number on.
fn delete_from(page: &mut Page, first: u16) -> Result<(), Malformed> {
    let end = max_offset_number(page);
    let count_gone = (end + 1).saturating_sub(first);
    let mut gone = [0; page::MAX_ITEMS];
    let gone = gone
        .get_mut(..usize::from(count_gone))
        .ok_or(page::TOO_MANY)?;
    for (slot, at) in gone.iter_mut().zip(first..=end) {
        *slot = at;
    }
    delete_items(page, gone)?;
    count(page, Counter::Placeholder, -(count_gone as i16));
    Ok(())
}
