//! Keeps all pages while records pass by.

use std::collections::HashSet;

use offshoot_layout::page::pd_lsn;
use offshoot_layout::{BlockKey, Fork, Page, RelKey};
use offshoot_redo::{Effect, PageBase, RedoContext, RedoError, Target, effects, record_name, redo};
use offshoot_wal::Record;

use crate::arguments::Arguments;
use crate::error::OracleError;
use crate::pages::Pages;
use crate::report::Report;

/// Texts of this many errors are kept.
const ERRORS_MAX: usize = 50;
const HINT: &str = "XLOG/FPI_FOR_HINT";

pub(crate) struct Replay<'a> {
    pub pages: Pages,
    pub report: Report,
    pub context: RedoContext,
    pub arguments: &'a Arguments,
    /// Databases made by CREATE_WAL_LOG. The images of their visibility map are empty: Postgres
    /// logs these pages as if nothing were in between pd_lower and pd_upper.
    pub wal_logged_databases: HashSet<(u32, u32)>,
    /// Pages whose LSN is not known until another record stamps them: they were taken from an
    /// image to compare with, so that nobody knows whether the record stamps them; or a hint was
    /// logged without an image.
    pub unsure_lsn: HashSet<BlockKey>,
    /// GiST pages that once differed in the flag that is a known difference.
    pub known_gist: HashSet<BlockKey>,
}

impl<'a> Replay<'a> {
    pub fn new(context: RedoContext, arguments: &'a Arguments) -> Replay<'a> {
        Replay {
            pages: Pages::default(),
            report: Report::default(),
            context,
            arguments,
            wal_logged_databases: HashSet::new(),
            unsure_lsn: HashSet::new(),
            known_gist: HashSet::new(),
        }
    }

    /// Applies the record to all pages it changes, and compares these.
    pub fn take(&mut self, record: &Record) -> Result<(), OracleError> {
        let name = record_name(record).unwrap_or("unknown");
        self.report.counts(name).records += 1;
        match effects(record, &self.context) {
            Ok(list) => {
                for effect in list {
                    self.apply(record, name, effect)?;
                }
            }
            Err(error) => self.error(name, &error),
        }
        Ok(())
    }

    fn apply(
        &mut self,
        record: &Record,
        name: &'static str,
        effect: Effect,
    ) -> Result<(), OracleError> {
        match effect {
            Effect::Page {
                block_id,
                key,
                base,
            } => return self.block(record, name, block_id, key, base),
            Effect::VmClear { key } | Effect::FsmTruncate { key } => {
                self.implicit(record, name, key)
            }
            Effect::Create { rel } => self.create(rel),
            Effect::Truncate { rel, blocks } => self.pages.truncate(rel, blocks),
            Effect::DropRelation { spc, db, rel } => {
                for fork in Fork::ALL {
                    self.pages.drop_fork(RelKey {
                        spcnode: spc,
                        dbnode: db,
                        relnode: rel,
                        fork,
                    });
                }
            }
            Effect::DatabaseCreate { spc, db } => {
                self.wal_logged_databases.insert((spc, db));
            }
            Effect::DatabaseCopy {
                spc,
                db,
                src_spc,
                src_db,
            } => self.copy_database((src_spc, src_db), (spc, db)),
            Effect::DatabaseDrop { db, spcs } => {
                for spc in spcs {
                    self.pages.drop_database(spc, db);
                    self.wal_logged_databases.remove(&(spc, db));
                }
            }
            Effect::Parameters(change) => {
                self.context.wal_log_hints = change.wal_log_hints;
                self.context.track_commit_timestamp = change.track_commit_timestamp;
            }
            _ => {}
        }
        Ok(())
    }

    fn block(
        &mut self,
        record: &Record,
        name: &'static str,
        block_id: u8,
        key: BlockKey,
        base: PageBase,
    ) -> Result<(), OracleError> {
        let before = self.pages.get(key).copied();
        if base == PageBase::Previous && before.is_none() && !self.begins_as_zeros(key) {
            self.report.counts(name).skipped += 1;
            return self.adopt(record, name, block_id, key);
        }
        let mut page = before.unwrap_or([0; offshoot_layout::BLCKSZ]);
        match redo(record, Target::Block(block_id), &mut page, &self.context) {
            Ok(_) => {
                self.pages.put(key, page);
                self.verify(record, name, block_id, base, before.as_ref())?;
                self.note_lsn(record, name, key, base, &page);
                Ok(())
            }
            Err(error) => {
                self.error(name, &error);
                self.pages.forget(key);
                self.adopt(record, name, block_id, key)
            }
        }
    }

    /// With full_page_writes off a map's first record has no image and changes a page of zeros. Where
    /// replay began midway such a page is one that was not seen.
    fn begins_as_zeros(&self, key: BlockKey) -> bool {
        self.arguments.base.is_some() && matches!(key.rel.fork, Fork::Fsm | Fork::Vm)
    }

    /// With full_page_writes off a hint is logged without an image. Production stamps the page all
    /// the same, but redo, also that of Postgres, leaves it alone.
    fn note_lsn(
        &mut self,
        record: &Record,
        name: &'static str,
        key: BlockKey,
        base: PageBase,
        page: &Page,
    ) {
        if name == HINT && base == PageBase::Previous {
            self.unsure_lsn.insert(key);
        } else if base != PageBase::Previous || pd_lsn(page) == record.end {
            self.unsure_lsn.remove(&key);
        }
    }

    fn implicit(&mut self, record: &Record, name: &'static str, key: BlockKey) {
        let Some(page) = self.pages.get_mut(key) else {
            return;
        };
        if let Err(error) = redo(record, Target::implicit(key), page, &self.context) {
            self.pages.forget(key);
            self.error(name, &error);
        }
    }

    /// What is not logged beside an init fork is void.
    fn create(&mut self, rel: RelKey) {
        if rel.fork == Fork::Init {
            for fork in [Fork::Main, Fork::Fsm, Fork::Vm] {
                self.pages.drop_fork(RelKey { fork, ..rel });
            }
        }
    }

    fn copy_database(&mut self, from: (u32, u32), to: (u32, u32)) {
        self.pages.copy_database(from, to);
        if self.wal_logged_databases.contains(&from) {
            self.wal_logged_databases.insert(to);
        }
        let of_source = |key: &&BlockKey| (key.rel.spcnode, key.rel.dbnode) == from;
        let known: Vec<_> = self.known_gist.iter().filter(of_source).copied().collect();
        self.known_gist.extend(known.into_iter().map(|mut key| {
            (key.rel.spcnode, key.rel.dbnode) = to;
            key
        }));
    }

    pub fn error(&mut self, name: &'static str, error: &RedoError) {
        let counts = self.report.counts(name);
        if let RedoError::Unsupported { .. } = error {
            counts.unsupported += 1;
            return;
        }
        counts.errors += 1;
        if self.report.errors.len() < ERRORS_MAX {
            self.report.errors.push(error.to_string());
        }
    }
}
