//! Two data directories that stand at the same LSN, one of them ours: the same pages, sizes,
//! transaction status and relation maps.
//!
//! Both were made by redo of the same WAL from the same base, so that much more has to be equal than between
//! redo and production: LSNs, map bits, sizes, what is ahead in sequences.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use offshoot_layout::page::is_new;
use offshoot_layout::{BLCKSZ, BlockKey, Fork, Page, RelFile, RelKey, SlruKind};
use serde_json::{Value, json};

use crate::base::{RELATION_DIRECTORIES, each_file};
use crate::error::OracleError;
use crate::final_state::kind_of;
use crate::masks::{Mask, sequence, spgist};
use crate::report::{Difference, DifferenceKind};
use crate::verify::{differing, lsn_difference, masked_difference};

pub const SAME_USAGE: &str = "\
oracle same --ours DATADIR --theirs DATADIR [options]
  Compares data directories of Postgres 15 that stand at the same LSN and were written by redo from the
  same base: every page but hint bits, sizes, transaction status (SLRU), relation maps. Not free space maps,
  nor what is not logged. Exit code 1 if anything differs.

  --differences N   how many to print (20)
  --json
";

const MAJOR: u32 = 15;
const RELATION_MAP: &str = "pg_filenode.map";

/// What `oracle same` was asked for.
#[derive(Debug, Default)]
pub struct SameArguments {
    pub ours: PathBuf,
    pub theirs: PathBuf,
    pub differences: usize,
    pub json: bool,
}

impl SameArguments {
    /// Reads the words after `same`.
    ///
    /// # Errors
    /// [`OracleError::Usage`].
    pub fn parse(mut words: impl Iterator<Item = String>) -> Result<SameArguments, OracleError> {
        let wrong = |what: &str| OracleError::Usage(format!("{what}\n\n{SAME_USAGE}"));
        let mut arguments = SameArguments {
            differences: 20,
            ..SameArguments::default()
        };
        while let Some(word) = words.next() {
            if word == "--json" {
                arguments.json = true;
                continue;
            }
            let value = words.next();
            let value = value.ok_or_else(|| wrong(&format!("{word} lacks its value")))?;
            match word.as_str() {
                "--ours" => arguments.ours = value.into(),
                "--theirs" => arguments.theirs = value.into(),
                "--differences" => {
                    let number = value.parse();
                    arguments.differences =
                        number.map_err(|_| wrong("--differences: no number"))?;
                }
                _ => return Err(wrong(&format!("{word} is unknown"))),
            }
        }
        let given = |path: &Path| !path.as_os_str().is_empty();
        if given(&arguments.ours) && given(&arguments.theirs) {
            Ok(arguments)
        } else {
            Err(wrong("--ours or --theirs is missing"))
        }
    }
}

/// What `oracle same` found.
#[derive(Debug, Default)]
pub struct SameReport {
    /// By kind of page or file: compared, differences.
    kinds: BTreeMap<&'static str, (u64, u64)>,
    /// The first ones.
    differences: Vec<String>,
    shown: usize,
}

impl SameReport {
    fn count(&mut self, kind: &'static str, difference: Option<String>) {
        let counts = self.kinds.entry(kind).or_default();
        counts.0 += 1;
        let Some(difference) = difference else { return };
        counts.1 += 1;
        if self.differences.len() < self.shown {
            self.differences.push(format!("{kind}: {difference}"));
        }
    }

    #[must_use]
    pub fn differing(&self) -> u64 {
        self.kinds.values().map(|counts| counts.1).sum()
    }

    #[must_use]
    pub fn compared(&self) -> u64 {
        self.kinds.values().map(|counts| counts.0).sum()
    }

    /// For programs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let kinds = self.kinds.iter().map(|(name, (compared, differing))| {
            let counts = json!({ "compared": compared, "differing": differing });
            ((*name).to_owned(), counts)
        });
        json!({
            "compared": self.compared(),
            "differing": self.differing(),
            "kinds": serde_json::Map::from_iter(kinds),
            "differences": self.differences,
        })
    }

    /// For eyes.
    #[must_use]
    pub fn to_text(&self) -> String {
        let row = |(name, (compared, differing)): (&&str, &(u64, u64))| {
            format!("{name:20} {compared:9} compared, {differing} differ\n")
        };
        let rows: String = self.kinds.iter().map(row).collect();
        let lines = self.differences.iter();
        let lines: String = lines.map(|line| format!("DIFFERENCE {line}\n")).collect();
        rows + &lines
    }
}

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
    let mut report = SameReport {
        shown: arguments.differences,
        ..SameReport::default()
    };
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

fn pages(bytes: &[u8]) -> impl Iterator<Item = &Page> {
    let chunks = bytes.chunks_exact(BLCKSZ);
    chunks.filter_map(|chunk| chunk.try_into().ok())
}

fn bytes_differ(relative: &str, number: u32, ours: &Page, theirs: &Page) -> Option<String> {
    let at = (0..BLCKSZ).find(|&at| ours[at] != theirs[at])?;
    let (ours, theirs) = (ours[at], theirs[at]);
    Some(format!(
        "{relative} page {number}, first at {at}: ours {ours:02x} theirs {theirs:02x}"
    ))
}

fn compare_pages(report: &mut SameReport, file: RelFile, ours: &[u8], theirs: &[u8]) {
    let numbers = file.first_block()..;
    for (block, (ours, theirs)) in numbers.zip(pages(ours).zip(pages(theirs))) {
        let rel = file.rel;
        let (name, found) = judge(BlockKey { rel, block }, ours, theirs);
        report.count(name, found.map(|found| found.to_text()));
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
