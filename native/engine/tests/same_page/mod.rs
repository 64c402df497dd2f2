//! Whether two pages are the same but for what Postgres changes without WAL.

use offshoot_layout::page::{
    is_new, pd_lower, pd_lsn, pd_special, pd_upper, set_pd_checksum, set_pd_flags, set_pd_lsn,
};
use offshoot_layout::{BLCKSZ, ControlFile, Fork, Lsn, Page, SlruKind};

const SIZE_OF_PAGE_HEADER: usize = 24;
/// XMIN_COMMITTED, XMIN_INVALID, XMAX_COMMITTED, XMAX_INVALID; and COMBOCID, which is about the command id.
const HEAP_HINTS: u16 = 0x0F20;
const SPECIAL_OF_8: usize = BLCKSZ - 8;
const SEQ_MAGIC: [u8; 4] = 0x1717_u32.to_le_bytes();
const SEQ_LOG_VALS: i64 = 32;
/// HAS_FREE_LINES, PAGE_FULL.
const PAGE_HINTS: u16 = 0x0003;

pub fn describe(page: &Page) -> String {
    let (lower, upper, special) = (pd_lower(page), pd_upper(page), pd_special(page));
    format!("{} [{lower} {upper} {special}]", pd_lsn(page))
}

/// A relation that is extended by several pages at once gets pages that no record speaks of.
pub fn both_empty(ours: &Page, theirs: &Page) -> bool {
    let never_logged =
        !pd_lsn(theirs).is_valid() && usize::from(pd_lower(theirs)) <= SIZE_OF_PAGE_HEADER;
    is_new(ours) && (is_new(theirs) || never_logged)
}

pub fn but_for_hints(fork: Fork, ours: &Page, theirs: &Page) -> bool {
    match fork {
        // Only advice, and hardly ever logged.
        Fork::Fsm => true,
        // Bits may be lost, never won.
        Fork::Vm => {
            let bytes = ours[SIZE_OF_PAGE_HEADER..]
                .iter()
                .zip(&theirs[SIZE_OF_PAGE_HEADER..]);
            bytes.fold(true, |good, (ours, theirs)| good && ours & !theirs == 0)
        }
        Fork::Main if is_deleted_gin_page(ours) => {
            is_deleted_gin_page(theirs) && pd_lsn(ours) == pd_lsn(theirs)
        }
        Fork::Main if is_sequence(ours) && is_sequence(theirs) => same_sequence(ours, theirs),
        Fork::Main => masked(ours).is_some_and(|ours| Some(ours) == masked(theirs)),
        // Written before they are logged: production's have no LSN.
        Fork::Init => {
            let unstamped = |page: &Page| {
                masked(page).map(|mut page| {
                    set_pd_lsn(&mut page, Lsn::INVALID);
                    page
                })
            };
            unstamped(ours).is_some_and(|ours| Some(ours) == unstamped(theirs))
        }
    }
}

/// GIN_DELETED: redo empties the page, production leaves what was there.
fn is_deleted_gin_page(page: &Page) -> bool {
    let flags = u16_at(page, BLCKSZ - 2);
    usize::from(pd_special(page)) == SPECIAL_OF_8 && flags < 0x200 && flags & 4 != 0
}

fn is_sequence(page: &Page) -> bool {
    page[SPECIAL_OF_8..SPECIAL_OF_8 + 4] == SEQ_MAGIC
}

/// A sequence is logged as it will be some values later, and not again until then.
fn same_sequence(ours: &Page, theirs: &Page) -> bool {
    let i64_at = |page: &Page, at: usize| {
        let bytes = page[at..at + 8].try_into();
        bytes.map_or(0, i64::from_le_bytes)
    };
    let mut page = *ours;
    let at = usize::from(pd_upper(ours)) + 24;
    let ahead = i64_at(ours, at) - i64_at(theirs, at);
    page[at..at + 17].copy_from_slice(&theirs[at..at + 17]);
    (0..=SEQ_LOG_VALS).contains(&ahead) && masked(&page) == masked(theirs)
}

fn u16_at(page: &Page, at: usize) -> u16 {
    u16::from_le_bytes([page[at], page[at + 1]])
}

fn masked(page: &Page) -> Option<Page> {
    let mut page = *page;
    set_pd_checksum(&mut page, 0);
    let flags = u16_at(&page, 10) & !PAGE_HINTS;
    set_pd_flags(&mut page, flags);
    let (lower, upper) = (usize::from(pd_lower(&page)), usize::from(pd_upper(&page)));
    let special = usize::from(pd_special(&page));
    if !(SIZE_OF_PAGE_HEADER <= lower && lower <= upper && upper <= special && special <= BLCKSZ) {
        return None;
    }
    page[lower..upper].fill(0);
    let heap = special == BLCKSZ;
    if heap {
        // pd_prune_xid
        page[20..24].fill(0);
    }
    for at in (SIZE_OF_PAGE_HEADER..lower.min(upper) / 4 * 4).step_by(4) {
        let pointer = u32::from_le_bytes([page[at], page[at + 1], page[at + 2], page[at + 3]]);
        let (offset, state) = ((pointer & 0x7FFF) as usize, pointer >> 15 & 3);
        if heap && state == 1 && offset + 23 <= BLCKSZ {
            let infomask = u16_at(&page, offset + 20) & !HEAP_HINTS;
            page[offset + 20..offset + 22].copy_from_slice(&infomask.to_le_bytes());
            // The command id, which is not logged.
            page[offset + 8..offset + 12].fill(0);
            let behind = offset + (pointer >> 17) as usize;
            // Whatever lay there before.
            page[behind.min(BLCKSZ)..behind.next_multiple_of(8).min(BLCKSZ)].fill(0);
        } else if !heap && state == 3 {
            // A dead index entry is a hint.
            let pointer = pointer & !(3 << 15) | 1 << 15;
            page[at..at + 4].copy_from_slice(&pointer.to_le_bytes());
        }
    }
    if !heap && BLCKSZ - special == 16 {
        // btpo_flags: HAS_GARBAGE; btpo_cycleid.
        page[special + 12] &= !0x40;
        page[special + 14..special + 16].fill(0);
    }
    Some(page)
}

pub fn of_slru(
    kind: SlruKind,
    number: u32,
    ours: &Page,
    theirs: &Page,
    control: &ControlFile,
) -> bool {
    let next_multi = control.check_point_copy.next_multi;
    // What is behind the counters is made when it is needed.
    let compared = match kind {
        SlruKind::MultiXactOffsets => {
            let first = number * 2048;
            (next_multi.saturating_sub(first).min(2048) * 4) as usize
        }
        _ => BLCKSZ,
    };
    ours[..compared] == theirs[..compared]
}
