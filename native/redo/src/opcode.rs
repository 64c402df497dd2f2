//! One row of the table of record types: what a record is called and what it does.

use offshoot_layout::{BlockKey, CheckPoint, Page, SlruKind};
use offshoot_wal::{BlockRef, Record};

use crate::context::RedoContext;
use crate::effect::{Effect, PageBase};
use crate::payload::Malformed;
use crate::slru::SlruChange;
use crate::slru_excerpts::SlruExcerpts;
use crate::visibility_map::VmClear;

/// A block reference to be redone, and what from.
pub struct BlockChange<'a> {
    pub record: &'a Record,
    pub block: &'a BlockRef,
    pub context: &'a RedoContext,
    /// What the page that is handed over holds: the version before, zeros, or the image that
    /// has just been restored.
    pub base: PageBase,
}

/// Whether redo of a block leaves the record's end LSN on the page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stamp {
    EndLsn,
    Unchanged,
}

/// Redo of one block reference on its page.
pub type BlockApply = fn(&BlockChange<'_>, &mut Page) -> Result<Stamp, Malformed>;

/// How the block references of a record type are redone.
#[derive(Clone, Copy)]
pub enum BlockRedo {
    /// The record type has no block references.
    NoBlocks,
    /// Every block reference carries an image to apply, and that is all.
    Images,
    /// By this function, unless an image to apply makes it unnecessary.
    Apply(BlockApply),
}

/// Pages that a record changes without a block reference, and without stamping them.
#[derive(Clone, Copy)]
pub enum ImplicitRedo {
    /// Whatever page it is filed for cannot be had: a copy of files, not all of which were known.
    Unsupported,
    /// Bits of heap blocks in the visibility map.
    VmClears(fn(&Record) -> Result<Vec<VmClear>, Malformed>),
    /// Whole pages, by a function that is called with one of them.
    Pages {
        pages: fn(&Record) -> Result<Vec<BlockKey>, Malformed>,
        apply: fn(&Record, BlockKey, &mut Page) -> Result<(), Malformed>,
    },
}

impl ImplicitRedo {
    /// The pages, each once.
    ///
    /// # Errors
    /// [`Malformed`] payload.
    pub fn pages(&self, record: &Record) -> Result<Vec<BlockKey>, Malformed> {
        match self {
            ImplicitRedo::Unsupported => Ok(Vec::new()),
            ImplicitRedo::Pages { pages, .. } => pages(record),
            ImplicitRedo::VmClears(clears) => {
                let mut pages: Vec<_> = clears(record)?.iter().map(VmClear::map_page).collect();
                // At most two: an update's old and new block.
                pages.dedup();
                Ok(pages)
            }
        }
    }

    /// Changes one of the pages.
    ///
    /// # Errors
    /// [`Malformed`] payload.
    pub fn apply(&self, record: &Record, key: BlockKey, page: &mut Page) -> Result<(), Malformed> {
        match self {
            ImplicitRedo::Unsupported => Err(Malformed("it names no page")),
            ImplicitRedo::Pages { apply, .. } => apply(record, key, page),
            ImplicitRedo::VmClears(clears) => {
                let clears = clears(record)?;
                for clear in clears.iter().filter(|clear| clear.map_page() == key) {
                    clear.apply(page);
                }
                Ok(())
            }
        }
    }
}

/// SLRU pages that a record changes.
#[derive(Clone, Copy)]
pub struct SlruRedo {
    pub pages: fn(&Record) -> Result<Vec<SlruChange>, Malformed>,
    /// Called with one of these pages that does not simply become zeros.
    pub apply: fn(&Record, SlruKind, u32, &mut Page) -> Result<(), Malformed>,
    /// Where the record may be so long that no page should have all of it.
    pub excerpts: Option<SlruExcerptsOf>,
}

/// Takes the record apart once, for all its pages.
pub type SlruExcerptsOf = fn(&Record) -> Result<Box<dyn SlruExcerpts + '_>, Malformed>;

/// Adds what the ingest must do besides filing the record for pages.
pub type EffectsOf = fn(&Record, &RedoContext, &mut Vec<Effect>) -> Result<(), Malformed>;

/// Brings the checkpoint state to the record's end. The record's own xid is already counted.
pub type CheckPointRedo = fn(&Record, &RedoContext, &mut CheckPoint) -> Result<(), Malformed>;

/// A record type.
#[derive(Clone, Copy)]
pub struct Opcode {
    pub rmid: u8,
    /// Value of the record's info byte under `mask`.
    pub opcode: u8,
    pub mask: u8,
    /// As `pg_waldump --stats=record` prints it.
    pub name: &'static str,
    /// What it does, in a line.
    pub description: &'static str,
    pub blocks: BlockRedo,
    /// Block references whose image is not yet the page after the record.
    pub changed_after_image: &'static [u8],
    pub implicit: Option<ImplicitRedo>,
    pub slru: Option<&'static SlruRedo>,
    pub effects: Option<EffectsOf>,
    pub check_point: Option<CheckPointRedo>,
}

impl Opcode {
    /// A record type that does nothing.
    #[must_use]
    pub const fn new(
        rmid: u8,
        opcode: u8,
        mask: u8,
        name: &'static str,
        description: &'static str,
    ) -> Opcode {
        Opcode {
            rmid,
            opcode,
            mask,
            name,
            description,
            blocks: BlockRedo::NoBlocks,
            changed_after_image: &[],
            implicit: None,
            slru: None,
            effects: None,
            check_point: None,
        }
    }

    #[must_use]
    pub const fn blocks(self, blocks: BlockRedo) -> Opcode {
        Opcode { blocks, ..self }
    }

    #[must_use]
    pub const fn changed_after_image(self, block_ids: &'static [u8]) -> Opcode {
        Opcode {
            changed_after_image: block_ids,
            ..self
        }
    }

    #[must_use]
    pub const fn implicit(self, implicit: ImplicitRedo) -> Opcode {
        Opcode {
            implicit: Some(implicit),
            ..self
        }
    }

    #[must_use]
    pub const fn slru(self, slru: &'static SlruRedo) -> Opcode {
        Opcode {
            slru: Some(slru),
            ..self
        }
    }

    #[must_use]
    pub const fn effects(self, effects: EffectsOf) -> Opcode {
        Opcode {
            effects: Some(effects),
            ..self
        }
    }

    #[must_use]
    pub const fn check_point(self, check_point: CheckPointRedo) -> Opcode {
        Opcode {
            check_point: Some(check_point),
            ..self
        }
    }
}
