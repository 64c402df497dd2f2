//! Btree (11): pages of B-tree indexes. See README.md.

mod dedup;
mod delete;
mod insert;
mod meta;
mod opaque;
mod record;
mod root;
mod split;
#[cfg(test)]
mod tests;
mod tuple;
mod tuple_space;
mod unlink;

use offshoot_layout::Page;

pub(crate) use dedup::dedup;
pub(crate) use delete::{delete, vacuum};
pub(crate) use insert::{insert_leaf, insert_meta, insert_post, insert_upper};
pub(crate) use meta::meta_cleanup;
pub(crate) use root::newroot;
pub(crate) use split::{split_l, split_r};
pub(crate) use unlink::{mark_page_halfdead, unlink_page, unlink_page_meta};

use crate::opcode::{BlockChange, Stamp};
use crate::payload::{Malformed, Payload};

const NO_SUCH_BLOCK: Malformed = Malformed("a block reference that the record type does not have");

/// The downlink to the right half of a split is there: its left half is whole again.
fn clear_incomplete_split(page: &mut Page) -> Result<Stamp, Malformed> {
    opaque::change(page, |opaque| {
        opaque.flags &= !opaque::BTP_INCOMPLETE_SPLIT;
    })
}

/// Block number of another reference of the record.
fn block_number(change: &BlockChange<'_>, id: u8) -> Result<u32, Malformed> {
    let block = change.record.block(id);
    block
        .map(|block| block.key.block)
        .ok_or(Malformed("a block reference is missing"))
}

/// All of a block's data was read.
fn check_end(mut data: Payload<'_>) -> Result<(), Malformed> {
    match data.take(1) {
        Ok(_) => Err(Malformed("a block's data is longer than its items")),
        Err(_) => Ok(()),
    }
}
