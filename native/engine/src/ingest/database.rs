//! Databases that come into being, are copied, or go.

use std::ops::Range;

use offshoot_layout::page::{is_new, pd_lsn};
use offshoot_layout::{BLCKSZ, BlockKey, Fork, Lsn, Page, RelKey};
use offshoot_wal::Record;

use super::Ingest;
use crate::extent::EXTENT_BLOCKS;
use crate::{EngineError, FileKey, FileKind, View};

/// Blocks that are read from one snapshot: the store can only grow between snapshots. Whole extents.
const COPY_BLOCKS: u32 = 16 * EXTENT_BLOCKS;

impl Ingest {
    pub(super) fn create_database(&mut self, spc: u32, db: u32, end: Lsn) {
        let version = format!("{}\n", self.context.major);
        let file = FileKey::new(FileKind::Database, spc, db);
        self.writer.file(&file, end, Some(version.as_bytes()));
    }

    pub(super) fn drop_database(
        &mut self,
        spc: u32,
        db: u32,
        record: &Record,
    ) -> Result<(), EngineError> {
        // Not in the loop's head, where the view would live as long as the loop: commits could not
        // let the store grow.
        let relations = self.current_view()?.relations(spc, db)?;
        for (rel, _) in relations {
            self.writer.drop_relation(&rel, record.end)?;
            self.commit_if_full()?;
        }
        for kind in [FileKind::RelMap, FileKind::Database] {
            self.writer
                .file(&FileKey::new(kind, spc, db), record.end, None);
        }
        Ok(())
    }

    /// Copies a database's part of one tablespace, pages as they are now. Parts of the copy are
    /// committed on the way; nobody can see them, since `last_record_lsn` is before the record.
    ///
    /// While a base backup ran, production may have changed the source after it was copied and before
    /// the backup read it. Some pages tell that by their LSN; `copies` watches for the rest.
    pub(super) fn copy_database(
        &mut self,
        (src_spc, src_db): (u32, u32),
        (spc, db): (u32, u32),
        record: &Record,
    ) -> Result<(), EngineError> {
        self.drop_database(spc, db, record)?;
        let relations = self.committed_view()?.relations(src_spc, src_db)?;
        for (source, blocks) in relations {
            let copy = RelKey {
                spcnode: spc,
                dbnode: db,
                ..source
            };
            self.writer.extend(&copy, record.end, blocks)?;
            self.copy_pages(&source, &copy, blocks, record)?;
        }
        if let Some(copies) = &mut self.copies {
            copies.add((src_spc, src_db), (spc, db), record);
        }
        self.copy_files((src_spc, src_db), (spc, db), record.end)
    }

    /// Notes that the files of a database change in a way that pages do not show.
    pub(super) fn changed_after_copy(&mut self, spc: u32, db: u32, record: &Record) {
        if let Some(copies) = &mut self.copies {
            copies.files_changed((spc, db), record);
        }
    }

    fn copy_pages(
        &mut self,
        source: &RelKey,
        copy: &RelKey,
        blocks: u32,
        record: &Record,
    ) -> Result<(), EngineError> {
        let mut first = 0;
        while first < blocks {
            let behind = blocks.min(first.saturating_add(COPY_BLOCKS));
            // Nothing of the source is pending: dropping the target committed it.
            let view = self.committed_view()?;
            for extent in (first..behind).step_by(EXTENT_BLOCKS as usize) {
                let blocks = extent..behind.min(extent.saturating_add(EXTENT_BLOCKS));
                self.copy_extent(&view, source, copy, blocks, record)?;
            }
            drop(view);
            self.commit_if_full()?;
            first = behind;
        }
        Ok(())
    }

    fn copy_extent(
        &mut self,
        view: &View,
        source: &RelKey,
        copy: &RelKey,
        blocks: Range<u32>,
        record: &Record,
    ) -> Result<(), EngineError> {
        // A torn page of a map can give hints that came true later.
        let maps_say_nothing = self.copies.is_some() && matches!(source.fork, Fork::Fsm | Fork::Vm);
        if maps_say_nothing {
            return Ok(());
        }
        let mut pages = Vec::with_capacity(blocks.len());
        for block in blocks.clone() {
            let (rel, to) = (*source, BlockKey { rel: *copy, block });
            let page = page_to_copy(view, &BlockKey { rel, block }, record.end)?;
            if page.is_none() {
                self.unknown_copy(&to, record);
            }
            pages.push(page);
        }
        let first = BlockKey {
            rel: *copy,
            block: blocks.start,
        };
        let pages = pages.iter().map(Option::as_deref);
        self.writer.extent(&first, record.end, pages);
        Ok(())
    }

    fn copy_files(
        &mut self,
        (src_spc, src_db): (u32, u32),
        (spc, db): (u32, u32),
        end: Lsn,
    ) -> Result<(), EngineError> {
        let view = self.committed_view()?;
        for kind in [FileKind::RelMap, FileKind::Database] {
            if let Some(content) = view.file(&FileKey::new(kind, src_spc, src_db))? {
                self.writer
                    .file(&FileKey::new(kind, spc, db), end, Some(content));
            }
        }
        Ok(())
    }
}

/// The page as it was at `end`; `None` when that is not known: it cannot be made, or the backup copied
/// it later. Of the maps, which only give hints, that is a page that says nothing.
fn page_to_copy(view: &View, key: &BlockKey, end: Lsn) -> Result<Option<Box<Page>>, EngineError> {
    let mut page = Box::new([0; BLCKSZ]);
    let known = match view.page(key, &mut page) {
        Ok(()) => is_new(&page) || pd_lsn(&page) <= end,
        Err(EngineError::Redo(_)) => false,
        Err(error) => return Err(error),
    };
    match (known, key.rel.fork) {
        (true, _) => Ok(Some(page)),
        (false, Fork::Fsm | Fork::Vm) => Ok(Some(Box::new([0; BLCKSZ]))),
        (false, Fork::Main | Fork::Init) => Ok(None),
    }
}
