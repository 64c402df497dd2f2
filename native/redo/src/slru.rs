//! Geometry of the SLRU areas, and which segments a truncation removes.
//!
//! | area | item | items per page |
//! |---|---|---|
//! | pg_xact | 2 bits per xid | 32768 |
//! | pg_multixact/offsets | u32 per multixact | 2048 |
//! | pg_multixact/members | 20 bytes per four members | 1636 |
//! | pg_commit_ts | 10 bytes per xid | 819 |
//!
//! The pages have no header, no LSN and no checksum.

use offshoot_layout::slru::SLRU_PAGES_PER_SEGMENT;
use offshoot_layout::{Page, SlruKind};
use offshoot_wal::Record;

use crate::payload::{Malformed, Payload};
use crate::xid;

/// Items that one page of the area holds.
#[must_use]
pub fn items_per_page(kind: SlruKind) -> u32 {
    match kind {
        SlruKind::Xact => 32_768,
        SlruKind::MultiXactMembers => 1_636,
        SlruKind::MultiXactOffsets => 2_048,
        SlruKind::CommitTs => 819,
    }
}

/// The page that holds item number `item` (an xid, multixact id or member offset).
#[must_use]
pub fn page_of(kind: SlruKind, item: u32) -> u32 {
    item / items_per_page(kind)
}

/// The segment that holds item number `item`.
#[must_use]
pub fn segment_of(kind: SlruKind, item: u32) -> u32 {
    page_of(kind, item) / SLRU_PAGES_PER_SEGMENT
}

/// What redo of an SLRU page starts from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SlruBase {
    Previous,
    Zero,
}

/// One SLRU page that a record changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SlruChange {
    pub kind: SlruKind,
    pub page: u32,
    pub base: SlruBase,
}

impl SlruChange {
    /// A change of what the page held before.
    #[must_use]
    pub fn of(kind: SlruKind, page: u32) -> SlruChange {
        SlruChange {
            kind,
            page,
            base: SlruBase::Previous,
        }
    }

    /// A change to zeros.
    #[must_use]
    pub fn zero(kind: SlruKind, page: u32) -> SlruChange {
        SlruChange {
            kind,
            page,
            base: SlruBase::Zero,
        }
    }
}

/// The distinct pages that hold `items`, each once, in ascending order.
pub fn changes(kind: SlruKind, items: impl Iterator<Item = u32>) -> Vec<SlruChange> {
    let mut pages: Vec<u32> = items.map(|item| page_of(kind, item)).collect();
    pages.sort_unstable();
    pages.dedup();
    pages
        .into_iter()
        .map(|page| SlruChange::of(kind, page))
        .collect()
}

/// A page number of the area, `int` in records of majors up to 16.
pub fn parse_pageno(payload: &mut Payload<'_>, kind: SlruKind) -> Result<u32, Malformed> {
    u32::try_from(payload.i32()?)
        .ok()
        .filter(|&page| page <= page_of(kind, u32::MAX))
        .ok_or(Malformed("page number outside the SLRU"))
}

/// For records that only make pages zero, which needs no more.
pub fn no_apply(_: &Record, _: SlruKind, _: u32, _: &mut Page) -> Result<(), Malformed> {
    Ok(())
}

/// Which segments of an area a truncation removes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SlruTruncation {
    pub kind: SlruKind,
    removed: Removed,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Removed {
    /// Segments that lie wholly before this page.
    Before { cutoff_page: u32 },
    /// Segments from `first` up to but excluding `end`, around the end of the area if need be.
    Range { first: u32, end: u32 },
}

impl SlruTruncation {
    /// Segments wholly before `cutoff_page`, by the area's circular order, are removed.
    #[must_use]
    pub fn before(kind: SlruKind, cutoff_page: u32) -> SlruTruncation {
        let removed = Removed::Before { cutoff_page };
        SlruTruncation { kind, removed }
    }

    /// Segments from `first` up to but excluding `end`, walking in a circle, are removed.
    #[must_use]
    pub fn range(kind: SlruKind, first: u32, end: u32) -> SlruTruncation {
        let removed = Removed::Range { first, end };
        SlruTruncation { kind, removed }
    }

    /// Whether this segment is removed.
    #[must_use]
    pub fn removes(&self, segment: u32) -> bool {
        let last_segment = segment_of(self.kind, u32::MAX);
        match self.removed {
            _ if segment > last_segment => false,
            Removed::Before { cutoff_page } => {
                let first = segment * SLRU_PAGES_PER_SEGMENT;
                let last = first + SLRU_PAGES_PER_SEGMENT - 1;
                page_precedes(self.kind, first, cutoff_page)
                    && page_precedes(self.kind, last, cutoff_page)
            }
            Removed::Range { first, end } => {
                let count = last_segment + 1;
                let distance = |to: u32| (to % count + count - first % count) % count;
                distance(segment) < distance(end)
            }
        }
    }
}

/// Whether all of page `a` is before all of page `b`: its first item is before the first and
/// before the last item of `b`.
fn page_precedes(kind: SlruKind, a: u32, b: u32) -> bool {
    let items = items_per_page(kind);
    let (skipped, precedes): (u32, fn(u32, u32) -> bool) = match kind {
        SlruKind::Xact | SlruKind::CommitTs => {
            (xid::FIRST_NORMAL_TRANSACTION_ID + 1, xid::precedes)
        }
        SlruKind::MultiXactOffsets => (2, xid::circle_precedes),
        SlruKind::MultiXactMembers => (0, xid::circle_precedes),
    };
    let first = |page: u32| page.wrapping_mul(items).wrapping_add(skipped);
    precedes(first(a), first(b)) && precedes(first(a), first(b).wrapping_add(items - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_segments_are_those_of_postgres() {
        let cases = [
            (SlruKind::Xact, 0xFFF),
            (SlruKind::MultiXactOffsets, 0xFFFF),
            (SlruKind::MultiXactMembers, 0x14078),
            (SlruKind::CommitTs, 163_880),
        ];
        for (kind, last) in cases {
            assert_eq!(segment_of(kind, u32::MAX), last, "{kind:?}");
        }
    }

    #[test]
    fn cutoff_removes_whole_segments_before_it() {
        let cases = [
            (SlruKind::Xact, 64, 1, true),
            (SlruKind::Xact, 64, 2, false),
            // The segment that holds the cutoff stays, up to its last page.
            (SlruKind::Xact, 63, 1, false),
            (SlruKind::Xact, 0, 0, false),
            // Half a circle away is after, not before.
            (SlruKind::Xact, 64, 3000, true),
            (SlruKind::Xact, 64, 1000, false),
            (SlruKind::CommitTs, 100, 2, true),
            (SlruKind::CommitTs, 100, 3, false),
            (SlruKind::MultiXactOffsets, 33, 0, true),
            (SlruKind::MultiXactOffsets, 31, 0, false),
            (SlruKind::MultiXactOffsets, 10, 0xFFFF, true),
            (SlruKind::MultiXactOffsets, 10, 0x1_0000, false),
        ];
        for (kind, cutoff, segment, expected) in cases {
            let truncation = SlruTruncation::before(kind, cutoff);
            assert_eq!(
                truncation.removes(segment),
                expected,
                "{kind:?} {cutoff} {segment}"
            );
        }
    }

    #[test]
    fn range_walks_around_the_end() {
        let last = 0x14078;
        let cases = [
            (3, 5, 3, true),
            (3, 5, 4, true),
            (3, 5, 5, false),
            (3, 5, 2, false),
            (3, 3, 3, false),
            (last, 1, last, true),
            (last, 1, 0, true),
            (last, 1, 1, false),
            (last, 1, last - 1, false),
            (last, 1, last + 1, false),
            (last, 1, u32::MAX, false),
        ];
        for (first, end, segment, expected) in cases {
            let truncation = SlruTruncation::range(SlruKind::MultiXactMembers, first, end);
            assert_eq!(
                truncation.removes(segment),
                expected,
                "{first} {end} {segment}"
            );
        }
    }

    #[test]
    fn page_numbers_outside_the_area_are_refused() {
        let cases = [(0i32, true), (131_071, true), (131_072, false), (-1, false)];
        for (page, valid) in cases {
            let bytes = page.to_le_bytes();
            let parsed = parse_pageno(&mut Payload::new(&bytes), SlruKind::Xact);
            assert_eq!(parsed.is_ok(), valid, "{page}");
        }
    }
}
