//! Two data directories that stand at the same LSN, one of them ours: the same pages, sizes,
//! transaction status and relation maps.
//!
//! Both were made by redo of the same WAL from the same base, so that much more has to be equal than between
//! redo and production: LSNs, map bits, sizes, what is ahead in sequences.

mod arguments;
mod pages;
mod report;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::path::Path;

use offshoot_layout::{Fork, RelFile, RelKey, SlruKind};

use self::pages::{bytes_differ, compare_pages, pages};
use crate::base::{RELATION_DIRECTORIES, each_file};
use crate::error::OracleError;

pub use arguments::{SAME_USAGE, SameArguments};
pub use report::SameReport;

const MAJOR: u32 = 15;
const RELATION_MAP: &str = "pg_filenode.map";

/// What a file of a data directory is, as far as it is compared.
#[derive(Clone, Copy)]
enum Kind {
    Relation(RelFile),
    Slru(SlruKind),
    RelationMap,
}

impl Kind {
    fn of(relative: &str) -> Option<Kind> {
        if relative.ends_with(RELATION_MAP) {
            return Some(Kind::RelationMap);
        }
        let relation = RelFile::parse(relative.as_bytes(), MAJOR).map(Kind::Relation);
        let slru = || SlruKind::parse_path(relative.as_bytes());
        relation.or_else(|| slru().map(|(kind, _)| Kind::Slru(kind)))
    }

    fn name(self) -> &'static str {
        match self {
            Kind::Relation(_) => "relation size",
            Kind::Slru(kind) => kind.directory(),
            Kind::RelationMap => "relation map",
        }
    }
}

/// Does what `oracle same` promises.
///
/// # Errors
/// [`OracleError::Io`].
pub fn compare_directories(arguments: &SameArguments) -> Result<SameReport, OracleError> {
    let (ours, theirs) = (&arguments.ours, &arguments.theirs);
    let files = &files_of(ours)? | &files_of(theirs)?;
    let unlogged = unlogged_among(&files);
    let mut report = SameReport::new(arguments.differences);
    for relative in &files {
        let Some(kind) = Kind::of(relative) else {
            continue;
        };
        if let Kind::Relation(file) = kind
            && !is_logged(file.rel, &unlogged)
        {
            continue;
        }
        let (ours, theirs) = (read(&ours.join(relative))?, read(&theirs.join(relative))?);
        compare_files(
            &mut report,
            relative,
            kind,
            ours.as_deref(),
            theirs.as_deref(),
        );
    }
    Ok(report)
}

fn files_of(data: &Path) -> Result<BTreeSet<String>, OracleError> {
    let status = SlruKind::ALL.map(SlruKind::directory);
    let mut files = BTreeSet::new();
    each_file(
        data,
        &[&RELATION_DIRECTORIES[..], &status].concat(),
        &mut |relative| {
            files.insert(relative.to_owned());
            Ok(())
        },
    )?;
    Ok(files)
}

/// Init forks stand for unlogged relations.
fn unlogged_among(files: &BTreeSet<String>) -> HashSet<RelKey> {
    let files = files.iter();
    let relations = files.filter_map(|file| RelFile::parse(file.as_bytes(), MAJOR));
    let forks = relations.map(|file| file.rel);
    forks.filter(|rel| rel.fork == Fork::Init).collect()
}

fn is_logged(rel: RelKey, unlogged: &HashSet<RelKey>) -> bool {
    let init = RelKey {
        fork: Fork::Init,
        ..rel
    };
    match rel.fork {
        Fork::Init => true,
        // Only advice, and hardly ever logged.
        Fork::Fsm => false,
        Fork::Main | Fork::Vm => !unlogged.contains(&init),
    }
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, OracleError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(OracleError::io(path)(error)),
    }
}

fn compare_files(
    report: &mut SameReport,
    relative: &str,
    kind: Kind,
    ours: Option<&[u8]>,
    theirs: Option<&[u8]>,
) {
    let (Some(ours), Some(theirs)) = (ours, theirs) else {
        let who = if ours.is_some() { "theirs" } else { "ours" };
        return report.count(kind.name(), Some(format!("{relative} is missing in {who}")));
    };
    let (ours_len, theirs_len) = (ours.len(), theirs.len());
    let size = || format!("{relative}: ours has {ours_len} bytes, theirs {theirs_len}");
    report.count(kind.name(), (ours_len != theirs_len).then(size));
    match kind {
        Kind::Relation(file) => compare_pages(report, file, ours, theirs),
        Kind::Slru(_) => {
            for (number, (ours, theirs)) in (0..).zip(pages(ours).zip(pages(theirs))) {
                report.count(kind.name(), bytes_differ(relative, number, ours, theirs));
            }
        }
        Kind::RelationMap => {
            let differ = || format!("{relative} differs");
            report.count(kind.name(), (ours != theirs).then(differ));
        }
    }
}
