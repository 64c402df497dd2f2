//! A new root.

use offshoot_layout::Page;

use super::opaque::{self, BTP_ROOT, Opaque, leaf_flag};
use super::record::parse_newroot;
use super::{NO_SUCH_BLOCK, clear_incomplete_split, meta, tuple_space};
use crate::opcode::{BlockChange, Stamp};
use crate::payload::Malformed;

/// The first root, an empty leaf page, or the one above a root that was split.
///
/// | block | page | data |
/// |---|---|---|
/// | 0 | the root | its tuple space; none on level 0 |
/// | 1 | the left half of the old root; none on level 0 | |
/// | 2 | the metapage | see meta.rs |
pub(crate) fn newroot(change: &BlockChange<'_>, page: &mut Page) -> Result<Stamp, Malformed> {
    match change.block.id {
        0 => root(change, page),
        1 => clear_incomplete_split(page),
        2 => meta::restore(change, page),
        _ => Err(NO_SUCH_BLOCK),
    }
}

fn root(change: &BlockChange<'_>, page: &mut Page) -> Result<Stamp, Malformed> {
    let level = parse_newroot(change.record.main_data())?;
    let opaque = Opaque {
        level,
        flags: BTP_ROOT | leaf_flag(level),
        ..Opaque::default()
    };
    opaque::init(page, &opaque);
    if level > 0 {
        tuple_space::restore(page, change.record.block_data(change.block))?;
    }
    Ok(Stamp::EndLsn)
}
