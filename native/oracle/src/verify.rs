//! After a record: our page against the image that the record carries to compare with.

use offshoot_layout::page::{is_new, pd_lsn, set_pd_lsn};
use offshoot_layout::{BLCKSZ, BlockKey, Fork, Lsn, Page};
use offshoot_redo::PageBase;
use offshoot_wal::Record;

use crate::dump::dump;
use crate::error::OracleError;
use crate::masks::{Mask, gist, mask_of};
use crate::replay::Replay;
use crate::report::{Difference, DifferenceKind};

const GIST_DELETE: &str = "Gist/DELETE";
/// Where a visibility map's bits begin.
const MAP_BITS_AT: usize = 24;
/// On pages of a sorted GiST build, which are written before they are logged.
const GIST_BUILD_LSN: Lsn = Lsn(1);
/// Bytes of a difference that are kept.
const BYTES_SHOWN: usize = 16;

impl Replay<'_> {
    /// Takes an image as the page, if there is one.
    pub fn adopt(
        &mut self,
        record: &Record,
        name: &'static str,
        block_id: u8,
        key: BlockKey,
    ) -> Result<(), OracleError> {
        if let Some(image) = image_of(record, block_id)? {
            self.pages.put(key, stamped(image, record.end));
            self.unsure_lsn.insert(key);
            self.report.counts(name).adopted += 1;
        }
        Ok(())
    }

    /// Compares the page with the record's image of it. `before` is our page before the record.
    pub fn verify(
        &mut self,
        record: &Record,
        name: &'static str,
        block_id: u8,
        base: PageBase,
        before: Option<&Page>,
    ) -> Result<(), OracleError> {
        if base == PageBase::Image {
            self.report.counts(name).restored += 1;
            return Ok(());
        }
        let (Some(image), Some(block)) = (image_of(record, block_id)?, record.block(block_id))
        else {
            return Ok(());
        };
        let key = block.key;
        let Some(ours) = self.pages.get(key).copied() else {
            return Ok(());
        };
        self.report.counts(name).compared += 1;
        let lsn_before = before.filter(|before| {
            base == PageBase::Previous && !is_new(before) && !self.unsure_lsn.contains(&key)
        });
        let found = self
            .judge(record.rmid, key, &ours, &image)
            .or_else(|| wrong_lsn(key, lsn_before?, &image));
        let Some(found) = found else { return Ok(()) };
        if found.kind != DifferenceKind::Lsn {
            // So that one fault is told once. The image was taken before the page was stamped.
            self.pages.put(key, stamped(image, pd_lsn(&ours)));
        }
        if name == GIST_DELETE && gist::differs_only_in_tuples_deleted(&ours, &image) {
            self.report.counts(name).known += 1;
            self.known_gist.insert(key);
            return Ok(());
        }
        let difference = Difference {
            lsn: record.start,
            name,
            block_id: Some(block_id),
            ..found
        };
        self.tell(record, difference, (before, &ours, &image))
    }

    fn tell(
        &mut self,
        record: &Record,
        difference: Difference,
        pages: (Option<&Page>, &Page, &Page),
    ) -> Result<(), OracleError> {
        self.report.counts(difference.name).differences += 1;
        let number = self.report.differences.len();
        if number >= self.arguments.differences {
            return Ok(());
        }
        if let Some(directory) = &self.arguments.dump {
            let text = difference.to_text();
            dump(directory, number, pages, &record.bytes, &text)?;
        }
        self.report.differences.push(difference);
        Ok(())
    }

    /// What is wrong with our page, but for its LSN.
    fn judge(&self, rmid: u8, key: BlockKey, ours: &Page, theirs: &Page) -> Option<Difference> {
        if key.rel.fork == Fork::Vm {
            let found = missing_map_bits(key, ours, theirs);
            return found.filter(|_| !self.may_lack_map_bits(key));
        }
        masked_difference(mask_of(rmid)?, key, ours, theirs)
    }

    pub fn may_lack_map_bits(&self, key: BlockKey) -> bool {
        self.wal_logged_databases
            .contains(&(key.rel.spcnode, key.rel.dbnode))
    }
}

fn image_of(record: &Record, block_id: u8) -> Result<Option<Page>, OracleError> {
    let block = record.block(block_id);
    let Some(block) = block.filter(|block| block.image.is_some()) else {
        return Ok(None);
    };
    let mut image = [0; BLCKSZ];
    record.restore_image(block, &mut image)?;
    Ok(Some(image))
}

fn stamped(mut image: Page, end: Lsn) -> Page {
    if !is_new(&image) {
        set_pd_lsn(&mut image, end);
    }
    image
}

/// The first difference under a mask.
pub(crate) fn masked_difference(
    mask: Mask,
    key: BlockKey,
    ours: &Page,
    theirs: &Page,
) -> Option<Difference> {
    let kind = DifferenceKind::Mask;
    match (mask(ours, key.block), mask(theirs, key.block)) {
        (Ok(ours), Ok(theirs)) => differing(DifferenceKind::Page, key, &ours, &theirs),
        (Err(reason), _) => Some(Difference {
            note: format!("ours: {reason}"),
            ..differing(kind, key, ours, theirs)?
        }),
        (_, Err(reason)) => Some(Difference {
            note: format!("theirs: {reason}"),
            ..differing(kind, key, ours, theirs)?
        }),
    }
}

/// Postgres' own mask blanks the map. The image may lack bits: production clears them before it
/// logs why, and another record may come in between.
fn missing_map_bits(key: BlockKey, ours: &Page, theirs: &Page) -> Option<Difference> {
    let mut expected = *ours;
    for (expected, theirs) in expected.iter_mut().zip(theirs).skip(MAP_BITS_AT) {
        *expected |= theirs;
    }
    differing(DifferenceKind::VisibilityMap, key, ours, &expected)
}

/// The image was taken before production stamped the page: its LSN is that of the change before.
fn wrong_lsn(key: BlockKey, before: &Page, image: &Page) -> Option<Difference> {
    let found = lsn_difference(key, before, image)?;
    let note = format!("before it: {}", found.note);
    Some(Difference { note, ..found })
}

/// Whether the LSNs differ, and if production's is one.
pub(crate) fn lsn_difference(key: BlockKey, ours: &Page, theirs: &Page) -> Option<Difference> {
    if pd_lsn(theirs) == GIST_BUILD_LSN {
        return None;
    }
    let mut expected = *ours;
    set_pd_lsn(&mut expected, pd_lsn(theirs));
    let found = differing(DifferenceKind::Lsn, key, ours, &expected)?;
    let note = format!("ours {}, theirs {}", pd_lsn(ours), pd_lsn(theirs));
    Some(Difference { note, ..found })
}

/// The first difference of two pages.
pub(crate) fn differing(
    kind: DifferenceKind,
    key: BlockKey,
    ours: &Page,
    theirs: &Page,
) -> Option<Difference> {
    let differs = |at: &usize| ours[*at] != theirs[*at];
    let at = (0..BLCKSZ).find(differs)?;
    let shown = |page: &Page| page[at..(at + BYTES_SHOWN).min(BLCKSZ)].to_vec();
    Some(Difference {
        kind,
        lsn: Lsn::INVALID,
        name: "",
        key,
        block_id: None,
        bytes: (at..BLCKSZ).filter(differs).count(),
        at,
        ours: shown(ours),
        theirs: shown(theirs),
        note: String::new(),
    })
}
