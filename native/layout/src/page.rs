//! Header of a data page, and the checksum in it.
//!
//! | field | offset | width |
//! |---|---|---|
//! | pd_lsn | 0 | 8 (two u32, **high word first**) |
//! | pd_checksum | 8 | 2 |
//! | pd_flags | 10 | 2 |
//! | pd_lower | 12 | 2 |
//! | pd_upper | 14 | 2 |
//! | pd_special | 16 | 2 |
//! | pd_pagesize_version | 18 | 2 |
//! | pd_prune_xid | 20 | 4 |
//! | line pointers | 24 | 4 each |

use crate::{BLCKSZ, Lsn, Page};

/// Bytes before the line pointers.
pub const SIZE_OF_PAGE_HEADER: usize = 24;
/// `pd_pagesize_version` of every supported page: 8192 | layout version 4.
pub const PAGESIZE_VERSION: u16 = 0x2004;
/// `pd_flags`: there may be unused line pointers (hint).
pub const PD_HAS_FREE_LINES: u16 = 0x0001;
/// `pd_flags`: no room was found for an update (hint).
pub const PD_PAGE_FULL: u16 = 0x0002;
/// `pd_flags`: all tuples are visible to everyone (must be right).
pub const PD_ALL_VISIBLE: u16 = 0x0004;

const PD_CHECKSUM: usize = 8;
const PD_FLAGS: usize = 10;
const PD_LOWER: usize = 12;
const PD_UPPER: usize = 14;
const PD_SPECIAL: usize = 16;
const PD_PAGESIZE_VERSION: usize = 18;
const PD_PRUNE_XID: usize = 20;

fn read_u16(page: &Page, offset: usize) -> u16 {
    u16::from_le_bytes([page[offset], page[offset + 1]])
}

fn read_u32(page: &Page, offset: usize) -> u32 {
    u32::from_le_bytes([
        page[offset],
        page[offset + 1],
        page[offset + 2],
        page[offset + 3],
    ])
}

fn write_u16(page: &mut Page, offset: usize, value: u16) {
    page[offset..offset + 2].copy_from_slice(&value.to_le_bytes());
}

fn write_u32(page: &mut Page, offset: usize, value: u32) {
    page[offset..offset + 4].copy_from_slice(&value.to_le_bytes());
}

/// Whether the page was never initialised (`pd_upper` is 0; normally every byte is).
#[must_use]
pub fn is_new(page: &Page) -> bool {
    pd_upper(page) == 0
}

/// Makes the page an empty one with `special_bytes` (a multiple of 8) at its end.
pub fn init(page: &mut Page, special_bytes: u16) {
    *page = [0; BLCKSZ];
    let special = (BLCKSZ as u16).saturating_sub(special_bytes);
    set_pd_lower(page, SIZE_OF_PAGE_HEADER as u16);
    set_pd_upper(page, special);
    set_pd_special(page, special);
    set_pd_pagesize_version(page, PAGESIZE_VERSION);
}

/// End LSN of the last record that changed the page.
#[must_use]
pub fn pd_lsn(page: &Page) -> Lsn {
    Lsn(u64::from(read_u32(page, 0)) << 32 | u64::from(read_u32(page, 4)))
}

/// Stamps the page with the end LSN of a record.
pub fn set_pd_lsn(page: &mut Page, lsn: Lsn) {
    write_u32(page, 0, (lsn.0 >> 32) as u32);
    write_u32(page, 4, lsn.0 as u32);
}

macro_rules! u16_field {
    ($get:ident, $set:ident, $offset:ident) => {
        #[doc = concat!("Field `", stringify!($get), "` of the header.")]
        #[must_use]
        pub fn $get(page: &Page) -> u16 {
            read_u16(page, $offset)
        }

        #[doc = concat!("Writes field `", stringify!($get), "` of the header.")]
        pub fn $set(page: &mut Page, value: u16) {
            write_u16(page, $offset, value);
        }
    };
}

u16_field!(pd_checksum, set_pd_checksum, PD_CHECKSUM);
u16_field!(pd_flags, set_pd_flags, PD_FLAGS);
u16_field!(pd_lower, set_pd_lower, PD_LOWER);
u16_field!(pd_upper, set_pd_upper, PD_UPPER);
u16_field!(pd_special, set_pd_special, PD_SPECIAL);
u16_field!(
    pd_pagesize_version,
    set_pd_pagesize_version,
    PD_PAGESIZE_VERSION
);

/// Field `pd_prune_xid`: the oldest xid that may leave something to prune, or 0.
#[must_use]
pub fn pd_prune_xid(page: &Page) -> u32 {
    read_u32(page, PD_PRUNE_XID)
}

/// Writes field `pd_prune_xid`.
pub fn set_pd_prune_xid(page: &mut Page, xid: u32) {
    write_u32(page, PD_PRUNE_XID, xid);
}

const CHECKSUM_LANES: usize = 32;
const CHECKSUM_ROUNDS: usize = BLCKSZ / (4 * CHECKSUM_LANES);
const FNV_PRIME: u32 = 16_777_619;

/// Where each of the 32 parallel sums starts; part of the on-disk format.
const CHECKSUM_SEEDS: [u32; CHECKSUM_LANES] = [
    0x5B1F_36E9,
    0xB852_5960,
    0x02AB_50AA,
    0x1DE6_6D2A,
    0x79FF_467A,
    0x9BB9_F8A3,
    0x217E_7CD2,
    0x83E1_3D2C,
    0xF8D4_474F,
    0xE39E_B970,
    0x42C6_AE16,
    0x9932_16FA,
    0x7B09_3B5D,
    0x98DA_FF3C,
    0xF718_902A,
    0x0B1C_9CDB,
    0xE58F_764B,
    0x1876_36BC,
    0x5D7B_3BB1,
    0xE73D_E7DE,
    0x92BE_C979,
    0xCCA6_C0B2,
    0x304A_0979,
    0x85AA_43D4,
    0x7831_25BB,
    0x6CA8_EAA2,
    0xE407_EAC6,
    0x4B5C_FC3E,
    0x9FBF_8C76,
    0x15CA_20BE,
    0xF2CA_9FD3,
    0x959B_D756,
];

fn mix(sum: u32, value: u32) -> u32 {
    let mixed = sum ^ value;
    mixed.wrapping_mul(FNV_PRIME) ^ (mixed >> 17)
}

/// The checksum a page has as block `block` of its fork (spec P12); never 0.
///
/// The stored `pd_checksum` does not count. A new page has no checksum: see [`set_checksum`].
#[must_use]
pub fn checksum(page: &Page, block: u32) -> u16 {
    let mut sums = CHECKSUM_SEEDS;
    for round in 0..CHECKSUM_ROUNDS {
        for (lane, sum) in sums.iter_mut().enumerate() {
            let offset = 4 * (round * CHECKSUM_LANES + lane);
            let word = read_u32(page, offset);
            // pd_checksum is the low half of the word at 8 and counts as zero.
            let word = if offset == PD_CHECKSUM {
                word & 0xFFFF_0000
            } else {
                word
            };
            *sum = mix(*sum, word);
        }
    }
    let folded = sums
        .into_iter()
        .fold(block, |folded, sum| folded ^ mix(mix(sum, 0), 0));
    (folded % 65_535 + 1) as u16
}

/// Stores the checksum that block `block` must have; a new page stays without one.
pub fn set_checksum(page: &mut Page, block: u32) {
    if !is_new(page) {
        let value = checksum(page, block);
        set_pd_checksum(page, value);
    }
}

/// Whether the stored checksum is the page's own; a new page needs none.
#[must_use]
pub fn checksum_matches(page: &Page, block: u32) -> bool {
    is_new(page) || pd_checksum(page) == checksum(page, block)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lsn_is_stored_high_word_first() {
        let mut page = [0; BLCKSZ];
        set_pd_lsn(&mut page, Lsn(0x0000_0001_0203_0405));
        assert_eq!(page[..8], [1, 0, 0, 0, 5, 4, 3, 2]);
        assert_eq!(pd_lsn(&page), Lsn(0x0000_0001_0203_0405));
    }

    #[test]
    fn header_fields_do_not_overlap() {
        let mut page = [0; BLCKSZ];
        set_pd_checksum(&mut page, 1);
        set_pd_flags(&mut page, 2);
        set_pd_lower(&mut page, 3);
        set_pd_upper(&mut page, 4);
        set_pd_special(&mut page, 5);
        set_pd_pagesize_version(&mut page, PAGESIZE_VERSION);
        set_pd_prune_xid(&mut page, 7);
        let expected = [1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 4, 0x20, 7, 0, 0, 0];
        assert_eq!(page[8..24], expected);
        assert_eq!(page[24..], [0; BLCKSZ - 24]);
    }

    #[test]
    fn init_leaves_only_the_header() {
        let mut page = [9; BLCKSZ];
        init(&mut page, 16);
        let expected = [0, 0, 0, 0, 24, 0, 0xF0, 0x1F, 0xF0, 0x1F, 4, 0x20];
        assert_eq!(page[8..20], expected);
        assert_eq!(page[20..], [0; BLCKSZ - 20]);
    }

    #[test]
    fn checksum_ignores_the_stored_one_and_depends_on_the_block() {
        let mut page = [7; BLCKSZ];
        let before = checksum(&page, 3);
        set_pd_checksum(&mut page, 0x1234);
        assert_eq!(checksum(&page, 3), before);
        assert_ne!(checksum(&page, 4), before);
        set_checksum(&mut page, 3);
        assert!(checksum_matches(&page, 3));
        page[5000] ^= 1;
        assert!(!checksum_matches(&page, 3));
    }

    #[test]
    fn new_page_gets_no_checksum() {
        let mut page = [0; BLCKSZ];
        set_checksum(&mut page, 9);
        assert_eq!(page, [0; BLCKSZ]);
        assert!(checksum_matches(&page, 9));
    }
}
