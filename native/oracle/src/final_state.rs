//! In the end: our pages against the relation files. Finds what images cannot show: bits of the
//! visibility map, LSNs, what masks hide, pages that should be gone.

use std::collections::HashSet;
use std::path::Path;

use offshoot_layout::page::{SIZE_OF_PAGE_HEADER, is_new, pd_lower, pd_lsn, pd_special};
use offshoot_layout::{BLCKSZ, BlockKey, Fork, Lsn, Page, RelKey};

use crate::arguments::Arguments;
use crate::base::each_block;
use crate::error::OracleError;
use crate::masks::{Mask, brin, btree, generic, gin, gist, hash, heap, sequence, spgist};
use crate::replay::Replay;
use crate::report::{Difference, DifferenceKind, FinalReport};
use crate::verify::{differing, lsn_difference, masked_difference};

/// # Errors
/// [`OracleError::Io`].
pub(crate) fn compare(
    replay: &Replay<'_>,
    data: &Path,
    arguments: &Arguments,
) -> Result<FinalReport, OracleError> {
    let mut report = FinalReport::default();
    let mut there = HashSet::new();
    let take = |report: &mut FinalReport, name, difference: Option<Difference>| {
        let counts = report.pages.entry(name).or_default();
        counts.0 += 1;
        let Some(difference) = difference else { return };
        counts.1 += 1;
        if report.differences.len() < arguments.differences {
            report.differences.push(Difference { name, ..difference });
        }
    };
    each_block(data, |key, theirs| {
        there.insert(key);
        match replay.pages.get(key) {
            Some(ours) => {
                let (name, difference) = judge(replay, key, ours, theirs);
                take(&mut report, name, difference);
            }
            None if arguments.base.is_some() => {
                if let Some(difference) = unknown(replay, key, theirs) {
                    take(&mut report, "unknown", Some(difference));
                }
            }
            None => {}
        }
    })?;
    for (key, ours) in replay.pages.iter() {
        if key.rel.fork != Fork::Fsm && !there.contains(&key) && !is_new(ours) {
            let kind = DifferenceKind::Missing;
            let found = differing(kind, key, ours, &[0; BLCKSZ]);
            take(&mut report, "missing", found);
        }
    }
    Ok(report)
}

/// Pages that no record made. A relation that is extended by several pages at once gets some that
/// are initialised and never logged; what is beside an init fork is not logged at all.
fn unknown(replay: &Replay<'_>, key: BlockKey, theirs: &Page) -> Option<Difference> {
    let logged = pd_lsn(theirs).is_valid() && !is_new(theirs);
    let init = RelKey {
        fork: Fork::Init,
        ..key.rel
    };
    if !logged || key.rel.fork == Fork::Fsm || replay.pages.has_fork(init) {
        return None;
    }
    differing(DifferenceKind::Unknown, key, &[0; BLCKSZ], theirs)
}

fn judge(
    replay: &Replay<'_>,
    key: BlockKey,
    ours: &Page,
    theirs: &Page,
) -> (&'static str, Option<Difference>) {
    match key.rel.fork {
        // Only advice, and hardly ever logged.
        Fork::Fsm => return ("free space map", None),
        Fork::Vm => return ("visibility map", map_difference(replay, key, ours, theirs)),
        Fork::Main | Fork::Init => {}
    }
    let never_logged =
        !pd_lsn(theirs).is_valid() && usize::from(pd_lower(theirs)) <= SIZE_OF_PAGE_HEADER;
    if is_new(ours) && (is_new(theirs) || never_logged) {
        return ("empty", None);
    }
    let (name, mask) = kind_of(theirs);
    (name, page_difference(replay, key, ours, theirs, mask))
}

fn page_difference(
    replay: &Replay<'_>,
    key: BlockKey,
    ours: &Page,
    theirs: &Page,
    mask: Mask,
) -> Option<Difference> {
    let lsn = pd_lsn(theirs);
    let found = masked_difference(mask, key, ours, theirs);
    // Init forks are written before they are logged: production's have no LSN.
    let lsn_counts = key.rel.fork != Fork::Init && !replay.unsure_lsn.contains(&key);
    let wrong_lsn = || {
        lsn_counts
            .then(|| lsn_difference(key, ours, theirs))
            .flatten()
    };
    let found = found.or_else(wrong_lsn);
    let found = found.map(|found| Difference { lsn, ..found })?;
    let known =
        replay.known_gist.contains(&key) && gist::differs_only_in_tuples_deleted(ours, theirs);
    (!known).then_some(found)
}

/// The bits must be the same; but where Postgres logged empty maps (CREATE DATABASE … STRATEGY
/// WAL_LOG) ours may lack some.
fn map_difference(
    replay: &Replay<'_>,
    key: BlockKey,
    ours: &Page,
    theirs: &Page,
) -> Option<Difference> {
    let header_aside = |page: &Page| {
        let mut bits = *page;
        bits[..SIZE_OF_PAGE_HEADER].fill(0);
        bits
    };
    let (mut ours, theirs) = (header_aside(ours), header_aside(theirs));
    if replay.may_lack_map_bits(key) {
        for (ours, theirs) in ours.iter_mut().zip(&theirs) {
            *ours |= theirs;
        }
    }
    let found = differing(DifferenceKind::VisibilityMap, key, &ours, &theirs)?;
    Some(Difference {
        lsn: Lsn::INVALID,
        ..found
    })
}

/// What kind of page it seems to be, by its special space, and what does not count on it.
pub(crate) fn kind_of(page: &Page) -> (&'static str, Mask) {
    let special = usize::from(pd_special(page));
    let last = u16::from_le_bytes([page[BLCKSZ - 2], page[BLCKSZ - 1]]);
    match (BLCKSZ.saturating_sub(special), last) {
        (16, 0xFF80) => ("hash", hash::mask),
        (16, 0xFF81) => ("gist", gist::mask),
        (16, _) => ("btree", btree::mask),
        (8, 0xFF82) => ("spgist", spgist::mask_cache),
        (8, 0xF091..=0xF093) => ("brin", brin::mask),
        (8, 0xFF83) => ("bloom", generic::mask),
        (8, _) if page[special..special + 4] == [0x17, 0x17, 0, 0] => {
            ("sequence", sequence::mask_values)
        }
        (8, _) => ("gin", gin::mask),
        _ => ("heap", heap::mask),
    }
}
