//! What a base backup turned out to hold.

/// Names of unknown files that are kept for the reader; the rest is only counted.
pub const UNKNOWN_NAMES_MAX: usize = 20;

/// Counts over all archives of one backup.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BackupSummary {
    /// Relation and SLRU pages.
    pub pages: u64,
    /// Bytes of the archives.
    pub bytes: u64,
    /// Relation forks.
    pub forks: u64,
    pub databases: u64,
    pub tablespaces: u64,
    pub ignored_files: u64,
    pub unknown_files: u64,
    /// The first of the unknown files.
    pub unknown_names: Vec<String>,
}

impl BackupSummary {
    pub(super) fn unknown(&mut self, path: &str) {
        self.unknown_files += 1;
        if self.unknown_names.len() < UNKNOWN_NAMES_MAX {
            self.unknown_names.push(path.to_owned());
        }
    }
}
