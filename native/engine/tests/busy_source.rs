//! A real cluster is imported while it is busy. At the end of its WAL every page is what the source's files
//! hold; only one of a database made of another's files may be refused. Needs `OFFSHOOT_TEST_PG_BINDIR`, as
//! `cluster` says. `OFFSHOOT_TEST_BUSY_ROUNDS` repeats it.

#![allow(clippy::unwrap_used, clippy::panic)]

mod cluster;
mod same_page;

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cluster::{Postgres, Running, lsn_in_manifest, postgres, wal_from};
use offshoot_engine::import::{ImportOptions, Imported};
use offshoot_engine::{EngineError, FileKey, FileKind, StoreOptions, Tenant, TimelineSpec, View};
use offshoot_layout::relfile::{DEFAULT_TABLESPACE_OID, GLOBAL_TABLESPACE_OID};
use offshoot_layout::{
    BLCKSZ, BlockKey, ControlFile, Fork, Lsn, Page, RelFile, RelKey, SlruKind, page, wal_page,
};
use offshoot_redo::RedoError;
use offshoot_wal::{WalDecoder, WalParams};
use tempfile::TempDir;

const INDEX: u32 = 1;
const SETTINGS: &str = "-c max_prepared_transactions=5 -c autovacuum_naptime=1s -c wal_keep_size=8GB \
    -c fsync=off -c checkpoint_timeout=30s -c track_commit_timestamp=on -c max_wal_size=64MB \
    -c shared_buffers=4MB";

const SETUP: &str = "
    create table pages(id int primary key, filler text);
    insert into pages select i, repeat(md5(i::text), 20) from generate_series(1, 60000) i;
    create table busy(id serial primary key, v int, t text);
    insert into busy(v, t) select i, repeat('x', i % 300) from generate_series(1, 20000) i;
    create index on busy(v);
    create index on busy using gin(to_tsvector('simple', t));
    create table parent(id int primary key);
    insert into parent select generate_series(1, 200);
    create table child(id serial, parent int references parent);
    create unlogged table scratch(id int primary key, t text);
    insert into scratch select i, 'x' from generate_series(1, 5000) i;
    create table shrinks(id int, t text);
    insert into shrinks select i, repeat('y', 500) from generate_series(1, 20000) i;";

/// Each is run over and over by one session while the backup is taken; `{n}` counts.
const WORK: [&str; 10] = [
    "update busy set v = v + 1, t = t || 'y' where id % 97 = {n} % 97;
     insert into busy(v, t) select {n}, 'new' from generate_series(1, 50);
     delete from busy where id % 501 = {n} % 501;",
    "create table made_{n}(a int primary key, b text);
     insert into made_{n} select i, repeat('z', 100) from generate_series(1, 3000) i;
     truncate made_{n}; insert into made_{n} values (1, 'a');
     alter table made_{n} add column c int default 3; vacuum full made_{n};
     begin; drop table made_{n}; create table made_{n}(a int); rollback;",
    "drop table if exists made_{n}; vacuum (freeze) busy; reindex table busy; analyze;",
    "delete from shrinks where id > 3000 + 137 * ({n} % 20);
     vacuum (truncate on) shrinks;
     insert into shrinks select i, repeat('y', 500) from generate_series(4000, 12000) i;",
    "create database copied template template1 strategy file_copy;
     create database logged template template1 strategy wal_log;
     drop database copied; drop database logged;",
    "begin; insert into child(parent) select id from parent; savepoint a;
     select count(*) from (select * from parent for share) x; release a; commit;
     begin; insert into child(parent) values (1); prepare transaction 'p{n}';
     commit prepared 'p{n}';
     begin; insert into child(parent) values (2); prepare transaction 'q{n}';",
    "rollback prepared 'q{n}'; select pg_sleep(0.3);",
    "create unlogged table u_{n}(id int primary key); insert into u_{n} select generate_series(1, 999);
     alter table u_{n} set logged; alter table u_{n} set unlogged; drop table u_{n};
     truncate scratch; insert into scratch select i, 'x' from generate_series(1, 5000) i;",
    "checkpoint; select pg_switch_wal(); select pg_sleep(1);",
    // A database of which others are made by its files, and which changes before and after.
    "\\c origin
     update changing set v = v + 1 where id % 7 = {n} % 7;
     \\c postgres
     create database kept_{n} template origin strategy file_copy;
     \\c origin
     update changing set v = v + 1 where id % 5 = {n} % 5; vacuum changing;
     \\c kept_{n}
     update changing set v = v + 1 where id % 3 = 0; select pg_sleep(3);",
];

fn work(postgres: &Postgres, script: &str, stop: &AtomicBool) {
    let mut n = 0;
    while !stop.load(Ordering::Relaxed) {
        n += 1;
        let script = script.replace("{n}", &n.to_string());
        // Statement by statement, and whatever fails: sessions get into each other's way.
        let mut psql = postgres.program("psql");
        let psql = psql.args(["-Xq", "-v", "ON_ERROR_STOP=0", "-f", "-"]);
        let psql = psql.stdin(std::process::Stdio::piped());
        let psql = psql.stdout(std::process::Stdio::null());
        let mut psql = psql.stderr(std::process::Stdio::null()).spawn().unwrap();
        let mut input = psql.stdin.take().unwrap();
        std::io::Write::write_all(&mut input, script.as_bytes()).unwrap();
        drop(input);
        psql.wait().unwrap();
    }
}

/// Makes the source, and takes its backup while it is busy. Answers which databases were made of another's
/// files.
fn back_up(postgres: &Postgres, checksums: bool, tablespace: &Path) -> HashSet<u32> {
    let mut arguments = vec!["-D", "source", "-U", "postgres", "--no-sync"];
    if checksums {
        arguments.push("-k");
    }
    postgres.run("initdb", &arguments);
    postgres.start("source", SETTINGS);
    let _running = Running(postgres, "source");
    postgres.sql(SETUP);
    let location = tablespace.display();
    postgres.sql(&format!(
        "create tablespace elsewhere location '{location}'"
    ));
    postgres.sql("create table far(a int) tablespace elsewhere");
    postgres.sql("insert into far select generate_series(1, 5000)");
    postgres.sql("create database origin");
    let changing =
        "create table changing(id int primary key, v int, t text) with (vacuum_truncate = off);
        insert into changing select i, 0, repeat('o', 300) from generate_series(1, 5000) i; vacuum";
    for statement in changing.split(';') {
        postgres.run("psql", &["-Xq", "-d", "origin", "-c", statement]);
    }
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for script in WORK {
            scope.spawn(|| work(postgres, script, &stop));
        }
        std::thread::sleep(std::time::Duration::from_secs(2));
        let rate = ["-r", "12M"];
        let arguments = [
            &["-D", "backup", "-Ft", "-X", "none", "-c", "fast"][..],
            &rate,
        ];
        let output = postgres
            .program("pg_basebackup")
            .args(arguments.concat())
            .output();
        stop.store(true, Ordering::Relaxed);
        let output = output.unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    });
    let copied = "select oid from pg_database where datname ~ '^(kept|copied)'";
    let copied = postgres.sql(copied);
    copied.lines().map(|oid| oid.parse().unwrap()).collect()
}

/// End of the shutdown checkpoint's record, where the source's WAL ends.
fn end_of(control: &ControlFile) -> Lsn {
    const RECORD_BYTES: u64 = 120;
    let start = control.check_point.0;
    let page = wal_page::XLOG_BLCKSZ as u64;
    let left = page - start % page;
    match RECORD_BYTES <= left {
        true => Lsn(start + RECORD_BYTES),
        false => {
            let next = Lsn(start + left);
            let header = wal_page::header_size_at(next, control.xlog_seg_size) as u64;
            Lsn(next.0 + header + RECORD_BYTES - left)
        }
    }
}

fn import(
    postgres: &Postgres,
    tenant: &Arc<Tenant>,
) -> Result<(Imported, HintImages), EngineError> {
    let source = postgres.dir.join("source");
    let control = fs::read(source.join("global/pg_control")).unwrap();
    let control = ControlFile::parse(&control).unwrap();
    let manifest = fs::read_to_string(postgres.dir.join("backup/backup_manifest")).unwrap();
    let start_lsn = lsn_in_manifest(&manifest, "Start-LSN");
    let backup_end = lsn_in_manifest(&manifest, "End-LSN");
    let wal = WalParams {
        major: 15,
        system_id: control.system_identifier,
        seg_size: control.xlog_seg_size,
        tli: 1,
    };
    let options = ImportOptions {
        index: INDEX,
        start_lsn,
        wal,
    };
    let mut session = tenant.begin_import(options)?;
    for archive in fs::read_dir(postgres.dir.join("backup")).unwrap() {
        let path = archive.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let Some(name) = name.strip_suffix(".tar") else {
            continue;
        };
        session.begin_archive(name.parse().unwrap_or(0))?;
        for chunk in fs::read(&path).unwrap().chunks(1 << 20) {
            session.write(chunk)?;
        }
    }
    session.finish_backup()?;
    let mut left = (end_of(&control).0 - start_lsn.0) as usize;
    let mut hints = HintImages::new(wal, start_lsn);
    for part in wal_from(&source, start_lsn, &wal) {
        let part = &part[..part.len().min(left)];
        left -= part.len();
        hints.add(part);
        for chunk in part.chunks(1 << 20) {
            session.wal(chunk)?;
        }
    }
    let imported = session.finish(backup_end)?;
    assert_eq!(imported.last_record_lsn, end_of(&control));
    tenant.attach(&TimelineSpec {
        index: INDEX,
        parent: None,
        last_record_lsn: imported.last_record_lsn,
        readable_from: backup_end,
    })?;
    Ok((imported, hints))
}

/// Pages logged whole because a hint was set, and the ends of these records. If such a page was dirty
/// already (another session hinted it, or a checkpoint is just writing it), the source does not stamp it
/// with the record, while redo does: the one case in which our page is newer than the source's.
struct HintImages {
    decoder: WalDecoder,
    ends: HashSet<(BlockKey, Lsn)>,
}

impl HintImages {
    const RM_XLOG: u8 = 0;
    const XLOG_FPI_FOR_HINT: u8 = 0xA0;

    fn new(wal: WalParams, start: Lsn) -> HintImages {
        HintImages {
            decoder: WalDecoder::new(wal, start, None).unwrap(),
            ends: HashSet::new(),
        }
    }

    fn add(&mut self, bytes: &[u8]) {
        self.decoder.feed(bytes);
        while let Some(record) = self.decoder.next().unwrap() {
            if (record.rmid, record.opcode()) == (Self::RM_XLOG, Self::XLOG_FPI_FOR_HINT) {
                let blocks = record.blocks.iter().filter(|block| block.image.is_some());
                self.ends
                    .extend(blocks.map(|block| (block.key, record.end)));
            }
        }
    }

    fn explain(&self, key: &BlockKey, ours: &Page, theirs: &Page) -> bool {
        let mut unstamped = *ours;
        page::set_pd_lsn(&mut unstamped, page::pd_lsn(theirs));
        page::pd_lsn(theirs) < page::pd_lsn(ours)
            && self.ends.contains(&(*key, page::pd_lsn(ours)))
            && same_page::but_for_hints(key.rel.fork, &unstamped, theirs)
    }
}

/// Every relation file of a data directory, by fork; segments back to back.
fn relation_files(data: &Path) -> BTreeMap<RelKey, BTreeMap<u32, PathBuf>> {
    let mut found: BTreeMap<RelKey, BTreeMap<u32, PathBuf>> = BTreeMap::new();
    let mut directories = vec![data.to_path_buf()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
                continue;
            }
            let relative = path.strip_prefix(data).unwrap().to_str().unwrap();
            if let Some(file) = RelFile::parse(relative.as_bytes(), 15) {
                found
                    .entry(file.rel)
                    .or_default()
                    .insert(file.segment, path);
            }
        }
    }
    found
}

struct Tally {
    hints: HintImages,
    pages: u64,
    same: u64,
    masked: u64,
    hinted_while_dirty: u64,
    empty: u64,
    /// Databases that were made of another's files: of them alone pages may be refused.
    copied: HashSet<u32>,
    refused: u64,
    wrong: Vec<String>,
}

impl Tally {
    fn new(hints: HintImages, copied: HashSet<u32>) -> Tally {
        Tally {
            hints,
            pages: 0,
            same: 0,
            masked: 0,
            hinted_while_dirty: 0,
            empty: 0,
            copied,
            refused: 0,
            wrong: Vec::new(),
        }
    }

    fn page(&mut self, view: &View, key: &BlockKey, expected: &Page) {
        self.pages += 1;
        let mut made: Page = [0xEE; BLCKSZ];
        match view.page(key, &mut made) {
            Err(EngineError::Redo(RedoError::Unsupported { .. }))
                if self.copied.contains(&key.rel.dbnode) =>
            {
                self.refused += 1;
            }
            Err(error) => self.wrong.push(format!("{key}: {error}")),
            Ok(()) if made == *expected => self.same += 1,
            Ok(()) if same_page::both_empty(&made, expected) => self.empty += 1,
            Ok(()) if same_page::but_for_hints(key.rel.fork, &made, expected) => self.masked += 1,
            Ok(()) if self.is_visible_early(key, &made, expected) => self.masked += 1,
            Ok(()) if self.hints.explain(key, &made, expected) => self.hinted_while_dirty += 1,
            Ok(()) => {
                let first = made.iter().zip(expected).position(|(a, b)| a != b);
                let (ours, theirs) = (same_page::describe(&made), same_page::describe(expected));
                self.wrong
                    .push(format!("{key}: {ours}, not {theirs}; from byte {first:?}"));
            }
        }
    }

    /// A copy may know of a page as all visible when its source became so after the copy.
    fn is_visible_early(&self, key: &BlockKey, made: &Page, expected: &Page) -> bool {
        let mut visible = *expected;
        page::set_pd_flags(
            &mut visible,
            page::pd_flags(expected) | page::PD_ALL_VISIBLE,
        );
        self.copied.contains(&key.rel.dbnode)
            && same_page::but_for_hints(key.rel.fork, made, &visible)
    }

    /// Pages behind the end of a copied relation: the source was longer when the backup read it.
    fn is_behind_copy(&self, view: &View, rel: &RelKey, blocks: std::ops::Range<u32>) -> bool {
        let nothing = |block| {
            let mut made: Page = [0xEE; BLCKSZ];
            match view.page(&BlockKey { rel: *rel, block }, &mut made) {
                Err(EngineError::Redo(RedoError::Unsupported { .. })) => true,
                page => page.is_ok() && made == [0; BLCKSZ],
            }
        };
        self.copied.contains(&rel.dbnode) && blocks.into_iter().all(nothing)
    }

    fn relations(&mut self, view: &View, data: &Path) {
        let files = relation_files(data);
        let unlogged = |rel: &RelKey| {
            let init = RelKey {
                fork: Fork::Init,
                ..*rel
            };
            rel.fork != Fork::Init && files.contains_key(&init)
        };
        for (rel, segments) in files.iter().filter(|(rel, _)| !unlogged(rel)) {
            if view.size(rel).unwrap().is_none() && !matches!(rel.fork, Fork::Fsm | Fork::Vm) {
                self.wrong.push(format!("{rel} is missing"));
                continue;
            }
            for (segment, path) in segments {
                let file = RelFile {
                    rel: *rel,
                    segment: *segment,
                };
                let bytes = fs::read(path).unwrap();
                for (block, page) in (file.first_block()..).zip(bytes.as_chunks::<BLCKSZ>().0) {
                    let key = BlockKey { rel: *rel, block };
                    self.page(view, &key, page);
                }
            }
        }
        self.superfluous(view, &files);
    }

    /// What there is and production has not, or is longer than in production.
    fn superfluous(&mut self, view: &View, files: &BTreeMap<RelKey, BTreeMap<u32, PathBuf>>) {
        let mut databases = vec![(GLOBAL_TABLESPACE_OID, 0)];
        let known = view.files(FileKind::Database).unwrap();
        let spaces = view.files(FileKind::TableSpace).unwrap();
        let spaces: Vec<u32> = spaces.iter().map(|(file, _)| file.a).collect();
        for (file, _) in known {
            databases.push((DEFAULT_TABLESPACE_OID, file.b));
            databases.extend(spaces.iter().map(|spc| (*spc, file.b)));
        }
        databases.sort_unstable();
        databases.dedup();
        for (spc, db) in databases {
            for (rel, blocks) in view.relations(spc, db).unwrap() {
                let segments = files.get(&rel);
                let bytes: u64 = segments
                    .into_iter()
                    .flat_map(BTreeMap::values)
                    .map(|path| fs::metadata(path).unwrap().len())
                    .sum();
                // The first file of a dropped table stays, empty, until the next checkpoint: the
                // backup can see one that was dropped just before its start.
                if segments.is_none() && blocks > 0 {
                    let text = format!("{rel}, {blocks} blocks, does not exist in production");
                    self.wrong.push(text);
                } else if u64::from(blocks) > bytes / BLCKSZ as u64
                    && !self.is_behind_copy(view, &rel, (bytes / BLCKSZ as u64) as u32..blocks)
                {
                    self.wrong
                        .push(format!("{rel} has {blocks} blocks, not {bytes} bytes"));
                }
            }
        }
    }

    fn slrus(&mut self, view: &View, data: &Path, control: &ControlFile) {
        for kind in SlruKind::ALL {
            for entry in fs::read_dir(data.join(kind.directory())).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(data).unwrap().to_str().unwrap();
                let (_, segment) = SlruKind::parse_path(name.as_bytes()).unwrap();
                let bytes = fs::read(&path).unwrap();
                for (number, page) in (segment * 32..).zip(bytes.as_chunks::<BLCKSZ>().0) {
                    let mut made = [0xEE; BLCKSZ];
                    match view.slru_page(kind, number, &mut made) {
                        Err(error) => self.wrong.push(format!("{name} page {number}: {error}")),
                        Ok(()) if same_page::of_slru(kind, number, &made, page, control) => {}
                        Ok(()) => {
                            let at = made.iter().zip(page).position(|(a, b)| a != b).unwrap();
                            let (ours, theirs) = (made[at], page[at]);
                            self.wrong.push(format!(
                                "{name} page {number}, byte {at}: {ours:02x}, not {theirs:02x}"
                            ));
                        }
                    }
                }
            }
        }
    }

    fn files(&mut self, view: &View, data: &Path) {
        let mut expected: Vec<_> = fs::read_dir(data.join("pg_twophase")).unwrap().collect();
        let found = view.files(FileKind::TwoPhase).unwrap();
        if found.len() != expected.len() {
            self.wrong
                .push(format!("{} prepared, not {}", found.len(), expected.len()));
        }
        for entry in expected.drain(..).map(Result::unwrap) {
            let name = entry.file_name();
            let xid = u32::from_str_radix(name.to_str().unwrap(), 16).unwrap();
            let content = fs::read(entry.path()).unwrap();
            let file = view
                .file(&FileKey::new(FileKind::TwoPhase, xid, 0))
                .unwrap();
            if file != Some(&content[..]) {
                self.wrong.push(format!("prepared transaction {xid}"));
            }
        }
        for (file, _) in view.files(FileKind::Database).unwrap() {
            let base = match file.a {
                DEFAULT_TABLESPACE_OID => data.join("base"),
                spc => data.join(format!("pg_tblspc/{spc}/PG_15_202209061")),
            };
            let map = fs::read(base.join(file.b.to_string()).join("pg_filenode.map")).ok();
            let known = view
                .file(&FileKey::new(FileKind::RelMap, file.a, file.b))
                .unwrap();
            if map.as_deref() != known {
                self.wrong
                    .push(format!("relation map of {} in {}", file.b, file.a));
            }
        }
    }
}

fn round(checksums: bool) {
    let (postgres, _temporary) = postgres();
    let tablespace = postgres.dir.join("elsewhere");
    fs::create_dir(&tablespace).unwrap();
    postgres.own(&tablespace);
    fs::set_permissions(&tablespace, fs::Permissions::from_mode(0o700)).unwrap();
    let copied = back_up(&postgres, checksums, &tablespace);
    let tenants = TempDir::new().unwrap();
    let options = StoreOptions {
        map_size_initial_bytes: 1 << 20,
        ..StoreOptions::default()
    };
    let tenant = Arc::new(Tenant::open(&tenants.path().join("t"), options).unwrap());
    let (imported, hints) = match import(&postgres, &tenant) {
        Err(EngineError::BadSource(text)) if text.contains("import again") => {
            println!("{text}");
            return;
        }
        imported => imported.unwrap(),
    };
    let source = postgres.dir.join("source");
    let control = ControlFile::parse(&fs::read(source.join("global/pg_control")).unwrap()).unwrap();
    let view = tenant
        .readable_view(INDEX, Some(imported.last_record_lsn))
        .unwrap();
    let mut tally = Tally::new(hints, copied);
    tally.relations(&view, &source);
    tally.slrus(&view, &source, &control);
    tally.files(&view, &source);
    println!(
        "{} pages: {} the same, {} but for hints, {} hinted while dirty, {} empty; {} refused",
        tally.pages, tally.same, tally.masked, tally.hinted_while_dirty, tally.empty, tally.refused
    );
    assert_eq!(tally.wrong, Vec::<String>::new());
}

#[test]
#[ignore = "needs Postgres' client programs: set OFFSHOOT_TEST_PG_BINDIR"]
fn pages_of_a_busy_source_are_right() {
    let rounds = std::env::var("OFFSHOOT_TEST_BUSY_ROUNDS");
    let rounds = rounds.map_or(1, |text| text.parse::<u32>().unwrap());
    for number in 0..rounds {
        round(number % 2 == 0);
    }
}
