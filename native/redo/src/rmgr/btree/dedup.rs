//! Runs of tuples with one key become posting list tuples.

use offshoot_layout::Page;
use offshoot_layout::item::max_offset_number;
use offshoot_layout::tid::SIZE_OF_TID;

use super::opaque::{self, BTP_HAS_GARBAGE, Opaque, P_HIKEY};
use super::record::parse_dedup;
use super::{NO_SUCH_BLOCK, check_end, tuple, tuple_space};
use crate::opcode::{BlockChange, Stamp};
use crate::page_items::{item, item_mut};
use crate::payload::{Malformed, Payload};

/// The page is built anew from its items. The intervals, in order, are data of block 0:
///
/// | field | offset | width |
/// |---|---|---|
/// | baseoff | 0 | 2: offset number of the first tuple |
/// | nitems | 2 | 2: tuples that become one |
pub(crate) fn dedup(change: &BlockChange<'_>, page: &mut Page) -> Result<Stamp, Malformed> {
    if change.block.id != 0 {
        return Err(NO_SUCH_BLOCK);
    }
    let before = *page;
    let mut opaque = Opaque::read(&before)?;
    opaque.flags &= !BTP_HAS_GARBAGE;
    opaque::init(page, &opaque);
    let mut next = P_HIKEY;
    let mut data = Payload::new(change.record.block_data(change.block));
    for _ in 0..parse_dedup(change.record.main_data())? {
        let (baseoff, nitems) = (data.u16()?, data.u16()?);
        if nitems < 2 || baseoff < next.max(opaque.first_data_key()) {
            return Err(Malformed("an interval is out of order or too short"));
        }
        let end = baseoff.checked_add(nitems);
        let end = end.ok_or(Malformed("an interval ends past the page"))?;
        copy(&before, next, baseoff, page)?;
        merge(&before, baseoff, end, page)?;
        next = end;
    }
    check_end(data)?;
    let end = max_offset_number(&before).saturating_add(1);
    copy(&before, next, end, page)?;
    Ok(Stamp::EndLsn)
}

fn copy(before: &Page, from: u16, to: u16, page: &mut Page) -> Result<(), Malformed> {
    for offset in from..to {
        tuple_space::append(page, item(before, offset)?)?;
    }
    Ok(())
}

/// The tuples from `from` up to but excluding `to` become one.
fn merge(before: &Page, from: u16, to: u16, page: &mut Page) -> Result<(), Malformed> {
    let head = tuple::header_and_key(item(before, from)?)?;
    let mut rows = 0;
    for offset in from..to {
        rows += tuple::rows(item(before, offset)?)?.len() / SIZE_OF_TID;
    }
    let at = tuple_space::begin_append(page, tuple::size_of(head.len(), rows))?;
    let merged = item_mut(page, at)?;
    let mut end = 0;
    put(merged, &mut end, head)?;
    for offset in from..to {
        put(merged, &mut end, tuple::rows(item(before, offset)?)?)?;
    }
    tuple::set_header(merged, head.len(), rows)
}

fn put(tuple: &mut [u8], end: &mut usize, bytes: &[u8]) -> Result<(), Malformed> {
    let place = tuple.get_mut(*end..*end + bytes.len());
    place
        .ok_or(Malformed("a tuple is too short for its rows"))?
        .copy_from_slice(bytes);
    *end += bytes.len();
    Ok(())
}
