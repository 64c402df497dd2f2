//! What the oracle found.

use std::collections::BTreeMap;

use offshoot_layout::{BlockKey, Lsn};

/// How often what happened, for one record type.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Counts {
    pub records: u64,
    /// Blocks that were compared with an image.
    pub compared: u64,
    /// Blocks that an image to apply replaced: nothing to compare.
    pub restored: u64,
    /// Blocks that differed, in whatever way.
    pub differences: u64,
    /// Differences that Postgres' own redo has, too (GiST DELETE).
    pub known: u64,
    /// Blocks that redo does not support.
    pub unsupported: u64,
    /// Blocks of which no version was known.
    pub skipped: u64,
    /// Pages that became known by an image to compare with.
    pub adopted: u64,
    /// Records or blocks that redo refused.
    pub errors: u64,
}

/// In what way two pages differ.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DifferenceKind {
    /// Bytes that Postgres' mask leaves.
    Page,
    /// The page cannot be masked: its header makes no sense.
    Mask,
    /// The LSN that the page had before the record.
    Lsn,
    /// A bit in the visibility map that production has, or had.
    VisibilityMap,
    /// In the end: the page, or its file, is not there.
    Missing,
    /// In the end: production has a page of which we know nothing.
    Unknown,
}

impl DifferenceKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            DifferenceKind::Page => "page",
            DifferenceKind::Mask => "mask",
            DifferenceKind::Lsn => "lsn",
            DifferenceKind::VisibilityMap => "visibility map",
            DifferenceKind::Missing => "missing",
            DifferenceKind::Unknown => "unknown",
        }
    }
}

/// One block that is not what it should be.
#[derive(Clone, Debug)]
pub struct Difference {
    pub kind: DifferenceKind,
    /// Start of the record; the page's own LSN in the final state.
    pub lsn: Lsn,
    /// The record's type; in the final state what the page seems to be.
    pub name: &'static str,
    pub key: BlockKey,
    pub block_id: Option<u8>,
    /// Bytes that differ.
    pub bytes: usize,
    /// The first of them.
    pub at: usize,
    /// From there on.
    pub ours: Vec<u8>,
    pub theirs: Vec<u8>,
    /// What the mask says, or the like.
    pub note: String,
}

/// The comparison with a data directory in the end.
#[derive(Clone, Debug, Default)]
pub struct FinalReport {
    /// By what the page seems to be: pages compared, differences.
    pub pages: BTreeMap<&'static str, (u64, u64)>,
    pub differences: Vec<Difference>,
}

impl FinalReport {
    pub(crate) fn total(&self) -> (u64, u64) {
        let pages = self.pages.values();
        pages.fold((0, 0), |sum, of| (sum.0 + of.0, sum.1 + of.1))
    }
}

/// Everything.
#[derive(Clone, Debug, Default)]
pub struct Report {
    pub start: Lsn,
    pub end: Lsn,
    /// Why decoding ended there.
    pub end_reason: String,
    pub opcodes: BTreeMap<&'static str, Counts>,
    /// The first differences; `opcodes` counts all.
    pub differences: Vec<Difference>,
    /// What redo refused, the first ones.
    pub errors: Vec<String>,
    /// Things that make the whole comparison worthless.
    pub failures: Vec<String>,
    pub final_state: Option<FinalReport>,
}

impl Report {
    pub(crate) fn counts(&mut self, name: &'static str) -> &mut Counts {
        self.opcodes.entry(name).or_default()
    }

    /// Sums of all record types.
    #[must_use]
    pub fn total(&self) -> Counts {
        self.opcodes
            .values()
            .fold(Counts::default(), |sum, of| Counts {
                records: sum.records + of.records,
                compared: sum.compared + of.compared,
                restored: sum.restored + of.restored,
                differences: sum.differences + of.differences,
                known: sum.known + of.known,
                unsupported: sum.unsupported + of.unsupported,
                skipped: sum.skipped + of.skipped,
                adopted: sum.adopted + of.adopted,
                errors: sum.errors + of.errors,
            })
    }

    /// Whether nothing differs and, if `strict`, everything could be judged.
    #[must_use]
    pub fn is_clean(&self, strict: bool) -> bool {
        let total = self.total();
        let in_the_end = self.final_state.as_ref().map_or(0, |state| state.total().1);
        total.differences + total.errors + in_the_end == 0
            && self.failures.is_empty()
            && (!strict || total.unsupported + total.skipped == 0)
    }
}
