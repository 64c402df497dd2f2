//! The metapage, block 0 of a hash index. Its struct follows the page header, at byte 24.
//!
//! | field | offset in the struct | width |
//! |---|---|---|
//! | hashm_magic, hashm_version | 0 | 4, 4 |
//! | hashm_ntuples | 8 | 8 (double) |
//! | hashm_ffactor, hashm_bsize, hashm_bmsize, hashm_bmshift | 16 | 2 each |
//! | hashm_maxbucket, hashm_highmask, hashm_lowmask | 24 | 4 each |
//! | hashm_ovflpoint, hashm_firstfree, hashm_nmaps, hashm_procid | 36 | 4 each |
//! | hashm_spares | 52 | 98 × 4 |
//! | hashm_mapp | 444 | 1024 × 4 |
//! | padding | 4540 | 4 |

use offshoot_layout::Page;
use offshoot_layout::page::{SIZE_OF_PAGE_HEADER, set_pd_lower};

use super::bitmap::{BMSHIFT, BMSIZE};
use super::page::{INVALID, LH_META_PAGE, check_type, init_page};
use super::record::InitMetaPage;
use crate::payload::Malformed;

const HASH_MAGIC: u32 = 0x0644_0640;
const HASH_VERSION: u32 = 4;
/// A page without its header and special space.
const BSIZE: u16 = 8152;
const HASH_MAX_SPLITPOINTS: u32 = 98;
const HASH_MAX_BITMAPS: u32 = 1024;

const META: usize = SIZE_OF_PAGE_HEADER;
const META_BYTES: usize = 4544;
const MAGIC: usize = META;
const VERSION: usize = META + 4;
const NTUPLES: usize = META + 8;
const SIZES: usize = META + 16;
const MAXBUCKET: usize = META + 24;
const HIGHMASK: usize = META + 28;
const LOWMASK: usize = META + 32;
const OVFLPOINT: usize = META + 36;
const FIRSTFREE: usize = META + 40;
const NMAPS: usize = META + 44;
const PROCID: usize = META + 48;
const SPARES: usize = META + 52;
const MAPP: usize = META + 444;

const MAX_INITIAL_BUCKETS: u32 = 0x4000_0000;
/// Up to this group of splitpoints a group doubles the buckets at once, then in four phases.
const GROUPS_WITH_ONE_PHASE: u32 = 10;

/// The phase of growth in which the index has this many buckets.
pub(super) fn spare_index(buckets: u32) -> u32 {
    let group = buckets.max(1).next_power_of_two().ilog2();
    if group < GROUPS_WITH_ONE_PHASE {
        return group;
    }
    let phase = (buckets - 1) >> (group - 3) & 3;
    GROUPS_WITH_ONE_PHASE + 4 * (group - GROUPS_WITH_ONE_PHASE) + phase
}

/// Buckets at the end of a phase of growth.
pub(super) fn total_buckets(phase: u32) -> u32 {
    let Some(past) = phase.checked_sub(GROUPS_WITH_ONE_PHASE) else {
        return 1 << phase;
    };
    let before = 1 << (GROUPS_WITH_ONE_PHASE + past / 4 - 1);
    before + before / 4 * (past % 4 + 1)
}

fn initial_buckets(record: &InitMetaPage) -> Result<u32, Malformed> {
    let wanted = record.num_tuples / f64::from(record.ffactor);
    if wanted.is_nan() {
        return Err(Malformed("the number of tuples is none"));
    }
    Ok(if wanted <= 2.0 {
        2
    } else if wanted >= f64::from(MAX_INITIAL_BUCKETS) {
        MAX_INITIAL_BUCKETS
    } else {
        total_buckets(spare_index(wanted as u32))
    })
}

/// Makes the metapage of an index without bitmap pages.
pub(super) fn init_meta(page: &mut Page, record: &InitMetaPage) -> Result<(), Malformed> {
    let buckets = initial_buckets(record)?;
    let phase = spare_index(buckets);
    let highmask = (buckets + 1).next_power_of_two() - 1;
    init_page(page, INVALID, INVALID, LH_META_PAGE);
    put(page, MAGIC, HASH_MAGIC);
    put(page, VERSION, HASH_VERSION);
    let sizes = [record.ffactor, BSIZE, BMSIZE, BMSHIFT];
    for (at, size) in (SIZES..).step_by(2).zip(sizes) {
        page[at..at + 2].copy_from_slice(&size.to_le_bytes());
    }
    put(page, MAXBUCKET, buckets - 1);
    set_masks(page, highmask >> 1, highmask);
    put(page, PROCID, record.procid);
    set_splitpoint(page, phase, 1)?;
    set_pd_lower(page, (META + META_BYTES) as u16);
    Ok(())
}

/// Refuses a page that is no metapage.
pub(super) fn check(page: &mut Page) -> Result<(), Malformed> {
    check_type(page, LH_META_PAGE)
}

fn get(page: &Page, at: usize) -> u32 {
    u32::from_le_bytes([page[at], page[at + 1], page[at + 2], page[at + 3]])
}

fn put(page: &mut Page, at: usize, value: u32) {
    page[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

pub(super) fn set_ntuples(page: &mut Page, ntuples: f64) {
    page[NTUPLES..NTUPLES + 8].copy_from_slice(&ntuples.to_le_bytes());
}

pub(super) fn add_ntuples(page: &mut Page, more: f64) {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&page[NTUPLES..NTUPLES + 8]);
    set_ntuples(page, f64::from_le_bytes(bytes) + more);
}

pub(super) fn maxbucket(page: &Page) -> u32 {
    get(page, MAXBUCKET)
}

pub(super) fn set_maxbucket(page: &mut Page, bucket: u32) {
    put(page, MAXBUCKET, bucket);
}

pub(super) fn set_masks(page: &mut Page, lowmask: u32, highmask: u32) {
    put(page, LOWMASK, lowmask);
    put(page, HIGHMASK, highmask);
}

pub(super) fn set_firstfree(page: &mut Page, bit: u32) {
    put(page, FIRSTFREE, bit);
}

fn spares_at(phase: u32) -> Result<usize, Malformed> {
    if phase >= HASH_MAX_SPLITPOINTS {
        return Err(Malformed("splitpoint past the last"));
    }
    Ok(SPARES + 4 * phase as usize)
}

/// Begins a phase of growth, before which there were this many overflow and bitmap pages.
pub(super) fn set_splitpoint(page: &mut Page, phase: u32, spares: u32) -> Result<(), Malformed> {
    put(page, spares_at(phase)?, spares);
    put(page, OVFLPOINT, phase);
    Ok(())
}

/// Counts more overflow and bitmap pages.
pub(super) fn add_spares(page: &mut Page, more: u32) -> Result<(), Malformed> {
    let at = spares_at(get(page, OVFLPOINT))?;
    put(page, at, get(page, at).wrapping_add(more));
    Ok(())
}

/// Lists a bitmap page.
pub(super) fn add_bitmap_page(page: &mut Page, block: u32) -> Result<(), Malformed> {
    let nmaps = get(page, NMAPS);
    if nmaps >= HASH_MAX_BITMAPS {
        return Err(Malformed("more bitmap pages than an index can have"));
    }
    put(page, MAPP + 4 * nmaps as usize, block);
    put(page, NMAPS, nmaps + 1);
    Ok(())
}
