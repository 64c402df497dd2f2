//! Pages of both directories.

use offshoot_layout::page::{checksum, is_new, pd_checksum};
use offshoot_layout::{BLCKSZ, BlockKey, Fork, Page, RelFile};

use super::report::SameReport;
use crate::final_state::kind_of;
use crate::masks::{Mask, gist, sequence, spgist};
use crate::report::{Difference, DifferenceKind};
use crate::verify::{differing, lsn_difference, masked_difference};

pub fn pages(bytes: &[u8]) -> impl Iterator<Item = &Page> {
    let chunks = bytes.chunks_exact(BLCKSZ);
    chunks.filter_map(|chunk| chunk.try_into().ok())
}

pub fn bytes_differ(relative: &str, number: u32, ours: &Page, theirs: &Page) -> Option<String> {
    let at = (0..BLCKSZ).find(|&at| ours[at] != theirs[at])?;
    let (ours, theirs) = (ours[at], theirs[at]);
    Some(format!(
        "{relative} page {number}, first at {at}: ours {ours:02x} theirs {theirs:02x}"
    ))
}

pub fn compare_pages(report: &mut SameReport, file: RelFile, ours: &[u8], theirs: &[u8]) {
    let numbers = file.first_block()..;
    for (block, (ours, theirs)) in numbers.zip(pages(ours).zip(pages(theirs))) {
        let rel = file.rel;
        let (name, found) = judge(BlockKey { rel, block }, ours, theirs);
        report.count(name, found.map(|found| found.to_text()));
        if is_new(ours) || pd_checksum(theirs) != checksum(theirs, block) {
            continue;
        }
        let (stored, right) = (pd_checksum(ours), checksum(ours, block));
        let wrong = || format!("{rel} block {block}: ours is {stored:04x}, not {right:04x}");
        report.count("checksum", (stored != right).then(wrong));
    }
}

fn judge(key: BlockKey, ours: &Page, theirs: &Page) -> (&'static str, Option<Difference>) {
    if ours == theirs {
        // Most are, and need no mask.
        let name = match key.rel.fork {
            Fork::Vm => "visibility map",
            _ if is_new(theirs) => "empty",
            _ => kind_of(theirs).0,
        };
        return (name, None);
    }
    if key.rel.fork == Fork::Vm {
        let found = differing(DifferenceKind::VisibilityMap, key, ours, theirs);
        return ("visibility map", found);
    }
    if is_new(theirs) {
        return ("empty", differing(DifferenceKind::Page, key, ours, theirs));
    }
    let (name, mask) = kind_of(theirs);
    let found = masked_difference(stricter(name, mask), key, ours, theirs);
    // Redo of GiST DELETE: Postgres' sets the flag, production and ours do not.
    let (name, found) = match name == "gist" && gist::differs_only_in_tuples_deleted(theirs, ours) {
        true => ("gist, known flag", None),
        false => (name, found),
    };
    (name, found.or_else(|| lsn_difference(key, ours, theirs)))
}

/// What production changes without WAL is the same on both, because the base is.
fn stricter(name: &str, mask: Mask) -> Mask {
    match name {
        "sequence" => sequence::mask,
        "spgist" => spgist::mask,
        _ => mask,
    }
}
