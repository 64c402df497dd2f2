//! A timeline that grows from WAL.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use napi::bindgen_prelude::{AsyncTask, BigInt, Buffer, FnArgs, Function, Uint8Array};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::{Env, Status};
use napi_derive::napi;
use offshoot_engine::Tenant;
use offshoot_follow::{
    FollowError, FollowOptions, Follower, Keep, OnProgress, Progress, Receiver, ReceiverEnd,
    ReceiverOptions,
};
use offshoot_layout::Lsn;
use offshoot_wal::WalParams;
use parking_lot::Mutex;

use crate::failure::Failure;
use crate::numbers::{bigint, lsn, unsigned};
use crate::work::{Reply, Work, now, promise};

/// Longest wait for a compute's walsender while connecting to it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

#[napi(object)]
pub struct WalLogOptions {
    pub index: u32,
    /// Directory of the log; made if it is not there. Absent: WAL waits in memory until it is in the store, and
    /// the source is not told before that it is flushed.
    pub dir: Option<String>,
    /// Postgres' timeline number (TLI).
    pub timeline_id: u32,
    pub segment_bytes: u32,
    pub major: u32,
    pub system_id: BigInt,
    /// LSN of the first record of a WAL that follows on nothing that is there.
    pub wal_start: Option<BigInt>,
    /// Indexed WAL that nobody waits for is committed after so long.
    pub index_interval_ms: u32,
    /// Without a log: WAL that waits in memory; past it there is no room.
    pub waiting_bytes_max: u32,
}

#[napi(object)]
pub struct WalSourceOptions {
    pub socket_path: String,
    pub user: String,
    /// What synchronous_standby_names calls us.
    pub application_name: String,
    pub slot: String,
    /// How often the source hears of us when there is no WAL.
    pub status_interval_ms: u32,
}

type ProgressFunction =
    ThreadsafeFunction<Progress, (), FnArgs<(BigInt, BigInt)>, Status, false, true, 0>;
type EndFunction =
    ThreadsafeFunction<ReceiverEnd, (), FnArgs<(String, Option<Failure>)>, Status, false, true, 0>;

/// A timeline's WAL log while it may grow; see `Tenant.followWal`.
#[napi]
pub struct WalFollower {
    follower: Arc<Follower>,
    receiving: Arc<Mutex<Receiving>>,
}

/// The lock is never held while something is waited for.
#[derive(Default)]
struct Receiving {
    receiver: Option<Receiver>,
    /// Counts starts and stops: a receiver that connected while it was stopped is not wanted any more.
    turn: u64,
}

impl Receiving {
    /// Ends the receiver that there is, if any.
    fn end(&mut self) -> u64 {
        self.receiver = None;
        self.turn += 1;
        self.turn
    }
}

/// Begins to index; `on_progress` hears of every commit, when there is room again, and once more when indexing
/// ends for good.
pub fn follow(
    tenant: &Arc<Tenant>,
    options: WalLogOptions,
    on_progress: &Function<'_, FnArgs<(BigInt, BigInt)>, ()>,
) -> napi::Result<AsyncTask<Work<WalFollower>>> {
    let progress: ProgressFunction = on_progress
        .build_threadsafe_function::<Progress>()
        .callee_handled::<false>()
        .weak::<true>()
        .build_callback(|context| {
            let Progress { indexed, settled } = context.value;
            Ok(FnArgs::from((bigint(indexed), bigint(settled))))
        })?;
    let tenant = Arc::clone(tenant);
    Ok(promise(move || {
        let options = follow_options(&options)?;
        let follower = Follower::open(&tenant, &options, tell(progress))?;
        Ok(WalFollower {
            follower: Arc::new(follower),
            receiving: Arc::default(),
        })
    }))
}

fn tell(progress: ProgressFunction) -> OnProgress {
    Box::new(move |reached| {
        // An end is looked up by whoever is told of a step that is none.
        let none = Progress {
            indexed: Lsn::INVALID,
            settled: Lsn::INVALID,
        };
        let step = reached.unwrap_or(none);
        progress.call(step, ThreadsafeFunctionCallMode::NonBlocking);
    })
}

fn follow_options(options: &WalLogOptions) -> Result<FollowOptions, Failure> {
    let wal_start = options.wal_start.as_ref();
    Ok(FollowOptions {
        index: options.index,
        keep: match &options.dir {
            Some(dir) => Keep::Log(PathBuf::from(dir)),
            None => Keep::Memory {
                bytes_max: options.waiting_bytes_max as usize,
            },
        },
        wal: WalParams {
            major: options.major,
            system_id: unsigned("systemId", &options.system_id)?,
            seg_size: options.segment_bytes,
            tli: options.timeline_id,
        },
        wal_start: wal_start.map(|start| lsn("walStart", start)).transpose()?,
        index_interval: Duration::from_millis(options.index_interval_ms.into()),
    })
}

#[napi]
impl WalFollower {
    /// The next byte wanted; those before it are in the log, on disk, or in memory.
    #[napi]
    pub fn received_lsn(&self) -> BigInt {
        bigint(self.follower.received())
    }

    /// End of the last record that is in the store.
    #[napi]
    pub fn indexed_lsn(&self) -> BigInt {
        bigint(self.follower.progress().indexed)
    }

    /// All bytes of the log before it are indexed, as far as they are whole records.
    #[napi]
    pub fn settled_lsn(&self) -> BigInt {
        bigint(self.follower.progress().settled)
    }

    /// Whether more WAL should be written. If not, `onProgress` says when to ask again.
    #[napi]
    pub fn has_room(&self) -> bool {
        self.follower.has_room()
    }

    /// Why indexing ended for good.
    #[napi]
    pub fn failure(&self) -> Option<Failure> {
        self.follower.failure().map(|error| Failure::from(&*error))
    }

    /// Bodies of a walsender's CopyData messages, in order; they must not change before the promise
    /// settles. Answers the body of the status update to send.
    #[napi(ts_return_type = "Promise<Buffer>")]
    pub fn write(&self, messages: Vec<Uint8Array>) -> AsyncTask<Work<Vec<u8>>> {
        let follower = Arc::clone(&self.follower);
        promise(move || {
            follower.write(messages.iter().map(|message| &message[..]))?;
            Ok(follower.status().to_bytes().to_vec())
        })
    }

    /// The body of a status update.
    #[napi]
    pub fn status(&self) -> Buffer {
        Buffer::from(self.follower.status().to_bytes().to_vec())
    }

    /// Asks that the log be indexed up to `lsn`, or as far as it has come; answers the position that
    /// settledLsn will reach.
    #[napi]
    pub fn want(&self, env: &Env, at: Option<BigInt>) -> napi::Result<BigInt> {
        now(env, || {
            let at = at.as_ref().map(|at| lsn("lsn", at)).transpose()?;
            Ok(bigint(self.follower.want(at)))
        })
    }

    /// Connects to a Postgres of this machine and receives its WAL on a thread of its own. `onEnd` hears
    /// how that ended: `stopped`, `ended` (by the server), or `failed` with the failure.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn start_receiving(
        &self,
        options: WalSourceOptions,
        on_end: Function<'_, FnArgs<(String, Option<Failure>)>, ()>,
    ) -> napi::Result<AsyncTask<Work<()>>> {
        let end: EndFunction = on_end
            .build_threadsafe_function::<ReceiverEnd>()
            .callee_handled::<false>()
            .weak::<true>()
            .build_callback(|context| Ok(FnArgs::from(end_of(context.value))))?;
        let (follower, receiving) = (Arc::clone(&self.follower), Arc::clone(&self.receiving));
        Ok(promise(move || {
            let options = ReceiverOptions {
                socket: PathBuf::from(options.socket_path),
                user: options.user,
                application_name: options.application_name,
                slot: options.slot,
                status_interval: Duration::from_millis(options.status_interval_ms.into()),
                connect_timeout: CONNECT_TIMEOUT,
            };
            let on_end = move |reached| {
                end.call(reached, ThreadsafeFunctionCallMode::NonBlocking);
            };
            let turn = receiving.lock().end();
            let receiver = Receiver::start(follower, options, on_end)?;
            let mut receiving = receiving.lock();
            if receiving.turn == turn {
                receiving.receiver = Some(receiver);
            }
            Ok(())
        }))
    }

    /// Ends receiving soon; `onEnd` hears of it.
    #[napi]
    pub fn stop_receiving(&self) {
        self.receiving.lock().end();
    }

    /// Commits what is indexed and ends. What is in the log is indexed when it is opened again.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn close(&self) -> AsyncTask<Work<()>> {
        let (follower, receiving) = (Arc::clone(&self.follower), Arc::clone(&self.receiving));
        promise(move || {
            receiving.lock().end();
            follower.close();
            Ok(())
        })
    }
}

fn end_of(end: ReceiverEnd) -> (String, Option<Failure>) {
    match end {
        ReceiverEnd::Stopped => ("stopped".to_owned(), None),
        ReceiverEnd::Ended => ("ended".to_owned(), None),
        ReceiverEnd::Failed(error) => ("failed".to_owned(), Some(Failure::from(&error))),
    }
}

impl Reply for WalFollower {
    type Js = WalFollower;

    fn into_js(self) -> WalFollower {
        self
    }
}

impl From<FollowError> for Failure {
    fn from(error: FollowError) -> Failure {
        Failure::from(&error)
    }
}

impl From<&FollowError> for Failure {
    fn from(error: &FollowError) -> Failure {
        let code = match error {
            FollowError::Engine(error) => {
                return Failure::new(crate::failure::code(error), error.to_string());
            }
            error if error.is_disk_full() => "disk_full",
            FollowError::Io { .. } => "io",
            FollowError::Gap { .. } => "wal_gap",
            FollowError::Damaged { .. } => "wal_damaged",
            FollowError::Unindexed { .. } => "argument",
            FollowError::Protocol(_) => "bad_source",
            FollowError::Refused(_) => "source_refused",
            FollowError::Connection(_) => "source_connection",
            FollowError::Closed => "closed",
            FollowError::Panicked(_) => "internal",
        };
        Failure::new(code, error.to_string())
    }
}
