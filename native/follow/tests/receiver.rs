//! The receiver and a real Postgres. Needs `OFFSHOOT_TEST_PG_BINDIR`, as `cluster` says.

#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "../../engine/tests/cluster/mod.rs"]
mod cluster;
#[allow(dead_code, reason = "only heap pages are compared here")]
#[path = "../../engine/tests/same_page/mod.rs"]
mod same_page;

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{self, channel};
use std::time::{Duration, Instant};

use cluster::{Postgres, Running, lsn_in_manifest, postgres, wal_from};
use offshoot_engine::import::ImportOptions;
use offshoot_engine::{StoreOptions, Tenant, TimelineSpec};
use offshoot_follow::{
    FollowError, FollowOptions, Follower, Keep, Progress, Receiver, ReceiverEnd, ReceiverOptions,
};
use offshoot_layout::{BLCKSZ, BlockKey, ControlFile, Fork, Lsn, RelKey};
use offshoot_wal::WalParams;
use tempfile::TempDir;

const INDEX: u32 = 1;
const NAME: &str = "offshoot";
const SETTINGS: &str = "-c wal_keep_size=1GB -c synchronous_standby_names=offshoot -c autovacuum=off \
    -c wal_sender_timeout=20s";
const PATIENCE: Duration = Duration::from_secs(60);

/// A real cluster, its import, and a log of what it writes from then on.
struct Source {
    postgres: Postgres,
    tenant: Arc<Tenant>,
    wal: WalParams,
    log: TempDir,
    _temporary: [TempDir; 2],
}

impl Source {
    fn make() -> Source {
        let (postgres, temporary) = postgres();
        postgres.run("initdb", &["-D", "source", "-U", "postgres", "--no-sync"]);
        postgres.start("source", "-c wal_keep_size=1GB");
        postgres.run(
            "pg_basebackup",
            &["-D", "backup", "-Ft", "-X", "none", "-c", "fast"],
        );
        // The backup's end is in no segment that was begun later.
        postgres.sql("select pg_switch_wal()");
        postgres.stop("source");
        let control = fs::read(postgres.dir.join("source/global/pg_control")).unwrap();
        let control = ControlFile::parse(&control).unwrap();
        let wal = WalParams {
            major: 15,
            system_id: control.system_identifier,
            seg_size: control.xlog_seg_size,
            tli: 1,
        };
        let store = TempDir::new().unwrap();
        let tenant = import(&postgres, &store, wal);
        Source {
            postgres,
            tenant,
            wal,
            log: TempDir::new().unwrap(),
            _temporary: [temporary, store],
        }
    }

    fn follow(&self) -> Arc<Follower> {
        let options = FollowOptions {
            index: INDEX,
            keep: Keep::Log(self.log.path().to_path_buf()),
            wal: self.wal,
            wal_start: None,
            index_interval: Duration::from_millis(100),
        };
        let ignore = |_: Result<Progress, &FollowError>| {};
        Arc::new(Follower::open(&self.tenant, &options, Box::new(ignore)).unwrap())
    }

    fn receive(&self, follower: &Arc<Follower>) -> (Receiver, mpsc::Receiver<ReceiverEnd>) {
        let (tell, told) = channel();
        let options = ReceiverOptions {
            socket: self.socket(),
            user: "postgres".to_owned(),
            application_name: NAME.to_owned(),
            slot: "offshoot_slot".to_owned(),
            status_interval: Duration::from_millis(500),
            connect_timeout: Duration::from_secs(10),
        };
        let on_end = move |end| tell.send(end).unwrap();
        let receiver = Receiver::start(Arc::clone(follower), options, on_end).unwrap();
        (receiver, told)
    }

    fn socket(&self) -> PathBuf {
        self.postgres.dir.join(".s.PGSQL.5432")
    }

    fn start(&self) -> Running<'_> {
        self.postgres.start("source", SETTINGS);
        Running(&self.postgres, "source")
    }

    fn flush_lsn(&self) -> Lsn {
        let text = self.postgres.sql("select pg_current_wal_flush_lsn()");
        text.trim().parse().unwrap()
    }

    /// Begins a statement whose commit waits for us.
    fn begin(&self, sql: &str) -> Child {
        let mut psql: Command = self.postgres.program("psql");
        let psql = psql.args(["-Xq", "-v", "ON_ERROR_STOP=1", "-c", sql]);
        let psql = psql.stdout(Stdio::null()).stderr(Stdio::null());
        psql.spawn().unwrap()
    }

    /// What is in the log up to where it was acknowledged is what the server has on disk.
    fn assert_log_is_the_servers(&self, received: Lsn) {
        let segment_bytes = u64::from(self.wal.seg_size);
        let mut compared = 0;
        for entry in fs::read_dir(self.log.path()).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            let Some((_, start)) =
                offshoot_layout::wal_segment::parse_file_name(name, self.wal.seg_size)
            else {
                continue;
            };
            let bytes = received.0.saturating_sub(start.0).min(segment_bytes) as usize;
            if bytes == 0 {
                continue;
            }
            let first = START_OF_LOG.with(|first| first.get().0.saturating_sub(start.0)) as usize;
            let ours = fs::read(&path).unwrap();
            let theirs = self.postgres.dir.join("source/pg_wal").join(name);
            let theirs = fs::read(theirs).unwrap();
            assert!(ours[first..bytes] == theirs[first..bytes], "{name}");
            compared += bytes - first;
        }
        assert!(compared > 0);
    }
}

thread_local! {
    /// Before it, the log has nothing.
    static START_OF_LOG: std::cell::Cell<Lsn> = const { std::cell::Cell::new(Lsn(0)) };
}

fn import(postgres: &Postgres, store: &TempDir, wal: WalParams) -> Arc<Tenant> {
    let options = StoreOptions {
        map_size_initial_bytes: 1 << 20,
        ..StoreOptions::default()
    };
    let tenant = Arc::new(Tenant::open(&store.path().join("t"), options).unwrap());
    let manifest = fs::read_to_string(postgres.dir.join("backup/backup_manifest")).unwrap();
    let start_lsn = lsn_in_manifest(&manifest, "Start-LSN");
    let end = lsn_in_manifest(&manifest, "End-LSN");
    let options = ImportOptions {
        index: INDEX,
        start_lsn,
        wal,
    };
    let mut session = tenant.begin_import(options).unwrap();
    session.begin_archive(0).unwrap();
    session
        .write(&fs::read(postgres.dir.join("backup/base.tar")).unwrap())
        .unwrap();
    session.finish_backup().unwrap();
    let parts = wal_from(&postgres.dir.join("source"), start_lsn, &wal);
    let whole = parts.concat();
    session
        .wal(&whole[..(end.0 - start_lsn.0) as usize])
        .unwrap();
    let last_record_lsn = session.finish(end).unwrap().last_record_lsn;
    tenant
        .attach(&TimelineSpec {
            index: INDEX,
            parent: None,
            last_record_lsn,
            readable_from: end,
        })
        .unwrap();
    START_OF_LOG.with(|first| first.set(last_record_lsn));
    tenant
}

fn settled(follower: &Follower, lsn: Option<Lsn>) {
    let wanted = follower.want(lsn);
    let began = Instant::now();
    while follower.progress().settled < wanted {
        let progress = follower.progress();
        assert!(follower.failure().is_none(), "{:?}", follower.failure());
        assert!(began.elapsed() < 3 * PATIENCE, "{progress:?}, not {wanted}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
#[ignore = "needs Postgres' programs: set OFFSHOOT_TEST_PG_BINDIR"]
fn commits_wait_for_the_log_and_a_shutdown_ends_the_stream() {
    let source = Source::make();
    let running = source.start();
    let mut waiting = source.begin("create table t(id int primary key, v text)");
    std::thread::sleep(Duration::from_millis(1500));
    assert!(waiting.try_wait().unwrap().is_none(), "nobody flushes yet");
    let follower = source.follow();
    let (_receiver, ended) = source.receive(&follower);
    assert!(waiting.wait().unwrap().success());
    for round in 0..30 {
        source.postgres.sql(&format!(
            "insert into t select {round} * 1000 + i, repeat(md5(i::text), 10)
             from generate_series(1, 1000) i"
        ));
        let standby =
            "select flush_lsn from pg_stat_replication where application_name = 'offshoot'";
        let told: Lsn = source.postgres.sql(standby).trim().parse().unwrap();
        assert!(told <= follower.received());
    }
    let lsn = source.flush_lsn();
    settled(&follower, Some(lsn));
    assert!(follower.progress().indexed >= lsn || follower.received() >= lsn);
    let slot = "select active, restart_lsn is not null from pg_replication_slots";
    assert_eq!(source.postgres.sql(slot).trim(), "t|t");
    let path = source.postgres.sql("select pg_relation_filepath('t')");
    drop(running);
    let end = ended.recv_timeout(PATIENCE).unwrap();
    assert!(matches!(end, ReceiverEnd::Ended), "{end:?}");
    settled(&follower, None);
    assert!(follower.failure().is_none());
    source.assert_log_is_the_servers(follower.received());
    assert_table_is_the_servers(&source, path.trim());
}

/// Every page, at the end of the shutdown's checkpoint.
fn assert_table_is_the_servers(source: &Source, path: &str) {
    let numbers: Vec<u32> = path
        .split('/')
        .skip(1)
        .map(|n| n.parse().unwrap())
        .collect();
    let rel = RelKey {
        spcnode: 1663,
        dbnode: numbers[0],
        relnode: numbers[1],
        fork: Fork::Main,
    };
    let view = source.tenant.readable_view(INDEX, None).unwrap();
    let bytes = fs::read(source.postgres.dir.join("source").join(path)).unwrap();
    let pages = bytes.as_chunks::<BLCKSZ>().0;
    assert!(pages.len() > 1000 && view.size(&rel).unwrap() == Some(pages.len() as u32));
    for (block, expected) in (0..).zip(pages) {
        let mut made = [0xEE; BLCKSZ];
        view.page(&BlockKey { rel, block }, &mut made).unwrap();
        assert!(
            made == *expected || same_page::but_for_hints(Fork::Main, &made, expected),
            "block {block}"
        );
    }
}

#[test]
#[ignore = "needs Postgres' programs: set OFFSHOOT_TEST_PG_BINDIR"]
fn a_receiver_that_is_stopped_can_be_followed_by_another() {
    let source = Source::make();
    let running = source.start();
    let follower = source.follow();
    for round in 0..5 {
        let (receiver, ended) = source.receive(&follower);
        source
            .postgres
            .sql(&format!("create table t{round}(a int)"));
        match round % 2 {
            0 => receiver.stop(),
            _ => drop(receiver),
        }
        let end = ended.recv_timeout(PATIENCE).unwrap();
        assert!(matches!(end, ReceiverEnd::Stopped), "{end:?}");
    }
    // The log is opened anew, and the slot goes on.
    let before = follower.received();
    follower.close();
    drop(follower);
    let follower = source.follow();
    assert!(follower.received() <= before);
    let (receiver, ended) = source.receive(&follower);
    source.postgres.sql("create table t9(a int)");
    assert!(follower.received() >= before);
    // A log that takes nothing more fails the receiver, and commits wait again.
    follower.close();
    let mut waiting = source.begin("create table t10(a int)");
    let end = ended.recv_timeout(PATIENCE).unwrap();
    assert!(
        matches!(end, ReceiverEnd::Failed(FollowError::Closed)),
        "{end:?}"
    );
    assert!(waiting.try_wait().unwrap().is_none());
    waiting.kill().unwrap();
    waiting.wait().unwrap();
    drop(receiver);
    source.assert_log_is_the_servers(follower.received());
    drop(running);
}

#[test]
#[ignore = "needs Postgres' programs: set OFFSHOOT_TEST_PG_BINDIR"]
fn what_a_killed_server_has_acknowledged_is_in_the_log() {
    let source = Source::make();
    let running = source.start();
    let follower = source.follow();
    let (_receiver, ended) = source.receive(&follower);
    source.postgres.sql("create table t(a int, b text)");
    let mut acknowledged = Lsn(0);
    for round in 0..20 {
        let sql = "insert into t select i, repeat('x', 1000) from generate_series(1, 500) i
                   returning pg_current_wal_insert_lsn()";
        let lsns = source.postgres.sql(sql);
        acknowledged = lsns.lines().next_back().unwrap().parse().unwrap();
        assert!(follower.received() >= acknowledged, "{round}");
    }
    let mut unfinished = source.begin(
        "do $$ begin for i in 1..10000 loop
             insert into t select j from generate_series(1, 1000) j; perform pg_sleep(0.02);
         end loop; end $$",
    );
    std::thread::sleep(Duration::from_millis(700));
    let pid = fs::read_to_string(source.postgres.dir.join("source/postmaster.pid")).unwrap();
    let pid: i32 = pid.lines().next().unwrap().parse().unwrap();
    // SAFETY: the server that this test started.
    unsafe { libc::kill(pid, libc::SIGKILL) };
    let end = ended.recv_timeout(PATIENCE).unwrap();
    assert!(
        matches!(
            end,
            ReceiverEnd::Ended | ReceiverEnd::Failed(FollowError::Connection(_))
        ),
        "{end:?}"
    );
    unfinished.wait().unwrap();
    settled(&follower, None);
    assert!(follower.received() >= acknowledged && follower.failure().is_none());
    source.assert_log_is_the_servers(follower.received());
    // It recovers, and goes on where the log is.
    let refused = source
        .postgres
        .program("psql")
        .args(["-c", "select 1"])
        .output();
    assert!(!refused.unwrap().status.success());
    let began = Instant::now();
    // SAFETY: asks whether it is still there.
    while unsafe { libc::kill(pid, 0) } == 0 {
        assert!(began.elapsed() < PATIENCE, "{pid}");
        std::thread::sleep(Duration::from_millis(100));
    }
    std::mem::forget(running);
    let running = source.start();
    let (_receiver, ended) = source.receive(&follower);
    source.postgres.sql("insert into t values (1, 'after')");
    drop(running);
    let end = ended.recv_timeout(PATIENCE).unwrap();
    assert!(matches!(end, ReceiverEnd::Ended), "{end:?}");
    settled(&follower, None);
    assert!(follower.failure().is_none());
    source.assert_log_is_the_servers(follower.received());
}

#[test]
#[ignore = "needs Postgres' programs: set OFFSHOOT_TEST_PG_BINDIR"]
fn who_cannot_be_reached_or_refuses_is_said() {
    let source = Source::make();
    let follower = source.follow();
    let options = |user: &str| ReceiverOptions {
        socket: source.socket(),
        user: user.to_owned(),
        application_name: NAME.to_owned(),
        slot: "offshoot_slot".to_owned(),
        status_interval: Duration::from_millis(500),
        connect_timeout: Duration::from_secs(10),
    };
    let start = |user| {
        Receiver::start(Arc::clone(&follower), options(user), |_| {})
            .err()
            .unwrap()
    };
    assert!(matches!(start("postgres"), FollowError::Connection(_)));
    let _running = source.start();
    let error = start("nobody_here");
    assert!(error.to_string().contains("does not exist"), "{error}");
    assert!(matches!(error, FollowError::Refused(_)));
}
