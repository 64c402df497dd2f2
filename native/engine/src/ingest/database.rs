//! Databases that come into being, are copied, or go.

use offshoot_layout::{BLCKSZ, BlockKey, Lsn, Page, RelKey};
use offshoot_wal::Record;

use super::Ingest;
use crate::{EngineError, FileKey, FileKind};

/// Blocks that are read from one snapshot: the store can only grow between snapshots.
const COPY_BLOCKS: u32 = 256;

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
            self.copy_pages(&source, &copy, blocks, record.end)?;
        }
        self.copy_files((src_spc, src_db), (spc, db), record.end)
    }

    fn copy_pages(
        &mut self,
        source: &RelKey,
        copy: &RelKey,
        blocks: u32,
        end: Lsn,
    ) -> Result<(), EngineError> {
        let mut page: Page = [0; BLCKSZ];
        let mut first = 0;
        while first < blocks {
            let behind = blocks.min(first.saturating_add(COPY_BLOCKS));
            // Nothing of the source is pending: dropping the target committed it.
            let view = self.committed_view()?;
            for block in first..behind {
                view.page(
                    &BlockKey {
                        rel: *source,
                        block,
                    },
                    &mut page,
                )?;
                self.writer
                    .image(&BlockKey { rel: *copy, block }, end, &page);
            }
            drop(view);
            self.commit_if_full()?;
            first = behind;
        }
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
