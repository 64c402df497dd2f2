//! A page becomes several.

use offshoot_layout::Page;

use super::apply::{NO_SUCH_BLOCK, append_items, clear_follow_right};
use super::page::{self, F_FOLLOW_RIGHT, F_LEAF, GIST_ROOT_BLKNO, INVALID_BLOCK};
use super::record::{PageSplit, parse_split_page};
use crate::effect::PageBase;
use crate::opcode::{BlockChange, Stamp};
use crate::payload::Malformed;

/// Blocks 1 to `npage` are the pages; block 0 is the left half of a child split whose right half
/// gets its downlink by this.
pub(crate) fn page_split(change: &BlockChange<'_>, page: &mut Page) -> Result<Stamp, Malformed> {
    if change.block.id == 0 {
        page::check(page)?;
        return Ok(clear_follow_right(change, page));
    }
    let split = PageSplit::parse(change.record.main_data())?;
    if u16::from(change.block.id) > split.npage {
        return Err(NO_SUCH_BLOCK);
    }
    if change.base != PageBase::Init {
        return Err(Malformed("a page of the split is not built anew"));
    }
    build_page(change, &split, page)?;
    Ok(Stamp::EndLsn)
}

fn build_page(
    change: &BlockChange<'_>,
    split: &PageSplit,
    page: &mut Page,
) -> Result<(), Malformed> {
    let is_root = change.block.key.block == GIST_ROOT_BLKNO;
    if is_root && change.block.id != 1 {
        return Err(Malformed("the root is not the first page of its split"));
    }
    // The root is above the pages it was split into.
    let leaf = if split.origleaf && !is_root {
        F_LEAF
    } else {
        0
    };
    let links = if is_root {
        (INVALID_BLOCK, 0)
    } else {
        links(change, split)?
    };
    let (rightlink, follow_right) = links;
    page::init(page, leaf | follow_right);
    page::set_rightlink(page, rightlink);
    page::set_nsn(page, split.orignsn);
    append_items(
        page,
        parse_split_page(change.record.block_data(change.block))?,
    )
}

/// The right link, and F_FOLLOW_RIGHT if the page there has no downlink yet.
fn links(change: &BlockChange<'_>, split: &PageSplit) -> Result<(u32, u16), Malformed> {
    let number_of = |id| change.record.block(id).map(|block| block.key.block);
    let (id, missing) = (change.block.id, Malformed("a page of the split is missing"));
    if u16::from(id) == split.npage {
        return Ok((split.origrlink, 0));
    }
    let next = number_of(id + 1).ok_or(missing)?;
    // A root split makes the downlinks of all its pages at once.
    let of_root = number_of(1).ok_or(missing)? == GIST_ROOT_BLKNO;
    let marks = split.markfollowright && !of_root;
    Ok((next, if marks { F_FOLLOW_RIGHT } else { 0 }))
}
