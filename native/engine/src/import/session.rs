//! One import, from the first byte of the base backup to the last record of its WAL.

use std::sync::Arc;

use offshoot_layout::version::Version;
use offshoot_layout::{Fork, Lsn, RelKey, wal_segment};
use offshoot_store::{Durability, Table};
use offshoot_wal::WalParams;

use super::backup::{Backup, FinishedBackup};
use super::leftovers::{remove_prefix, remove_timeline};
use super::summary::BackupSummary;
use super::unsupported;
use crate::ingest::WAL_LEVEL_REPLICA;
use crate::keys::{REL_PREFIX_BYTES, size_key};
use crate::{
    CheckPointState, EngineError, FileKey, FileKind, Ingest, PageWriter, Tenant, TimelineSpec,
    UnsupportedCount,
};

/// The only major version that redo knows.
const MAJOR: u32 = 15;

/// What is imported, and as what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImportOptions {
    /// The timeline that the import becomes.
    pub index: u32,
    /// Where the base backup starts.
    pub start_lsn: Lsn,
    pub wal: WalParams,
}

/// How far the WAL has been taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WalProgress {
    /// End of the last whole record.
    pub lsn: Lsn,
    pub records: u64,
}

/// A finished import: the timeline can be attached, readable from `last_record_lsn`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    pub last_record_lsn: Lsn,
    /// Records that some page needs and redo cannot apply, by name.
    pub unsupported: Vec<UnsupportedCount>,
}

/// Base backup, then WAL. Nothing of it can be read before `finish`, nor after if it is dropped; the
/// machine's crash before `finish` can cost the whole store.
pub struct ImportSession {
    tenant: Arc<Tenant>,
    options: ImportOptions,
    /// Whether what an earlier import left is gone.
    cleared: bool,
    phase: Phase,
}

enum Phase {
    Backup {
        backup: Box<Backup>,
        writer: Box<PageWriter>,
    },
    Wal(Box<Ingest>),
    /// Failed or aborted.
    Over,
    Finished,
}

impl Tenant {
    /// Begins to import a cluster as the root timeline `options.index`. What an earlier import that
    /// failed left there is removed with the first `write`.
    ///
    /// # Errors
    /// `BadRequest` when the timeline is attached, `UnsupportedSource`, `Store`.
    pub fn begin_import(
        self: &Arc<Tenant>,
        options: ImportOptions,
    ) -> Result<ImportSession, EngineError> {
        if self.timeline(options.index).is_ok() {
            let index = options.index;
            return Err(EngineError::BadRequest(format!(
                "timeline {index} is in use"
            )));
        }
        let version = checked_version(&options)?;
        self.attach(&TimelineSpec {
            index: options.index,
            parent: None,
            last_record_lsn: options.start_lsn,
            // Reads stay refused until whoever keeps the catalog attaches it again.
            readable_from: Lsn::MAX,
        })?;
        let writer = Box::new(self.writer(options.index)?);
        let backup = Box::new(Backup::new(version, options.start_lsn));
        let phase = Phase::Backup { backup, writer };
        Ok(ImportSession {
            tenant: Arc::clone(self),
            options,
            cleared: false,
            phase,
        })
    }
}

fn checked_version(options: &ImportOptions) -> Result<Version, EngineError> {
    let major = options.wal.major;
    let version = Version::of_major(major).filter(|_| major == MAJOR);
    let version = version.ok_or_else(|| {
        unsupported(format!(
            "Postgres {major} cannot be imported; supported: {MAJOR}"
        ))
    })?;
    if !wal_segment::is_valid_size(options.wal.seg_size) {
        let bytes = options.wal.seg_size;
        return Err(unsupported(format!(
            "WAL segments of {bytes} bytes are unknown"
        )));
    }
    Ok(version)
}

impl ImportSession {
    /// The tar archive that follows is that of tablespace `spcnode`; 0 is the main one.
    ///
    /// # Errors
    /// `BadRequest` out of turn, `Archive` when the archive before it is not complete.
    pub fn begin_archive(&mut self, spcnode: u32) -> Result<(), EngineError> {
        match &mut self.phase {
            Phase::Backup { backup, .. } => backup.begin_archive(spcnode),
            _ => Err(out_of_turn("an archive")),
        }
    }

    /// Takes the next bytes of the archive, cut anywhere.
    ///
    /// # Errors
    /// `Archive`, `BadSource`, `UnsupportedSource`, `Store`; the import is over then.
    pub fn write(&mut self, chunk: &[u8]) -> Result<&BackupSummary, EngineError> {
        if !self.cleared {
            remove_timeline(self.tenant.store(), self.options.index)?;
            self.cleared = true;
        }
        let Phase::Backup { backup, writer } = &mut self.phase else {
            return Err(out_of_turn("archive bytes"));
        };
        if let Err(error) = backup.write(chunk, writer) {
            self.phase = Phase::Over;
            return Err(error);
        }
        match &self.phase {
            Phase::Backup { backup, .. } => Ok(backup.summary()),
            _ => Err(out_of_turn("archive bytes")),
        }
    }

    /// Every archive is in: checks that they are a whole cluster which we can serve.
    ///
    /// # Errors
    /// `Archive`, `BadSource`, `UnsupportedSource`, `Store`; the import is over then.
    pub fn finish_backup(&mut self) -> Result<BackupSummary, EngineError> {
        let Phase::Backup { backup, mut writer } = self.take_phase() else {
            return Err(out_of_turn("the end of the backup"));
        };
        let finished = backup.finish(&mut writer)?;
        self.check(&finished)?;
        let control = FileKey::new(FileKind::Control, 0, 0);
        writer.file(
            &control,
            self.options.start_lsn,
            Some(&finished.control_bytes),
        );
        let state = CheckPointState {
            control: finished.control,
            last_record_start: Lsn::INVALID,
        };
        writer.file(
            &CheckPointState::FILE,
            self.options.start_lsn,
            Some(&state.encode()),
        );
        writer.commit(Durability::Later)?;
        self.remove_unlogged(&finished.unlogged)?;
        let start = self.options.start_lsn;
        let store = Arc::clone(self.tenant.store());
        let mut ingest = Ingest::new(
            self.options.wal,
            start,
            store,
            *writer,
            state,
            Durability::Later,
        )?;
        ingest.watch_copies();
        self.phase = Phase::Wal(Box::new(ingest));
        Ok(finished.summary)
    }

    fn check(&self, finished: &FinishedBackup) -> Result<(), EngineError> {
        let FinishedBackup { control, label, .. } = finished;
        let ImportOptions { start_lsn, wal, .. } = &self.options;
        control.validate(wal.major).map_err(unsupported)?;
        if control.wal_level < WAL_LEVEL_REPLICA {
            return Err(unsupported(
                "wal_level is minimal; it must be replica or logical",
            ));
        }
        let differs = |what: &str, found: &dyn std::fmt::Display, said: &dyn std::fmt::Display| {
            let text = format!("base backup: {what} is {found}, the server said {said}");
            Err(EngineError::BadSource(text))
        };
        if control.system_identifier != wal.system_id {
            return differs(
                "system identifier",
                &control.system_identifier,
                &wal.system_id,
            );
        }
        if control.xlog_seg_size != wal.seg_size {
            return differs("WAL segment size", &control.xlog_seg_size, &wal.seg_size);
        }
        if label.start != *start_lsn {
            return differs("START WAL LOCATION", &label.start, start_lsn);
        }
        if label.timeline != wal.tli {
            return differs("START TIMELINE", &label.timeline, &wal.tli);
        }
        Ok(())
    }

    /// Postgres leaves such files out of a backup unless the relation changed its kind meanwhile.
    fn remove_unlogged(&self, unlogged: &[RelKey]) -> Result<(), EngineError> {
        for init in unlogged {
            for fork in [Fork::Main, Fork::Fsm, Fork::Vm] {
                let key = size_key(self.options.index, &RelKey { fork, ..*init }, Lsn::INVALID);
                let prefix = &key[..REL_PREFIX_BYTES];
                for table in [Table::Versions, Table::Extents] {
                    remove_prefix(self.tenant.store(), table, prefix)?;
                }
            }
        }
        Ok(())
    }

    /// Takes the next bytes of the WAL, which begins at the backup's start, cut anywhere.
    ///
    /// # Errors
    /// `Wal`, `Redo`, `Store`; the import is over then.
    pub fn wal(&mut self, chunk: &[u8]) -> Result<WalProgress, EngineError> {
        let Phase::Wal(ingest) = &mut self.phase else {
            return Err(out_of_turn("WAL"));
        };
        match ingest.feed(chunk) {
            Ok(()) => Ok(WalProgress {
                lsn: ingest.position(),
                records: ingest.records(),
            }),
            Err(error) => {
                self.phase = Phase::Over;
                Err(error)
            }
        }
    }

    /// Puts everything on disk. The data is consistent from `end_lsn`, where the backup ended, on; the
    /// WAL may have gone further.
    ///
    /// # Errors
    /// `BadSource` when the WAL does not reach `end_lsn`, or when the backup cannot be certain; `Store`;
    /// the import is over then.
    pub fn finish(&mut self, end_lsn: Lsn) -> Result<Imported, EngineError> {
        let Phase::Wal(mut ingest) = self.take_phase() else {
            return Err(out_of_turn("the end"));
        };
        let reached = ingest.position();
        if reached < end_lsn {
            let text = format!("the WAL ends at {reached}, before the backup's end at {end_lsn}");
            return Err(EngineError::BadSource(text));
        }
        ingest.settle_copies(self.options.start_lsn, end_lsn)?;
        ingest.commit()?;
        self.tenant.sync()?;
        self.phase = Phase::Finished;
        Ok(Imported {
            last_record_lsn: reached,
            unsupported: ingest.unsupported(),
        })
    }

    /// Gives up and removes what was stored; also after a failure. Nothing to do after `finish`.
    ///
    /// # Errors
    /// `Store`.
    pub fn abort(&mut self) -> Result<(), EngineError> {
        if matches!(self.phase, Phase::Finished) {
            return Ok(());
        }
        self.phase = Phase::Over;
        self.tenant.detach(self.options.index);
        remove_timeline(self.tenant.store(), self.options.index)
    }

    fn take_phase(&mut self) -> Phase {
        std::mem::replace(&mut self.phase, Phase::Over)
    }
}

impl Drop for ImportSession {
    fn drop(&mut self) {
        if !matches!(self.phase, Phase::Finished) {
            self.tenant.detach(self.options.index);
        }
    }
}

fn out_of_turn(what: &str) -> EngineError {
    EngineError::BadRequest(format!("the import does not expect {what} now"))
}
