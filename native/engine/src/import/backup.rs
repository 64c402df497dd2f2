//! What each file of a base backup becomes in the store.

use std::collections::{BTreeSet, HashMap};

use offshoot_layout::control::PG_CONTROL_FILE_BYTES;
use offshoot_layout::slru::SLRU_PAGES_PER_SEGMENT;
use offshoot_layout::version::Version;
use offshoot_layout::{BLCKSZ, BlockKey, ControlFile, Fork, Lsn, RelFile, RelKey, SlruKind};

use super::backup_label::{BackupLabel, tablespace_oids};
use super::page_filler::PageFiller;
use super::route::{Route, route};
use super::summary::BackupSummary;
use super::tar_reader::{TarEntry, TarEvent, TarKind, TarReader};
use crate::keys::{slru_page_key, slru_segment_rel};
use crate::{EngineError, FileKey, FileKind, PageWriter, origins_file};

/// Longest file that is gathered whole: the state of a prepared transaction.
const WHOLE_FILE_BYTES_MAX: u64 = 64 << 20;

/// Takes the archives of one base backup, one after the other.
pub struct Backup {
    version: Version,
    start: Lsn,
    /// The archive that is being read, and the tablespace it is of (0: main).
    archive: Option<(TarReader, u32)>,
    file: Option<OpenFile>,
    filler: PageFiller,
    /// Blocks of each fork; filed only at the end, when it is known which relations are unlogged.
    forks: HashMap<RelKey, u32>,
    databases: BTreeSet<(u32, u32)>,
    relation_maps: BTreeSet<(u32, u32)>,
    tablespaces: BTreeSet<u32>,
    control: Option<Vec<u8>>,
    label: Option<BackupLabel>,
    cluster_version: Option<String>,
    summary: BackupSummary,
}

/// The archive member whose contents are arriving.
enum OpenFile {
    Pages,
    Whole(Route, Vec<u8>),
    Skipped,
}

/// What the end of the archives leaves to be checked and used.
pub struct FinishedBackup {
    pub control: ControlFile,
    pub control_bytes: Vec<u8>,
    pub label: BackupLabel,
    /// Relations with an init fork: what else was in the backup of them is void.
    pub unlogged: Vec<RelKey>,
    pub summary: BackupSummary,
}

impl Backup {
    #[must_use]
    pub fn new(version: Version, start: Lsn) -> Backup {
        Backup {
            version,
            start,
            archive: None,
            file: None,
            filler: PageFiller::new(start),
            forks: HashMap::new(),
            databases: BTreeSet::new(),
            relation_maps: BTreeSet::new(),
            tablespaces: BTreeSet::new(),
            control: None,
            label: None,
            cluster_version: None,
            summary: BackupSummary::default(),
        }
    }

    /// The next archive begins; 0 is the main one, else a tablespace's oid.
    ///
    /// # Errors
    /// `Archive` when the archive before it is not complete.
    pub fn begin_archive(&mut self, spcnode: u32) -> Result<(), EngineError> {
        self.end_archive()?;
        if spcnode != 0 {
            self.tablespaces.insert(spcnode);
        }
        self.archive = Some((TarReader::new(), spcnode));
        Ok(())
    }

    fn end_archive(&mut self) -> Result<(), EngineError> {
        self.archive
            .take()
            .map_or(Ok(()), |(reader, _)| reader.finish())
    }

    /// Takes the next bytes of the archive.
    ///
    /// # Errors
    /// `Archive`, `BadSource`, `UnsupportedSource`, `Store`.
    pub fn write(&mut self, mut chunk: &[u8], writer: &mut PageWriter) -> Result<(), EngineError> {
        self.summary.bytes += chunk.len() as u64;
        let Some((mut reader, spcnode)) = self.archive.take() else {
            return Err(EngineError::BadRequest("no archive has begun".to_owned()));
        };
        while let Some(event) = reader.next(&mut chunk)? {
            match event {
                TarEvent::Entry(entry) => self.begin_file(spcnode, &entry)?,
                TarEvent::Data(data) => match &mut self.file {
                    Some(OpenFile::Pages) => self.filler.write(data, writer)?,
                    Some(OpenFile::Whole(_, bytes)) => bytes.extend_from_slice(data),
                    Some(OpenFile::Skipped) | None => {}
                },
                TarEvent::EntryEnd => {
                    if let Some(OpenFile::Whole(route, bytes)) = self.file.take() {
                        self.whole_file(route, bytes, writer)?;
                    }
                }
            }
        }
        self.summary.pages = self.filler.pages();
        self.archive = Some((reader, spcnode));
        Ok(())
    }

    /// Pages and archive bytes so far.
    #[must_use]
    pub fn summary(&self) -> &BackupSummary {
        &self.summary
    }

    fn begin_file(&mut self, spcnode: u32, entry: &TarEntry) -> Result<(), EngineError> {
        let route = route(&self.version, spcnode, &entry.path);
        if let Route::Tablespace { oid } = route {
            self.tablespaces.insert(oid);
        }
        let file = match (entry.kind, route) {
            (TarKind::Directory | TarKind::Link, _) => OpenFile::Skipped,
            (TarKind::File, Route::Relation(file)) => self.begin_relation(file, entry)?,
            (TarKind::File, Route::SlruSegment { kind, segment }) => {
                self.begin_slru(kind, segment, entry)?
            }
            (TarKind::File, Route::Ignored | Route::Tablespace { .. }) => {
                self.summary.ignored_files += 1;
                OpenFile::Skipped
            }
            (TarKind::File, Route::Unknown) => {
                self.summary.unknown(&entry.path);
                OpenFile::Skipped
            }
            (TarKind::File, route) => {
                if entry.size > WHOLE_FILE_BYTES_MAX {
                    return Err(bad(format!("{} has {} bytes", entry.path, entry.size)));
                }
                OpenFile::Whole(route, Vec::with_capacity(entry.size as usize))
            }
        };
        self.file = Some(file);
        Ok(())
    }

    fn begin_relation(&mut self, file: RelFile, entry: &TarEntry) -> Result<OpenFile, EngineError> {
        let blocks = whole_pages(entry);
        let first = file.first_block();
        let end = u32::try_from(blocks)
            .ok()
            .and_then(|blocks| first.checked_add(blocks));
        let end = end.ok_or_else(|| bad(format!("{} is too long", entry.path)))?;
        // An empty segment behind the first is what a truncation leaves; it adds nothing.
        let size = if blocks == 0 { 0 } else { end };
        let known = self.forks.entry(file.rel).or_insert(0);
        *known = size.max(*known);
        self.filler.begin(BlockKey {
            rel: file.rel,
            block: first,
        });
        Ok(OpenFile::Pages)
    }

    fn begin_slru(
        &mut self,
        kind: SlruKind,
        segment: u32,
        entry: &TarEntry,
    ) -> Result<OpenFile, EngineError> {
        let pages = whole_pages(entry);
        if pages > u64::from(SLRU_PAGES_PER_SEGMENT) {
            return Err(bad(format!("{} has {} bytes", entry.path, entry.size)));
        }
        self.forks
            .insert(slru_segment_rel(kind, segment), pages as u32);
        self.filler
            .begin(slru_page_key(kind, segment * SLRU_PAGES_PER_SEGMENT));
        Ok(OpenFile::Pages)
    }

    fn whole_file(
        &mut self,
        route: Route,
        bytes: Vec<u8>,
        writer: &mut PageWriter,
    ) -> Result<(), EngineError> {
        let mut file = |kind, a, b, bytes: &[u8]| {
            writer.file(&FileKey::new(kind, a, b), self.start, Some(bytes));
        };
        match route {
            Route::RelMap { spcnode, dbnode } => {
                self.relation_maps.insert((spcnode, dbnode));
                file(FileKind::RelMap, spcnode, dbnode, &bytes);
            }
            Route::Database { spcnode, dbnode } => {
                self.databases.insert((spcnode, dbnode));
                file(FileKind::Database, spcnode, dbnode, &bytes);
            }
            Route::TwoPhase { xid } => file(FileKind::TwoPhase, xid, 0, &bytes),
            Route::ReplicationOrigins => {
                let origins = origins_file::parse(&bytes);
                let damaged = || bad("pg_logical/replorigin_checkpoint is damaged");
                for origin in origins.ok_or_else(damaged)? {
                    let (node, lsn) = (u32::from(origin.origin), origin.remote_lsn);
                    file(FileKind::Origins, node, 0, &lsn.0.to_be_bytes());
                }
            }
            Route::ClusterVersion => {
                self.cluster_version = Some(String::from_utf8_lossy(&bytes).trim().to_owned());
            }
            Route::ControlFile => self.control = Some(bytes),
            Route::BackupLabel => {
                let label = BackupLabel::parse(&bytes);
                self.label = Some(label.ok_or_else(|| bad("backup_label is malformed"))?);
            }
            Route::TablespaceMap => self.tablespaces.extend(tablespace_oids(&bytes)),
            Route::Relation(_)
            | Route::SlruSegment { .. }
            | Route::Tablespace { .. }
            | Route::Ignored
            | Route::Unknown => {}
        }
        Ok(())
    }

    /// Every archive is in: files what was held back, and checks that nothing is missing.
    ///
    /// # Errors
    /// `Archive`, `BadSource`, `UnsupportedSource`, `Store`.
    pub fn finish(mut self, writer: &mut PageWriter) -> Result<FinishedBackup, EngineError> {
        self.end_archive()?;
        self.filler.flush(writer)?;
        let control_bytes = self
            .control
            .take()
            .ok_or_else(|| missing("global/pg_control"))?;
        if control_bytes.len() != PG_CONTROL_FILE_BYTES {
            return Err(bad(format!(
                "global/pg_control has {} bytes",
                control_bytes.len()
            )));
        }
        let control = ControlFile::parse(&control_bytes).map_err(super::unsupported)?;
        let label = self.label.ok_or_else(|| missing("backup_label"))?;
        self.check_version()?;
        self.check_databases()?;
        let unlogged = self.unlogged();
        self.file_sizes(&unlogged, writer)?;
        for oid in &self.tablespaces {
            // Where the source has it means nothing here.
            writer.file(
                &FileKey::new(FileKind::TableSpace, *oid, 0),
                self.start,
                Some(b""),
            );
        }
        self.summary.pages = self.filler.pages();
        self.summary.databases = self.databases.len() as u64;
        self.summary.tablespaces = self.tablespaces.len() as u64;
        Ok(FinishedBackup {
            control,
            control_bytes,
            label,
            unlogged,
            summary: self.summary,
        })
    }

    fn check_version(&self) -> Result<(), EngineError> {
        let found = self
            .cluster_version
            .as_deref()
            .ok_or_else(|| missing("PG_VERSION"))?;
        if found != self.version.major.to_string() {
            let expected = self.version.major;
            return Err(bad(format!(
                "PG_VERSION says {found}, the server said {expected}"
            )));
        }
        Ok(())
    }

    fn check_databases(&self) -> Result<(), EngineError> {
        if !self
            .relation_maps
            .contains(&(offshoot_layout::relfile::GLOBAL_TABLESPACE_OID, 0))
        {
            return Err(missing("global/pg_filenode.map"));
        }
        if self.databases.is_empty() {
            return Err(missing("a database"));
        }
        Ok(())
    }

    fn unlogged(&self) -> Vec<RelKey> {
        let forks = self.forks.keys();
        forks
            .filter(|rel| rel.fork == Fork::Init)
            .copied()
            .collect()
    }

    fn file_sizes(
        &mut self,
        unlogged: &[RelKey],
        writer: &mut PageWriter,
    ) -> Result<(), EngineError> {
        for init in unlogged {
            for fork in [Fork::Main, Fork::Fsm, Fork::Vm] {
                self.forks.remove(&RelKey { fork, ..*init });
            }
        }
        self.summary.forks = self.forks.keys().filter(|rel| rel.spcnode != 0).count() as u64;
        for (rel, blocks) in &self.forks {
            writer.extend(rel, self.start, *blocks)?;
        }
        Ok(())
    }
}

/// A part of a page at the end is one that was being added when the backup looked: WAL brings it, and
/// recovery would not see it either.
fn whole_pages(entry: &TarEntry) -> u64 {
    entry.size / BLCKSZ as u64
}

fn bad(reason: impl Into<String>) -> EngineError {
    EngineError::BadSource(format!("base backup: {}", reason.into()))
}

fn missing(what: &str) -> EngineError {
    bad(format!("{what} is missing"))
}
