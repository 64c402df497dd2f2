//! FREEZE_PAGE and LOCK_UPDATED: headers of tuples.

use offshoot_layout::Page;

use super::record::Freeze;
use crate::opcode::{BlockChange, Stamp};
use crate::payload::Malformed;
use crate::rmgr::heap::{Lock, TupleHeader, only_block_0};

/// xmin stays: two bits of infomask say that it is frozen.
pub(crate) fn freeze_page(change: &BlockChange<'_>, page: &mut Page) -> Result<Stamp, Malformed> {
    only_block_0(change)?;
    let data = change.record.block_data(change.block);
    for freeze in Freeze::parse_page(change.record.main_data(), data)? {
        let mut tuple = TupleHeader::of(page, freeze.offnum)?;
        tuple.set_xmax(freeze.xmax);
        if let Some(xvac) = freeze.xvac() {
            tuple.set_field3(xvac);
        }
        tuple.set_infomask(freeze.infomask);
        tuple.set_infomask2(freeze.infomask2);
    }
    Ok(Stamp::EndLsn)
}

/// The lock of a later version of a locked row. Unlike LOCK it leaves the chain as it is.
pub(crate) fn lock_updated(change: &BlockChange<'_>, page: &mut Page) -> Result<Stamp, Malformed> {
    only_block_0(change)?;
    let lock = Lock::parse(change.record.main_data())?;
    let mut tuple = TupleHeader::of(page, lock.offnum)?;
    tuple.set_infobits(lock.infobits);
    tuple.set_xmax(lock.xmax);
    Ok(Stamp::EndLsn)
}
