//! One tenant's store and timelines.

use std::path::PathBuf;
use std::sync::Arc;

use napi::Env;
use napi::bindgen_prelude::{AsyncTask, BigInt, Buffer, FnArgs, Function, Uint8Array};
use napi_derive::napi;
use offshoot_engine::base_backup::{BaseBackupOptions, Contents, WalSegment};
use offshoot_engine::commit_times::{CommitsAround, LsnAtTime, from_unix_micros};
use offshoot_engine::import::ImportOptions;
use offshoot_engine::{
    Collected as EngineCollected, KeyFilterOptions, Measured as EngineMeasured, PageSource,
    PagesReply, ReadCounts, Reclaimed as EngineReclaimed, StoreOptions, TIME_BOUNDS_NS,
    TIMELINE_BOUNDS, TimelineSpec, Usage, Window,
};
use offshoot_pageproto::Version;
use offshoot_wal::WalParams;

use crate::failure::Failure;
use crate::import_session::ImportSession;
use crate::numbers::{bigint, lsn, signed, unsigned};
use crate::retention::{HoldersOptions, LookOptions, PortionOptions};
use crate::tar_stream::TarStream;
use crate::wal_follower::{self, WalFollower, WalLogOptions};
use crate::work::{Reply, Work, now, promise};

/// Limits of a tenant's store.
#[napi(object)]
pub struct TenantOptions {
    /// First size of the store's memory map; it grows by itself.
    pub map_size_initial_bytes: f64,
    /// Snapshots at one time.
    pub readers_max: u32,
    /// Memory for pages that took redo to make.
    pub page_cache_bytes: f64,
    /// Memory for what is known of which pages timelines have.
    pub key_filter_bytes: f64,
}

/// What the catalog knows of a timeline.
#[napi(object)]
pub struct TimelineOptions {
    pub index: u32,
    /// Both or none: the timeline it branched from, and the last LSN they have in common.
    pub parent_index: Option<u32>,
    pub ancestor_lsn: Option<BigInt>,
    pub last_record_lsn: BigInt,
    pub readable_from: BigInt,
}

/// Answers to a batch of page requests.
#[napi(object, object_from_js = false)]
pub struct PagesAnswer {
    /// Whole CopyData messages, in the order of the requests.
    pub reply: Buffer,
    /// Requests that `reply` answers. When neither of the next two is set and requests are left, the
    /// reply was full: ask again with the rest.
    pub handled: u32,
    /// The request after those needs lastRecordLsn to reach this.
    pub wait_for: Option<BigInt>,
    /// The request after those is malformed.
    pub failure: Option<Failure>,
}

#[napi(object)]
pub struct BackupOptions {
    /// The newest when absent.
    pub lsn: Option<BigInt>,
    /// `full` has all relation files.
    #[napi(ts_type = "'base' | 'full'")]
    pub kind: String,
    /// `first-page`: the WAL segment ends behind its first page.
    #[napi(ts_type = "'whole-segment' | 'first-page'")]
    pub wal: String,
    /// A replica's directory is the same: replication slots, which it must not have, are never in it.
    pub replica: bool,
}

#[napi(object)]
pub struct ImportSettings {
    /// The timeline that the import becomes.
    pub index: u32,
    pub start_lsn: BigInt,
    /// Postgres' timeline number (TLI).
    pub timeline_id: u32,
    pub segment_bytes: u32,
    pub major: u32,
    pub system_id: BigInt,
}

#[napi(object)]
pub struct TenantStats {
    pub used_bytes: f64,
    /// Of the file, room that deletions have left included.
    pub file_bytes: f64,
    pub map_bytes: f64,
    /// Page versions stored one by one.
    pub versions: f64,
    /// Runs of up to 16 page versions stored as one.
    pub extents: f64,
}

/// How pages were made that page requests have asked for, since the tenant was opened. Each page is in one bucket.
#[napi(object, object_from_js = false)]
pub struct PageReads {
    pub sources: Vec<PageReadsBySource>,
    /// Upper bounds of the buckets of `sources`, in seconds; the last bucket has none.
    pub seconds_bounds: Vec<f64>,
    /// Upper bounds of `timelines`; the last bucket has none.
    pub timelines_bounds: Vec<f64>,
    /// Pages by how many timelines were looked at for them.
    pub timelines: Vec<f64>,
    pub timelines_sum: f64,
    /// Records that were applied.
    pub records: f64,
    /// Pages that could not be made.
    pub errors: f64,
    /// Bytes of pages that took redo to make, and are kept.
    pub cached_bytes: f64,
}

#[napi(object, object_from_js = false)]
pub struct PageReadsBySource {
    /// Where they came from: `zeros`, `image`, `redo`, `cache`.
    pub source: String,
    pub buckets: Vec<f64>,
    pub seconds_sum: f64,
}

/// Names, the likeliest first.
#[napi(object, object_from_js = false)]
pub struct LoginCandidates {
    /// Superusers, then roles that may do replication.
    pub users: Vec<String>,
    pub databases: Vec<String>,
}

/// Whether there is a role of a name.
#[napi(object, object_from_js = false)]
pub struct NamedRole {
    pub is_there: bool,
    /// What `COMMENT ON ROLE` says of it.
    pub comment: Option<String>,
}

/// An open store; see `openTenant`.
#[napi]
pub struct Tenant {
    engine: Arc<offshoot_engine::Tenant>,
}

/// Opens the store in `dir`, which is made if it is not there.
#[napi(ts_return_type = "Promise<Tenant>")]
pub fn open_tenant(dir: String, options: TenantOptions) -> AsyncTask<Work<Tenant>> {
    promise(move || {
        let options = offshoot_engine::TenantOptions {
            store: StoreOptions {
                map_size_initial_bytes: options.map_size_initial_bytes as usize,
                readers_max: options.readers_max,
                ..StoreOptions::default()
            },
            page_cache_bytes: options.page_cache_bytes as u64,
            key_filters: KeyFilterOptions {
                bytes_max: options.key_filter_bytes as u64,
                ..KeyFilterOptions::default()
            },
        };
        let engine = offshoot_engine::Tenant::open(&PathBuf::from(dir), options)?;
        Ok(Tenant {
            engine: Arc::new(engine),
        })
    })
}

#[napi]
impl Tenant {
    /// Makes a timeline known; its parent must be. Its last record may be a later one that is in the store.
    /// Again: moves lastRecordLsn and readableFrom.
    #[napi]
    pub fn attach(&self, env: &Env, spec: TimelineOptions) -> napi::Result<()> {
        now(env, || {
            let parent = match (spec.parent_index, &spec.ancestor_lsn) {
                (None, None) => None,
                (Some(index), Some(ancestor)) => Some((index, lsn("ancestorLsn", ancestor)?)),
                _ => {
                    return Err(Failure::argument(
                        "parentIndex and ancestorLsn belong together",
                    ));
                }
            };
            self.engine.attach_stored(&TimelineSpec {
                index: spec.index,
                parent,
                last_record_lsn: lsn("lastRecordLsn", &spec.last_record_lsn)?,
                readable_from: lsn("readableFrom", &spec.readable_from)?,
            })?;
            Ok(())
        })
    }

    /// Forgets a timeline; its data stays in the store.
    #[napi]
    pub fn detach(&self, env: &Env, index: u32) -> napi::Result<()> {
        now(env, || {
            self.engine.detach(index);
            Ok(())
        })
    }

    /// `frames`: whole CopyData messages back to back, each a pagestream request of `version`.
    #[napi(ts_return_type = "Promise<PagesAnswer>")]
    pub fn pages(
        &self,
        index: u32,
        version: u32,
        frames: Uint8Array,
    ) -> AsyncTask<Work<PagesReply>> {
        let engine = Arc::clone(&self.engine);
        promise(move || {
            let known = u8::try_from(version).ok().and_then(Version::from_number);
            let unknown = || Failure::argument(format!("pagestream version {version} is unknown"));
            Ok(engine.pages(index, known.ok_or_else(unknown)?, &frames)?)
        })
    }

    /// The forks that a database has in a tablespace, 13 bytes each, big-endian: relnode u32, fork u8,
    /// blocks u32, reserved u32.
    #[napi(ts_return_type = "Promise<Buffer>")]
    pub fn relations(&self, index: u32, spc: u32, db: u32, at: BigInt) -> AsyncTask<Work<Vec<u8>>> {
        let engine = Arc::clone(&self.engine);
        promise(move || {
            let view = engine.readable_view(index, Some(lsn("lsn", &at)?))?;
            Ok(view.relations_listing(spc, db)?)
        })
    }

    /// Who may log in where at an LSN which can be read.
    #[napi(ts_return_type = "Promise<LoginCandidates>")]
    pub fn login_candidates(
        &self,
        index: u32,
        at: BigInt,
    ) -> AsyncTask<Work<offshoot_engine::LoginCandidates>> {
        let engine = Arc::clone(&self.engine);
        promise(move || {
            let view = engine.readable_view(index, Some(lsn("lsn", &at)?))?;
            Ok(view.login_candidates()?)
        })
    }

    /// Whether there is a role of that name at an LSN which can be read.
    #[napi(ts_return_type = "Promise<NamedRole>")]
    pub fn named_role(
        &self,
        index: u32,
        at: BigInt,
        name: String,
    ) -> AsyncTask<Work<Option<offshoot_engine::NamedRole>>> {
        let engine = Arc::clone(&self.engine);
        promise(move || {
            let view = engine.readable_view(index, Some(lsn("lsn", &at)?))?;
            Ok(view.named_role(&name)?)
        })
    }

    /// Begins a tar archive of a data directory.
    #[napi(ts_return_type = "Promise<TarStream>")]
    pub fn base_backup(&self, index: u32, options: BackupOptions) -> AsyncTask<Work<TarStream>> {
        let engine = Arc::clone(&self.engine);
        promise(move || {
            let options = backup_options(&options)?;
            Ok(TarStream::new(engine.base_backup(index, &options)?))
        })
    }

    /// Opens the WAL log of a timeline, and indexes what is in it. `onProgress` hears of each commit: how far
    /// the store has come, and before which byte of the log everything is settled; and of 0, 0 when indexing
    /// ended for good.
    #[napi(ts_return_type = "Promise<WalFollower>")]
    pub fn follow_wal(
        &self,
        options: WalLogOptions,
        on_progress: Function<'_, FnArgs<(BigInt, BigInt)>, ()>,
    ) -> napi::Result<AsyncTask<Work<WalFollower>>> {
        wal_follower::follow(&self.engine, options, &on_progress)
    }

    /// Begins to import a cluster as a new root timeline.
    #[napi]
    pub fn begin_import(&self, env: &Env, options: ImportSettings) -> napi::Result<ImportSession> {
        now(env, || {
            let wal = WalParams {
                major: options.major,
                system_id: unsigned("systemId", &options.system_id)?,
                seg_size: options.segment_bytes,
                tli: options.timeline_id,
            };
            let options = ImportOptions {
                index: options.index,
                start_lsn: lsn("startLsn", &options.start_lsn)?,
                wal,
            };
            Ok(ImportSession::new(self.engine.begin_import(options)?))
        })
    }

    #[napi(ts_return_type = "Promise<TenantStats>")]
    pub fn stats(&self) -> AsyncTask<Work<Usage>> {
        let engine = Arc::clone(&self.engine);
        promise(move || Ok(engine.stats()?))
    }

    #[napi]
    pub fn page_reads(&self) -> PageReads {
        page_reads(&self.engine.read_counts(), self.engine.cached_bytes())
    }

    /// Indexes of the timelines that have anything in the store, attached or not.
    #[napi(ts_return_type = "Promise<Array<number>>")]
    pub fn stored_timelines(&self) -> AsyncTask<Work<Vec<u32>>> {
        let engine = Arc::clone(&self.engine);
        promise(move || Ok(engine.stored_timelines()?))
    }

    /// Removes a portion of what a detached timeline has in the store.
    #[napi(ts_return_type = "Promise<Reclaimed>")]
    pub fn reclaim(&self, index: u32, portion: PortionOptions) -> AsyncTask<Work<EngineReclaimed>> {
        let engine = Arc::clone(&self.engine);
        promise(move || Ok(engine.reclaim(index, portion.into())?))
    }

    /// Nothing else can be read of a timeline from now on. `kept`: LSNs before `readableFrom`.
    #[napi]
    pub fn narrow_window(
        &self,
        env: &Env,
        index: u32,
        readable_from: BigInt,
        kept: Vec<BigInt>,
    ) -> napi::Result<()> {
        now(env, || {
            let readable_from = lsn("readableFrom", &readable_from)?;
            let kept = kept.iter().map(|kept| lsn("kept", kept));
            let kept = kept.collect::<Result<Vec<_>, _>>()?;
            Ok(self
                .engine
                .narrow_window(index, Window::new(readable_from, kept))?)
        })
    }

    /// Removes some of what cannot be read of a timeline, and counts what stays for holders of single LSNs; without
    /// `cursor` from the beginning.
    #[napi(ts_return_type = "Promise<Collected>")]
    pub fn collect(
        &self,
        index: u32,
        cursor: Option<Uint8Array>,
        look: LookOptions,
        holders: HoldersOptions,
    ) -> AsyncTask<Work<EngineCollected>> {
        let engine = Arc::clone(&self.engine);
        promise(move || {
            let cursor = cursor.as_deref().unwrap_or_default();
            Ok(engine.collect(index, cursor, look.into(), &holders.try_into()?)?)
        })
    }

    /// Counts some of a timeline's entries; without `cursor` from the first.
    #[napi(ts_return_type = "Promise<Measured>")]
    pub fn measure(
        &self,
        index: u32,
        cursor: Option<Uint8Array>,
        entries_max: u32,
    ) -> AsyncTask<Work<EngineMeasured>> {
        let engine = Arc::clone(&self.engine);
        promise(move || {
            let cursor = cursor.as_deref().unwrap_or_default();
            Ok(engine.measure(index, cursor, entries_max as usize)?)
        })
    }

    /// End of the last record that is in the store.
    #[napi]
    pub fn last_record_lsn(&self, env: &Env, index: u32) -> napi::Result<BigInt> {
        now(env, || {
            Ok(bigint(self.engine.timeline(index)?.last_record_lsn()))
        })
    }

    /// Where a timeline is as it was at `time`, by the clock of who wrote its WAL.
    #[napi(ts_return_type = "Promise<TimeAnswer>")]
    pub fn lsn_at_time(&self, index: u32, time: BigInt) -> AsyncTask<Work<LsnAtTime>> {
        let engine = Arc::clone(&self.engine);
        promise(move || {
            let time = from_unix_micros(signed("time", &time)?);
            Ok(engine.lsn_at_time(index, time)?)
        })
    }

    /// The last commit that is in at an LSN which can be read, and the first that is not.
    #[napi(ts_return_type = "Promise<CommitsAnswer>")]
    pub fn commits_around(&self, index: u32, at: BigInt) -> AsyncTask<Work<CommitsAround>> {
        let engine = Arc::clone(&self.engine);
        promise(move || Ok(engine.commits_around(index, lsn("lsn", &at)?)?))
    }

    /// Waits for what is being read or written.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn close(&self) -> AsyncTask<Work<()>> {
        let engine = Arc::clone(&self.engine);
        promise(move || Ok(engine.close()?))
    }
}

fn page_reads(counts: &ReadCounts, cached_bytes: u64) -> PageReads {
    let numbers = |counts: &[u64]| counts.iter().map(|count| *count as f64).collect();
    let seconds = |ns: u64| ns as f64 / 1e9;
    let of = |source: PageSource| PageReadsBySource {
        source: source.name().to_owned(),
        buckets: numbers(&counts.times[source as usize]),
        seconds_sum: seconds(counts.time_ns[source as usize]),
    };
    PageReads {
        sources: PageSource::ALL.map(of).into(),
        seconds_bounds: TIME_BOUNDS_NS.iter().map(|ns| seconds(*ns)).collect(),
        timelines_bounds: numbers(&TIMELINE_BOUNDS),
        timelines: numbers(&counts.timelines),
        timelines_sum: counts.timelines_sum as f64,
        records: counts.records as f64,
        errors: counts.errors as f64,
        cached_bytes: cached_bytes as f64,
    }
}

fn backup_options(options: &BackupOptions) -> Result<BaseBackupOptions, Failure> {
    let unknown =
        |name: &str, found: &str| Failure::argument(format!("{name} '{found}' is unknown"));
    Ok(BaseBackupOptions {
        lsn: options
            .lsn
            .as_ref()
            .map(|found| lsn("lsn", found))
            .transpose()?,
        contents: match options.kind.as_str() {
            "base" => Contents::Base,
            "full" => Contents::Full,
            other => return Err(unknown("kind", other)),
        },
        wal: match options.wal.as_str() {
            "whole-segment" => WalSegment::Whole,
            "first-page" => WalSegment::FirstPage,
            other => return Err(unknown("wal", other)),
        },
    })
}

impl Reply for Tenant {
    type Js = Tenant;

    fn into_js(self) -> Tenant {
        self
    }
}

impl Reply for Vec<u8> {
    type Js = Buffer;

    fn into_js(self) -> Buffer {
        Buffer::from(self)
    }
}

impl Reply for offshoot_engine::LoginCandidates {
    type Js = LoginCandidates;

    fn into_js(self) -> LoginCandidates {
        LoginCandidates {
            users: self.users,
            databases: self.databases,
        }
    }
}

impl Reply for Option<offshoot_engine::NamedRole> {
    type Js = NamedRole;

    fn into_js(self) -> NamedRole {
        NamedRole {
            is_there: self.is_some(),
            comment: self.and_then(|role| role.comment),
        }
    }
}

impl Reply for PagesReply {
    type Js = PagesAnswer;

    fn into_js(self) -> PagesAnswer {
        PagesAnswer {
            reply: Buffer::from(self.reply),
            // A batch is one buffer, which cannot hold that many.
            handled: u32::try_from(self.handled).unwrap_or(u32::MAX),
            wait_for: self.wait_for.map(bigint),
            failure: self
                .failure
                .map(|error| Failure::new("malformed_request", error.to_string())),
        }
    }
}

impl Reply for Usage {
    type Js = TenantStats;

    fn into_js(self) -> TenantStats {
        let [versions, _sizes, _files, extents] = self.entries;
        TenantStats {
            used_bytes: self.used_bytes as f64,
            file_bytes: self.file_bytes as f64,
            map_bytes: self.map_bytes as f64,
            versions: versions as f64,
            extents: extents as f64,
        }
    }
}
