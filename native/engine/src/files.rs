//! Values of `files`: 1 and the content, or 0 when the file is gone.

use crate::EngineError;
use crate::key_filter::{KIND_BYTES, Probe};
use crate::keys::{FileKey, FileKind, file_key, lsn_at_end, parse_file_key};
use crate::{Link, View};
use offshoot_layout::Lsn;
use offshoot_store::Table;
use std::collections::BTreeMap;

const GONE: u8 = 0;
const PRESENT: u8 = 1;
/// Timeline, kind, a and b.
pub(crate) const FILE_PREFIX_BYTES: usize = 13;

pub(crate) fn encode(content: Option<&[u8]>) -> Vec<u8> {
    match content {
        Some(content) => [&[PRESENT], content].concat(),
        None => vec![GONE],
    }
}

pub(crate) fn parse(value: &[u8]) -> Result<Option<&[u8]>, EngineError> {
    match value.split_first() {
        Some((&PRESENT, content)) => Ok(Some(content)),
        Some((&GONE, [])) => Ok(None),
        _ => Err(EngineError::damaged("file", "unknown tag")),
    }
}

impl View {
    /// A file's content; `None` when it does not exist.
    ///
    /// # Errors
    /// `Store`, `Damaged`.
    pub fn file(&self, file: &FileKey) -> Result<Option<&[u8]>, EngineError> {
        let probe = Probe::of_key(Table::Files, &file_key(0, file, Lsn::INVALID));
        for link in self.chain_with(probe) {
            let key = file_key(link.timeline, file, link.lsn);
            let found = self.snapshot().seek_le(Table::Files, &key)?;
            if let Some((found, value)) = found
                && found.get(..FILE_PREFIX_BYTES) == Some(&key[..FILE_PREFIX_BYTES])
            {
                return parse(value);
            }
        }
        Ok(None)
    }

    /// All files of a kind that exist, in key order.
    ///
    /// # Errors
    /// `Store`, `Damaged`.
    pub fn files(&self, kind: FileKind) -> Result<Vec<(FileKey, &[u8])>, EngineError> {
        let mut merged = BTreeMap::new();
        let first = file_key(0, &FileKey::new(kind, 0, 0), Lsn::INVALID);
        for link in self.chain_with(Probe::of_prefix(Table::Files, &first, KIND_BYTES)) {
            for (file, content) in self.files_of(*link, kind)? {
                merged.entry(file).or_insert(content);
            }
        }
        let exist = |(file, content): (FileKey, Option<_>)| content.map(|content| (file, content));
        Ok(merged.into_iter().filter_map(exist).collect())
    }

    /// The newest state of each file on one timeline.
    fn files_of(
        &self,
        link: Link,
        kind: FileKind,
    ) -> Result<BTreeMap<FileKey, Option<&[u8]>>, EngineError> {
        let first = file_key(link.timeline, &FileKey::new(kind, 0, 0), Lsn::INVALID);
        let mut found = BTreeMap::new();
        for entry in self.snapshot().prefix(Table::Files, &first[..5])? {
            let (key, value) = entry?;
            if lsn_at_end(key).is_some_and(|lsn| lsn <= link.lsn) {
                let file = parse_file_key(key)
                    .ok_or_else(|| EngineError::damaged("file key", format!("{key:02x?}")))?;
                found.insert(file.0, parse(value)?);
            }
        }
        Ok(found)
    }
}
