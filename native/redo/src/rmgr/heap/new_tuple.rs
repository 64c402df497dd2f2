//! Tuples that records bring: the header is made of what is logged of it, and of the record.

use offshoot_layout::page::{init, pd_flags, set_pd_flags};
use offshoot_layout::{Page, Tid};

use super::record::HeapHeader;
use super::tuple::{HEAP_COMBOCID, SIZE_OF_HEAP_TUPLE_HEADER, TupleHeader};
use crate::effect::PageBase;
use crate::opcode::BlockChange;
use crate::page_items::{Place, begin_item, item_range};
use crate::payload::Malformed;

const XLOG_HEAP_INIT_PAGE: u8 = 0x80;
/// More tuples than this do not fit a page, however short.
const MAX_HEAP_TUPLES_PER_PAGE: u16 = 291;

/// Empties the page if the record is a `+INIT` one; says whether it is.
pub(crate) fn begin_page(change: &BlockChange<'_>, page: &mut Page) -> Result<bool, Malformed> {
    let anew = change.record.opcode() & XLOG_HEAP_INIT_PAGE != 0;
    if anew != (change.base == PageBase::Init) {
        return Err(Malformed("opcode and block disagree on INIT"));
    }
    if anew {
        init(page, 0);
    }
    Ok(anew)
}

/// Sets or clears flags of the page.
pub(crate) fn change_flags(page: &mut Page, set: u16, cleared: u16) {
    set_pd_flags(page, (pd_flags(page) | set) & !cleared);
}

/// A tuple to be added at `tid`, which is also its ctid.
pub(crate) struct NewTuple {
    pub tid: Tid,
    pub xmin: u32,
    pub xmax: u32,
    pub header: HeapHeader,
}

impl NewTuple {
    /// Adds it with these bytes from its null bitmap on.
    pub(crate) fn add(&self, page: &mut Page, rest: &[u8]) -> Result<(), Malformed> {
        let at = self.begin(page, rest.len())?;
        write(page, at, rest).map(|_| ())
    }

    /// Makes room for it and writes its header; gives where its null bitmap goes, of which
    /// together with all behind there are `rest_length` bytes.
    pub(super) fn begin(&self, page: &mut Page, rest_length: usize) -> Result<usize, Malformed> {
        let offnum = self.tid.offset;
        if offnum > MAX_HEAP_TUPLES_PER_PAGE {
            return Err(Malformed("more tuples than fit a page"));
        }
        let length = SIZE_OF_HEAP_TUPLE_HEADER + rest_length;
        begin_item(page, length, Place::Overwrite(offnum))?;
        let mut header = TupleHeader::of(page, offnum)?;
        header.set_xmin(self.xmin);
        header.set_xmax(self.xmax);
        header.set_ctid(self.tid);
        header.set_infomask2(self.header.infomask2);
        header.set_infomask(self.header.infomask & !HEAP_COMBOCID);
        header.set_hoff(self.header.hoff);
        // The command that inserted is not in the WAL.
        header.set_field3(0);
        Ok(item_range(page, offnum)?.start + SIZE_OF_HEAP_TUPLE_HEADER)
    }
}

/// Writes bytes at `at`; gives where they end.
pub(super) fn write(page: &mut Page, at: usize, bytes: &[u8]) -> Result<usize, Malformed> {
    let end = at + bytes.len();
    let place = page.get_mut(at..end);
    place
        .ok_or(Malformed("a tuple reaches out of the page"))?
        .copy_from_slice(bytes);
    Ok(end)
}
