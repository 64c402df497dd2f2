//! PICKSPLIT: leaf tuples are divided among the nodes of a new inner tuple.

use offshoot_layout::Page;

use super::leaf::NO_ROLE;
use super::page::{self, add_or_replace, leaf_flags, nulls_flag, prepare, prepare_old};
use super::record::{PickSplit, at_end};
use super::tuple::{self, DeadTuple};
use crate::opcode::{BlockChange, Stamp};
use crate::payload::Malformed;

/// Block 0 is the page the leaf tuples were on, block 1 another one for leaf tuples, block 2 that
/// of the new inner tuple, block 3 the parent's. When the root is split there is no block 0: it
/// becomes block 2. Block 2 can hold the parent besides.
pub(crate) fn pick_split(change: &BlockChange<'_>, page: &mut Page) -> Result<Stamp, Malformed> {
    let split = PickSplit::parse(change.record.main_data())?;
    match change.block.id {
        0 if !split.is_root_split => source(change, &split, page)?,
        1 => {
            prepare(
                change,
                page,
                split.init_dest,
                leaf_flags(split.stores_nulls),
            )?;
            add_leafs(&split, page, true)?;
        }
        2 => inner(change, &split, page)?,
        3 => {
            prepare_old(change, page)?;
            page::link(page, split.downlink, split.inner_tid(change.record)?)?;
        }
        _ => return Err(NO_ROLE),
    }
    Ok(Stamp::EndLsn)
}

fn source(
    change: &BlockChange<'_>,
    split: &PickSplit<'_>,
    page: &mut Page,
) -> Result<(), Malformed> {
    prepare(change, page, split.init_src, leaf_flags(split.stores_nulls))?;
    // On a page that is made anew there is nothing to delete, whatever the record lists.
    if !split.init_src {
        let first = split.state.moved_to(split.inner_tid(change.record)?);
        page::replace_by_dead(page, split.to_delete, first, DeadTuple::Placeholder)?;
    }
    add_leafs(split, page, false)
}

/// Adds those leaf tuples that go to this page.
fn add_leafs(split: &PickSplit<'_>, page: &mut Page, to_dest: bool) -> Result<(), Malformed> {
    let mut tuples = split.tuples.clone();
    for (at, select) in split.to_insert.iter().zip(split.leaf_page_select) {
        let leaf = tuple::take_leaf(&mut tuples)?;
        if (*select != 0) == to_dest {
            add_or_replace(page, leaf, at)?;
        }
    }
    at_end(&tuples)
}

fn inner(
    change: &BlockChange<'_>,
    split: &PickSplit<'_>,
    page: &mut Page,
) -> Result<(), Malformed> {
    prepare(
        change,
        page,
        split.init_inner,
        nulls_flag(split.stores_nulls),
    )?;
    add_or_replace(page, split.inner, split.offnum_inner)?;
    if split.inner_is_parent {
        page::link(page, split.downlink, split.inner_tid(change.record)?)?;
    }
    Ok(())
}
