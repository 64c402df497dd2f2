//! Timestamps, and new pages.

use offshoot_layout::{Page, SlruKind};
use offshoot_wal::Record;

use crate::payload::{Malformed, Payload};
use crate::slru::{self, SlruChange};

const ENTRY_BYTES: usize = 10;

/// Writes the entry of those of `xids` that are on page `number`.
pub(crate) fn set(
    page: &mut Page,
    number: u32,
    xids: impl Iterator<Item = u32>,
    time: i64,
    origin: u16,
) {
    for xid in xids.filter(|&xid| slru::page_of(SlruKind::CommitTs, xid) == number) {
        let in_page = xid % slru::items_per_page(SlruKind::CommitTs);
        let entry = &mut page[in_page as usize * ENTRY_BYTES..][..ENTRY_BYTES];
        entry[..8].copy_from_slice(&time.to_le_bytes());
        entry[8..].copy_from_slice(&origin.to_le_bytes());
    }
}

pub(super) fn zero_pages(record: &Record) -> Result<Vec<SlruChange>, Malformed> {
    let number = slru::parse_pageno(&mut Payload::new(record.main_data()), SlruKind::CommitTs)?;
    Ok(vec![SlruChange::zero(SlruKind::CommitTs, number)])
}

#[cfg(test)]
mod tests {
    use offshoot_layout::BLCKSZ;

    use super::*;

    #[test]
    fn entries_are_ten_bytes_and_819_to_a_page() {
        let mut page = [0; BLCKSZ];
        set(&mut page, 1, [819, 1637, 818, 1638].into_iter(), 0x0102, 7);
        let entry = [2, 1, 0, 0, 0, 0, 0, 0, 7, 0];
        assert_eq!(page[..10], entry);
        assert_eq!(page[8180..], [2, 1, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0]);
        assert!(page[10..8180].iter().all(|&byte| byte == 0));
    }
}
