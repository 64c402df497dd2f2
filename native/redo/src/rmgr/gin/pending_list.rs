//! The pending list, which insertions go to first (fastupdate), and the metapage that leads to it.

use offshoot_layout::Page;
use offshoot_layout::item::max_offset_number;
use offshoot_layout::page::{SIZE_OF_PAGE_HEADER, set_pd_lower};

use super::page::{
    DELETED, INVALID_BLOCK, LIST, LIST_FULLROW, META, check_kind, init, maxoff, set_maxoff,
    set_rightlink,
};
use super::record::{
    DeleteListPages, InsertListPage, SIZE_OF_META, TailChange, UpdateMetaPage, end, index_tuple,
};
use crate::opcode::{BlockChange, Stamp};
use crate::page_items::{Place, add_item};
use crate::payload::{Malformed, Payload};

const META_END: usize = SIZE_OF_PAGE_HEADER + SIZE_OF_META;

/// Block 0 is the metapage, block 1 the list's last page if it gets tuples or a successor.
pub(crate) fn update_meta_page(
    change: &BlockChange<'_>,
    page: &mut Page,
) -> Result<Stamp, Malformed> {
    let update = UpdateMetaPage::parse(change.record.main_data())?;
    match (change.block.id, update.tail) {
        (0, _) => write_meta(page, update.metadata)?,
        (1, TailChange::Tuples(count)) => {
            check_kind(page, LIST, LIST)?;
            add_tuples(page, change.record.block_data(change.block), count)?;
            // All tuples of the record are of one heap tuple.
            let heap_tuples = maxoff(page).wrapping_add(1);
            set_maxoff(page, heap_tuples);
        }
        (1, TailChange::Rightlink(block)) => {
            check_kind(page, LIST, LIST)?;
            set_rightlink(page, block);
        }
        _ => return Err(Malformed("a block that UPDATE_META_PAGE does not have")),
    }
    Ok(Stamp::EndLsn)
}

/// Block 0: a new page of the list.
pub(crate) fn insert_listpage(
    change: &BlockChange<'_>,
    page: &mut Page,
) -> Result<Stamp, Malformed> {
    let insert = InsertListPage::parse(change.record.main_data())?;
    let tail = insert.rightlink == INVALID_BLOCK;
    init(page, if tail { LIST | LIST_FULLROW } else { LIST });
    set_rightlink(page, insert.rightlink);
    // A heap tuple too big for a page takes several, and is counted on the last.
    set_maxoff(page, u16::from(tail));
    let data = change.record.block_data(change.block);
    add_tuples(page, data, insert.ntuples)?;
    Ok(Stamp::EndLsn)
}

/// Block 0 is the metapage; the others were the list's first and are free.
pub(crate) fn delete_listpage(
    change: &BlockChange<'_>,
    page: &mut Page,
) -> Result<Stamp, Malformed> {
    let delete = DeleteListPages::parse(change.record.main_data())?;
    match usize::from(change.block.id) {
        0 => write_meta(page, delete.metadata)?,
        id if id <= delete.ndeleted => init(page, DELETED),
        _ => return Err(Malformed("a block that DELETE_LISTPAGE does not have")),
    }
    Ok(Stamp::EndLsn)
}

fn write_meta(page: &mut Page, metadata: &[u8]) -> Result<(), Malformed> {
    init(page, META);
    page.get_mut(SIZE_OF_PAGE_HEADER..SIZE_OF_PAGE_HEADER + metadata.len())
        .ok_or(Malformed("metadata of another size"))?
        .copy_from_slice(metadata);
    set_pd_lower(page, META_END as u16);
    Ok(())
}

fn add_tuples(page: &mut Page, data: &[u8], count: usize) -> Result<(), Malformed> {
    let mut payload = Payload::new(data);
    for _ in 0..count {
        let next = max_offset_number(page) + 1;
        add_item(page, index_tuple(&mut payload)?, Place::Insert(next))?;
    }
    end(payload)
}
