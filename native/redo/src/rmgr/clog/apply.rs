//! Status bits, and new pages.

use offshoot_layout::{Page, SlruKind};
use offshoot_wal::Record;

use crate::payload::{Malformed, Payload};
use crate::slru::{self, SlruChange};

const BITS_PER_XACT: u32 = 2;
const XACTS_PER_BYTE: u32 = 4;

/// How a transaction ended. 0 is "in progress"; 3, "subcommitted", is a state in between that
/// no record ends in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum TransactionStatus {
    Committed = 1,
    Aborted = 2,
}

/// Sets the status of those of `xids` that are on page `number`.
pub(crate) fn set_status(
    page: &mut Page,
    number: u32,
    xids: impl Iterator<Item = u32>,
    status: TransactionStatus,
) {
    for xid in xids.filter(|&xid| slru::page_of(SlruKind::Xact, xid) == number) {
        let in_page = xid % slru::items_per_page(SlruKind::Xact);
        let shift = in_page % XACTS_PER_BYTE * BITS_PER_XACT;
        let byte = &mut page[(in_page / XACTS_PER_BYTE) as usize];
        *byte = *byte & !(3 << shift) | (status as u8) << shift;
    }
}

pub(super) fn zero_pages(record: &Record) -> Result<Vec<SlruChange>, Malformed> {
    let number = slru::parse_pageno(&mut Payload::new(record.main_data()), SlruKind::Xact)?;
    Ok(vec![SlruChange::zero(SlruKind::Xact, number)])
}

#[cfg(test)]
mod tests {
    use offshoot_layout::BLCKSZ;

    use super::*;

    #[test]
    fn status_bits_are_lowest_first_and_replace_the_old() {
        let mut page = [0; BLCKSZ];
        let xids = [32_768, 32_769, 32_771, 65_535, 5];
        set_status(&mut page, 1, xids.into_iter(), TransactionStatus::Aborted);
        assert_eq!(
            (page[0], page[1], page[8191]),
            (0b10_00_10_10, 0, 0b10_00_00_00)
        );
        set_status(
            &mut page,
            1,
            xids.into_iter().take(1),
            TransactionStatus::Committed,
        );
        assert_eq!(page[0], 0b10_00_10_01);
    }
}
