//! Line pointers of a data page: where each item lies.
//!
//! A line pointer is one u32 at `24 + 4 * (offset number - 1)`, offset numbers counted from 1:
//!
//! | bits | field |
//! |---|---|
//! | 0–14 | lp_off: byte at which the item starts |
//! | 15–16 | lp_flags |
//! | 17–31 | lp_len: bytes of the item |

use crate::Page;
use crate::page::{SIZE_OF_PAGE_HEADER, pd_lower};

/// Bytes of a line pointer.
pub const SIZE_OF_ITEM_ID: usize = 4;
/// Bytes of the longest page are a multiple of this; items start at one (MAXALIGN).
pub const MAXIMUM_ALIGNOF: usize = 8;

/// `lp_flags`: free.
pub const LP_UNUSED: u8 = 0;
/// `lp_flags`: points at an item.
pub const LP_NORMAL: u8 = 1;
/// `lp_flags`: heap: the tuple is that of offset number `lp_off`; indexes: never.
pub const LP_REDIRECT: u8 = 2;
/// `lp_flags`: dead; the item may be there or not.
pub const LP_DEAD: u8 = 3;

/// A line pointer, taken apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ItemId {
    pub offset: u16,
    pub flags: u8,
    pub length: u16,
}

impl ItemId {
    /// From its four bytes.
    #[must_use]
    pub const fn from_bits(bits: u32) -> ItemId {
        ItemId {
            offset: (bits & 0x7FFF) as u16,
            flags: (bits >> 15 & 3) as u8,
            length: (bits >> 17) as u16,
        }
    }

    /// Its four bytes; what does not fit a field is cut off.
    #[must_use]
    pub const fn to_bits(self) -> u32 {
        (self.offset as u32 & 0x7FFF)
            | (self.flags as u32 & 3) << 15
            | (self.length as u32 & 0x7FFF) << 17
    }

    /// Whether bytes of the page belong to it.
    #[must_use]
    pub const fn has_storage(self) -> bool {
        self.length != 0
    }
}

/// `size` rounded up to a multiple of 8.
#[must_use]
pub const fn max_align(size: usize) -> usize {
    (size + MAXIMUM_ALIGNOF - 1) & !(MAXIMUM_ALIGNOF - 1)
}

/// Line pointers on the page, as `pd_lower` says; may claim more than a corrupt page has room for.
#[must_use]
pub fn max_offset_number(page: &Page) -> u16 {
    let used = usize::from(pd_lower(page)).saturating_sub(SIZE_OF_PAGE_HEADER);
    (used / SIZE_OF_ITEM_ID) as u16
}

/// Byte at which the line pointer lies; offset number 0 has none and gives `None`.
#[must_use]
pub fn item_id_at(page: &Page, offset_number: u16) -> Option<usize> {
    let before = usize::from(offset_number).checked_sub(1)?;
    let at = SIZE_OF_PAGE_HEADER + SIZE_OF_ITEM_ID * before;
    (at + SIZE_OF_ITEM_ID <= page.len()).then_some(at)
}

/// The line pointer, `None` past the page's end. Whether it is in use is not looked at.
#[must_use]
pub fn item_id(page: &Page, offset_number: u16) -> Option<ItemId> {
    let at = item_id_at(page, offset_number)?;
    crate::le::u32_at(page, at).map(ItemId::from_bits)
}

/// Writes a line pointer; `None`, and nothing written, past the page's end.
#[must_use]
pub fn set_item_id(page: &mut Page, offset_number: u16, item: ItemId) -> Option<()> {
    let at = item_id_at(page, offset_number)?;
    page.get_mut(at..at + SIZE_OF_ITEM_ID)?
        .copy_from_slice(&item.to_bits().to_le_bytes());
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BLCKSZ;
    use crate::page::set_pd_lower;

    #[test]
    fn bits_hold_three_fields() {
        let cases = [
            (0, ItemId::default()),
            (
                0x7FFF | 1 << 15 | 0x7FFF << 17,
                ItemId {
                    offset: 0x7FFF,
                    flags: LP_NORMAL,
                    length: 0x7FFF,
                },
            ),
            (
                8160 | 3 << 15 | 32 << 17,
                ItemId {
                    offset: 8160,
                    flags: LP_DEAD,
                    length: 32,
                },
            ),
        ];
        for (bits, item) in cases {
            assert_eq!(ItemId::from_bits(bits), item);
            assert_eq!(item.to_bits(), bits);
        }
    }

    #[test]
    fn line_pointers_lie_behind_the_header() {
        let mut page = [0; BLCKSZ];
        let item = ItemId {
            offset: 8000,
            flags: LP_NORMAL,
            length: 99,
        };
        assert_eq!(set_item_id(&mut page, 2, item), Some(()));
        assert_eq!(page[28..32], item.to_bits().to_le_bytes());
        assert_eq!(item_id(&page, 2), Some(item));
        for outside in [0, 2043, u16::MAX] {
            assert_eq!(item_id(&page, outside), None);
            assert_eq!(set_item_id(&mut page, outside, item), None);
        }
        for (lower, count) in [(0, 0), (24, 0), (28, 1), (31, 1), (32, 2)] {
            set_pd_lower(&mut page, lower);
            assert_eq!(max_offset_number(&page), count);
        }
    }
}
