//! What an import must know of databases that are made of the files of another.
//!
//! The backup reads the source's files some time, perhaps after they were copied. A page that changed
//! between the copy and the backup's end can be in the backup as it was, as it became, or half of each,
//! with either LSN: what the copy got is then not known. If it changed before the copy too, the WAL has it
//! whole, since the first change of a page within a backup brings an image or builds the page anew.

use std::collections::{BTreeMap, HashMap};

use offshoot_layout::{BlockKey, Fork, Lsn, RelKey};
use offshoot_redo::PageBase;
use offshoot_wal::Record;

use super::Ingest;
use crate::record_group::IMPLICIT_BLOCK;
use crate::{EngineError, View};

/// Tablespace and database.
type Directory = (u32, u32);

/// The copies that were made since the backup's start, oldest first.
#[derive(Default)]
pub(super) struct Copies {
    list: Vec<Copy>,
    /// The first source whose files changed later in a way that pages do not show, and the record.
    changed: Option<(Directory, Lsn)>,
}

struct Copy {
    from: Directory,
    to: Directory,
    record: Record,
    /// Pages of the source that were made anew later, and the first record that did.
    remade: HashMap<BlockKey, Lsn>,
}

impl Copies {
    pub(super) fn add(&mut self, from: Directory, to: Directory, record: &Record) {
        self.list.push(Copy {
            from,
            to,
            record: record.clone(),
            remade: HashMap::new(),
        });
    }

    /// A record brings the page's image, or builds it.
    pub(super) fn page_remade(&mut self, key: &BlockKey, record: &Record) {
        for copy in self.of(directory(&key.rel)) {
            copy.remade.entry(*key).or_insert(record.start);
        }
    }

    /// Files of a directory go, shrink, or are other ones.
    pub(super) fn files_changed(&mut self, of: Directory, record: &Record) {
        if self.changed.is_none() && self.of(of).next().is_some() {
            self.changed = Some((of, record.start));
        }
    }

    fn of(&mut self, from: Directory) -> impl Iterator<Item = &mut Copy> {
        self.list.iter_mut().filter(move |copy| copy.from == from)
    }

    fn check(&self, backup_end: Lsn) -> Result<(), EngineError> {
        match self.changed {
            Some(((spc, db), changed)) if changed < backup_end => {
                Err(EngineError::BadSource(format!(
                    "database {db} in tablespace {spc} was copied, and changed at {changed}, while the \
                     base backup ran; import again"
                )))
            }
            _ => Ok(()),
        }
    }
}

/// Pages of copies that are not known, and the LSN that the copy is filed under.
type Unknown = BTreeMap<BlockKey, Lsn>;

impl Copy {
    /// Pages of this copy that are not known for what happened to its source up to the backup's end, or
    /// because the source is a copy, of which `unknown` are not known. `view` is the source as it was.
    fn uncertain(
        &self,
        view: &View,
        (backup_start, backup_end): (Lsn, Lsn),
        unknown: &Unknown,
    ) -> Result<Vec<BlockKey>, EngineError> {
        let remade = self.remade.iter().filter(|(_, lsn)| **lsn < backup_end);
        let remade = remade.map(|(key, _)| (*key, backup_start));
        let unknown = unknown.iter().map(|(key, lsn)| (*key, *lsn));
        let unknown = unknown.filter(|(key, _)| directory(&key.rel) == self.from);
        let mut found = Vec::new();
        for (key, filed) in remade.chain(unknown) {
            if matches!(key.rel.fork, Fork::Main | Fork::Init)
                && view.newest_whole(&key)? == Some(filed)
            {
                found.push(self.copy_of(&key));
            }
        }
        Ok(found)
    }

    fn copy_of(&self, key: &BlockKey) -> BlockKey {
        let (spcnode, dbnode) = self.to;
        let rel = RelKey {
            spcnode,
            dbnode,
            ..key.rel
        };
        BlockKey { rel, ..*key }
    }
}

impl Ingest {
    /// When the base backup's WAL is in: files what is not known of copied databases.
    ///
    /// # Errors
    /// `BadSource`: what a database was made of may have been gone when the backup came to it. `Store`.
    pub(crate) fn settle_copies(
        &mut self,
        backup_start: Lsn,
        backup_end: Lsn,
    ) -> Result<(), EngineError> {
        let Some(copies) = self.copies.take() else {
            return Ok(());
        };
        copies.check(backup_end)?;
        let mut unknown = Unknown::new();
        for copy in &copies.list {
            let mut view = self.current_view()?;
            view.move_to(copy.record.start);
            let found = copy.uncertain(&view, (backup_start, backup_end), &unknown)?;
            view.move_to(copy.record.end);
            for key in found {
                unknown.insert(key, copy.record.end);
                if is_known(&view, &key)? {
                    self.unknown_copy(&key, &copy.record);
                }
            }
        }
        if !unknown.is_empty() {
            self.writer.timeline().cache().clear();
        }
        Ok(())
    }

    /// The record itself stands for a page that nobody knows: whoever asks for it is told so. At the LSN
    /// of the copy, so that whatever the copy's own WAL makes of the page counts.
    pub(super) fn unknown_copy(&mut self, key: &BlockKey, record: &Record) {
        self.count_if_unsupported(record);
        let at = super::record_at(record, IMPLICIT_BLOCK, PageBase::Previous);
        self.writer.record(key, at, &record.bytes);
    }
}

/// Whether it was not filed as unknown at once.
fn is_known(view: &View, key: &BlockKey) -> Result<bool, EngineError> {
    match view.page(key, &mut Box::new([0; offshoot_layout::BLCKSZ])) {
        Ok(()) => Ok(true),
        Err(EngineError::Redo(_) | EngineError::MissingRelation { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

fn directory(rel: &RelKey) -> Directory {
    (rel.spcnode, rel.dbnode)
}
