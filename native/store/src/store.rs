//! An LMDB environment with four tables.

use crate::map_gate::MapGate;
use crate::table::Databases;
use crate::{Snapshot, StoreError, StoreOptions, Table, Usage, WriteTxn};
use heed::{CommitOrAbort, Env, EnvFlags, EnvOpenOptions, FlagSetMode, WithoutTls};
use parking_lot::{Mutex, RwLock};
use std::fs::{self, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// When a batch is on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Before `write` returns.
    Commit,
    /// At the next `sync` or durable commit. A crash of the machine before that can damage the whole
    /// store, so this is for a store which is thrown away unless its filling was finished.
    Later,
}

/// A store; one writer at a time, any number of readers beside it.
pub struct Store {
    env: RwLock<Option<Env<WithoutTls>>>,
    databases: Databases,
    data_file: PathBuf,
    gate: Arc<MapGate>,
    /// Held by whoever writes, grows the map or changes LMDB's flags.
    writing: Mutex<()>,
    options: StoreOptions,
}

impl Store {
    /// Opens the store in `dir`, made if it is not there. One process at a time: the caller holds a lock.
    ///
    /// # Errors
    /// `AlreadyOpen`, `Unusable` (not a store of ours, or damaged), `DiskFull`, `Io`.
    pub fn open(dir: &Path, options: StoreOptions) -> Result<Store, StoreError> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)?;
        let data_file = dir.join("data.mdb");
        let file_bytes = fs::metadata(&data_file).map_or(0, |found| found.len() as usize);
        let map_bytes = options
            .map_size_initial_bytes
            .max(file_bytes + file_bytes / 4);
        let mut builder = EnvOpenOptions::new().read_txn_without_tls();
        builder
            .map_size(round_to_map_unit(map_bytes))
            .max_readers(options.readers_max)
            .max_dbs(Table::ALL.len() as u32);
        // SAFETY: the caller's lock on the data directory keeps other processes out, nobody else
        // writes to these files, and no flag that weakens LMDB is set.
        let env = unsafe { builder.open(dir) }?;
        env.clear_stale_readers()?;
        let databases = open_databases(&env)?;
        sync_directories(dir)?;
        Ok(Store {
            env: RwLock::new(Some(env)),
            databases,
            data_file,
            gate: MapGate::new(Duration::from_millis(options.grow_wait_ms)),
            writing: Mutex::new(()),
            options,
        })
    }

    /// Takes a snapshot.
    ///
    /// # Errors
    /// `Closed`, `ReadersFull`, `GrowTimeout`.
    pub fn read(&self) -> Result<Snapshot, StoreError> {
        let pass = self.gate.enter()?;
        let txn = self.env()?.static_read_txn().map_err(|error| match error {
            heed::Error::Mdb(heed::MdbError::ReadersFull) => StoreError::ReadersFull {
                readers_max: self.options.readers_max,
            },
            error => error.into(),
        })?;
        Ok(Snapshot::new(txn, self.databases, pass))
    }

    /// Runs `batch` in one transaction and commits it, unless it fails: then nothing of it stays.
    /// `batch` is run again from the start when the map had to grow. The calling thread must not hold
    /// a snapshot.
    ///
    /// # Errors
    /// What `batch` returns; `DiskFull`, `MapFull`, `GrowTimeout`, `Closed`, `Unusable`, `Io`.
    pub fn write<T, E: From<StoreError>>(
        &self,
        durability: Durability,
        mut batch: impl FnMut(&mut WriteTxn<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let _turn = self.writing.lock();
        let env = self.env()?;
        self.grow_ahead(&env);
        loop {
            match self.attempt(&env, durability, &mut batch)? {
                Attempt::Done(result) => return result,
                Attempt::MapMustGrow => self.grow(&env)?,
            }
        }
    }

    /// Puts on disk what was committed with `Durability::Later`.
    ///
    /// # Errors
    /// `DiskFull`, `Io`: what was committed since the last `sync` may be lost, and the store damaged.
    pub fn sync(&self) -> Result<(), StoreError> {
        let _turn = self.writing.lock();
        Ok(self.env()?.force_sync()?)
    }

    /// What the store holds now.
    ///
    /// # Errors
    /// As `read`.
    pub fn usage(&self) -> Result<Usage, StoreError> {
        let _pass = self.gate.enter()?;
        let env = self.env()?;
        let txn = env.read_txn()?;
        let mut usage = Usage {
            map_bytes: env.info().map_size as u64,
            file_bytes: (env.info().last_page_number as u64 + 1) * page_bytes() as u64,
            ..Usage::default()
        };
        let root = env.unnamed_database_stat();
        usage.used_bytes = stat_bytes(&root);
        for (entries, database) in usage.entries.iter_mut().zip(&self.databases) {
            let stat = database.stat(&txn)?;
            *entries = stat.entries as u64;
            usage.used_bytes += stat_bytes(&stat);
        }
        Ok(usage)
    }

    /// Ends the store: no more snapshots or batches. Waits for the snapshots that are out.
    ///
    /// # Errors
    /// `StillRead` when they stay out; the files are closed when the last one goes.
    pub fn close(&self) -> Result<(), StoreError> {
        let _turn = self.writing.lock();
        let all_back = self.gate.close();
        let Some(env) = self.env.write().take() else {
            return Ok(());
        };
        let closing = env.prepare_for_closing();
        let wait = Duration::from_millis(self.options.grow_wait_ms);
        match all_back && closing.wait_timeout(wait) {
            true => Ok(()),
            false => Err(StoreError::StillRead),
        }
    }

    fn env(&self) -> Result<Env<WithoutTls>, StoreError> {
        self.env.read().clone().ok_or(StoreError::Closed)
    }

    /// The outer error ends the loop of `write`; `Done` carries what `batch` itself said.
    fn attempt<T, E: From<StoreError>>(
        &self,
        env: &Env<WithoutTls>,
        durability: Durability,
        batch: &mut impl FnMut(&mut WriteTxn<'_>) -> Result<T, E>,
    ) -> Result<Attempt<Result<T, E>>, StoreError> {
        let _pass = self.gate.enter()?;
        let mut txn = WriteTxn::new(env.write_txn()?, &self.databases, &self.data_file);
        let result = batch(&mut txn);
        if txn.map_must_grow() {
            return Ok(Attempt::MapMustGrow);
        }
        if result.is_err() {
            return Ok(Attempt::Done(result));
        }
        let _unsynced = match durability {
            Durability::Commit => None,
            Durability::Later => Some(Unsynced::new(env)?),
        };
        match txn.commit() {
            Ok(()) => Ok(Attempt::Done(result)),
            Err(StoreError::MapMustGrow) => Ok(Attempt::MapMustGrow),
            Err(error) => Err(error),
        }
    }

    /// Grows the map before it is full, so that a long batch seldom has to be run twice. Failing is no
    /// harm: what is in the map has room, and the batch itself will say if it has none.
    fn grow_ahead(&self, env: &Env<WithoutTls>) {
        let info = env.info();
        let full_bytes = (info.last_page_number + 1).saturating_mul(page_bytes());
        if full_bytes > info.map_size / 4 * 3 {
            let _ = self.grow(env);
        }
    }

    fn grow(&self, env: &Env<WithoutTls>) -> Result<(), StoreError> {
        let map_bytes = env.info().map_size;
        let map_bytes_max = self.options.map_size_max_bytes;
        let grown = round_to_map_unit(map_bytes.saturating_mul(2).min(map_bytes_max));
        if grown <= map_bytes {
            return Err(StoreError::MapFull {
                map_bytes,
                map_bytes_max,
            });
        }
        // SAFETY: the gate is shut, so this process has no transaction open.
        self.gate.alone(|| Ok(unsafe { env.resize(grown) }?))
    }
}

enum Attempt<T> {
    Done(T),
    MapMustGrow,
}

/// While it lives, commits do not wait for the disk.
struct Unsynced<'e>(&'e Env<WithoutTls>);

impl<'e> Unsynced<'e> {
    fn new(env: &'e Env<WithoutTls>) -> Result<Self, StoreError> {
        // SAFETY: flags change only under the store's write lock, which the caller holds; what NO_SYNC
        // costs is said at `Durability::Later`.
        unsafe { env.set_flags(EnvFlags::NO_SYNC, FlagSetMode::Enable) }?;
        Ok(Unsynced(env))
    }
}

impl Drop for Unsynced<'_> {
    fn drop(&mut self) {
        // SAFETY: as in `new`. Taking away a flag that was set cannot fail.
        let _ = unsafe { self.0.set_flags(EnvFlags::NO_SYNC, FlagSetMode::Disable) };
    }
}

/// Opening what is there writes nothing: a store on a full disk can still be read.
fn open_databases(env: &Env<WithoutTls>) -> Result<Databases, StoreError> {
    let [versions, sizes, files, extents] = Table::ALL;
    let found = env.open_databases_and_commit(env.read_txn()?, |opener, txn| {
        let open = |table: Table| opener.open_database(txn, Some(table.name()));
        let opened = (open(versions)?, open(sizes)?, open(files)?, open(extents)?);
        Ok::<_, heed::Error>(CommitOrAbort::<_, ()>::Commit(opened))
    })?;
    if let Some((Some(versions), Some(sizes), Some(files), Some(extents))) = found.commit() {
        return Ok([versions, sizes, files, extents]);
    }
    let created = env.create_databases_and_commit(env.write_txn()?, |opener, txn| {
        let mut create = |table: Table| opener.create_database(txn, Some(table.name()));
        let created = [
            create(versions)?,
            create(sizes)?,
            create(files)?,
            create(extents)?,
        ];
        Ok::<_, heed::Error>(CommitOrAbort::<_, ()>::Commit(created))
    })?;
    created.commit().ok_or(StoreError::Closed)
}

/// A new file's name is only safe when the directory that holds it is.
fn sync_directories(dir: &Path) -> Result<(), StoreError> {
    File::open(dir)?.sync_all()?;
    if let Some(parent) = dir.parent().filter(|parent| parent.is_dir()) {
        File::open(parent)?.sync_all()?;
    }
    Ok(())
}

fn stat_bytes(stat: &heed::DatabaseStat) -> u64 {
    let pages = stat.branch_pages + stat.leaf_pages + stat.overflow_pages;
    pages as u64 * u64::from(stat.page_size)
}

fn page_bytes() -> usize {
    // SAFETY: asks the system for a constant.
    let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(bytes).unwrap_or(4096)
}

/// The map's size is a multiple of the system's page size.
fn round_to_map_unit(bytes: usize) -> usize {
    bytes.next_multiple_of(page_bytes())
}

#[cfg(test)]
mod tests;
