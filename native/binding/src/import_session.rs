//! One import of a cluster.

use std::sync::Arc;

use napi::Env;
use napi::bindgen_prelude::{AsyncTask, BigInt, Uint8Array};
use napi_derive::napi;
use offshoot_engine::import::{self, BackupSummary, Imported, WalProgress};
use parking_lot::Mutex;

use crate::failure::Failure;
use crate::numbers::{bigint, lsn};
use crate::work::{Reply, Work, now, promise};

/// What of the base backup is stored so far.
#[napi(object)]
pub struct BackupProgress {
    pub pages: f64,
    /// Bytes of the archives.
    pub bytes: f64,
}

/// What a base backup turned out to hold.
#[napi(object)]
pub struct BackupContents {
    pub pages: f64,
    pub bytes: f64,
    /// Relation forks.
    pub forks: f64,
    pub databases: f64,
    pub tablespaces: f64,
    pub ignored_files: f64,
    pub unknown_files: f64,
    /// The first of the unknown files, which are ignored too.
    pub unknown_names: Vec<String>,
}

/// How far the WAL is stored.
#[napi(object)]
pub struct WalPosition {
    /// End of the last whole record.
    pub lsn: BigInt,
    pub records: f64,
}

/// Records of one type that are stored but cannot be applied.
#[napi(object)]
pub struct UnsupportedRecords {
    pub name: String,
    pub count: f64,
}

/// A finished import. Attach the timeline as readable from lastRecordLsn.
#[napi(object)]
pub struct ImportResult {
    pub last_record_lsn: BigInt,
    pub unsupported: Vec<UnsupportedRecords>,
}

/// A base backup and its WAL on the way in. Await each call before the next.
#[napi]
pub struct ImportSession {
    session: Arc<Mutex<import::ImportSession>>,
}

impl ImportSession {
    pub fn new(session: import::ImportSession) -> ImportSession {
        ImportSession {
            session: Arc::new(Mutex::new(session)),
        }
    }
}

#[napi]
impl ImportSession {
    /// The archive that follows is that tablespace's; 0 is the main one.
    #[napi]
    pub fn begin_archive(&self, env: &Env, spc_oid: u32) -> napi::Result<()> {
        now(env, || {
            let session = self.session.try_lock();
            let busy = || Failure::argument("the import is busy: await each call");
            Ok(session.ok_or_else(busy)?.begin_archive(spc_oid)?)
        })
    }

    /// The archive's next bytes, cut anywhere; they must not change before the promise settles.
    #[napi(ts_return_type = "Promise<BackupProgress>")]
    pub fn write(&self, chunk: Uint8Array) -> AsyncTask<Work<Progress>> {
        let session = Arc::clone(&self.session);
        promise(move || {
            let mut session = session.lock();
            let summary = session.write(&chunk)?;
            Ok(Progress {
                pages: summary.pages,
                bytes: summary.bytes,
            })
        })
    }

    /// Every archive is in: checks that they are a whole cluster which can be served.
    #[napi(ts_return_type = "Promise<BackupContents>")]
    pub fn finish_backup(&self) -> AsyncTask<Work<BackupSummary>> {
        let session = Arc::clone(&self.session);
        promise(move || Ok(session.lock().finish_backup()?))
    }

    /// The WAL's next bytes from the backup's start on, cut anywhere; they must not change before the
    /// promise settles.
    #[napi(ts_return_type = "Promise<WalPosition>")]
    pub fn wal(&self, chunk: Uint8Array) -> AsyncTask<Work<WalProgress>> {
        let session = Arc::clone(&self.session);
        promise(move || Ok(session.lock().wal(&chunk)?))
    }

    /// Puts everything on disk; an error when the WAL does not reach `endLsn`, the backup's end.
    #[napi(ts_return_type = "Promise<ImportResult>")]
    pub fn finish(&self, end_lsn: BigInt) -> AsyncTask<Work<Imported>> {
        let session = Arc::clone(&self.session);
        promise(move || Ok(session.lock().finish(lsn("endLsn", &end_lsn)?)?))
    }

    /// Gives up and removes what was stored.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn abort(&self) -> AsyncTask<Work<()>> {
        let session = Arc::clone(&self.session);
        promise(move || Ok(session.lock().abort()?))
    }
}

pub struct Progress {
    pages: u64,
    bytes: u64,
}

impl Reply for Progress {
    type Js = BackupProgress;

    fn into_js(self) -> BackupProgress {
        BackupProgress {
            pages: self.pages as f64,
            bytes: self.bytes as f64,
        }
    }
}

impl Reply for BackupSummary {
    type Js = BackupContents;

    fn into_js(self) -> BackupContents {
        BackupContents {
            pages: self.pages as f64,
            bytes: self.bytes as f64,
            forks: self.forks as f64,
            databases: self.databases as f64,
            tablespaces: self.tablespaces as f64,
            ignored_files: self.ignored_files as f64,
            unknown_files: self.unknown_files as f64,
            unknown_names: self.unknown_names,
        }
    }
}

impl Reply for WalProgress {
    type Js = WalPosition;

    fn into_js(self) -> WalPosition {
        WalPosition {
            lsn: bigint(self.lsn),
            records: self.records as f64,
        }
    }
}

impl Reply for Imported {
    type Js = ImportResult;

    fn into_js(self) -> ImportResult {
        let unsupported = self
            .unsupported
            .into_iter()
            .map(|entry| UnsupportedRecords {
                name: entry.name,
                count: entry.count as f64,
            });
        ImportResult {
            last_record_lsn: bigint(self.last_record_lsn),
            unsupported: unsupported.collect(),
        }
    }
}
