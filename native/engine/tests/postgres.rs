//! A real cluster goes in and comes out again: a plain Postgres starts from the full archive, and
//! finds what was there. Needs `OFFSHOOT_TEST_PG_BINDIR`, a directory with Postgres 15 and its client
//! programs; does nothing without it.

#![allow(clippy::unwrap_used, clippy::panic)]

mod cluster;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use cluster::{Postgres, Running, lsn_in_manifest, postgres, wal_from};

use offshoot_engine::base_backup::{BaseBackupOptions, Contents, WalSegment};
use offshoot_engine::import::ImportOptions;
use offshoot_engine::{StoreOptions, Tenant, TimelineSpec};
use offshoot_layout::{ControlFile, Lsn};
use offshoot_wal::WalParams;
use tempfile::TempDir;

const SETTINGS: &str = "-c max_prepared_transactions=5 -c autovacuum=off -c wal_keep_size=1GB";

const SETUP: &str = "
    create table item(id serial primary key, name text, tags int[], place point);
    insert into item(name, tags, place)
        select md5(i::text), array[i, i % 7], point(i, i % 100) from generate_series(1, 20000) i;
    create index on item using hash(name);
    create index on item using gin(tags);
    create index on item using gist(place);
    create index on item using brin(id);
    create unlogged table scratch(id int primary key);
    insert into scratch select generate_series(1, 100);
    create table empty(x int);
    update item set name = name || '!' where id % 9 = 0;
    delete from item where id % 11 = 0;";

/// Order of rows left out: the same on both sides.
const STATE: &str = "select count(*), sum(hashtext(item::text)) from item";

/// Makes the source, takes its backup, and imports both; the source's state.
fn import(postgres: &Postgres, tenant: &Arc<Tenant>) -> String {
    postgres.run(
        "initdb",
        &["-D", "source", "-k", "-U", "postgres", "--no-sync"],
    );
    postgres.start("source", SETTINGS);
    let running = Running(postgres, "source");
    postgres.sql(SETUP);
    postgres.sql("begin; insert into empty values (1); prepare transaction 'later'");
    postgres.sql("vacuum");
    postgres.sql("checkpoint");
    let state = postgres.sql(STATE);
    postgres.run(
        "pg_basebackup",
        &["-D", "backup", "-Ft", "-X", "none", "-c", "fast"],
    );
    drop(running);
    let source = postgres.dir.join("source");
    let control = fs::read(source.join("global/pg_control")).unwrap();
    let control = ControlFile::parse(&control).unwrap();
    let manifest = fs::read_to_string(postgres.dir.join("backup/backup_manifest")).unwrap();
    let start_lsn = lsn_in_manifest(&manifest, "Start-LSN");
    let wal = WalParams {
        major: 15,
        system_id: control.system_identifier,
        seg_size: control.xlog_seg_size,
        tli: 1,
    };
    let mut session = tenant
        .begin_import(ImportOptions {
            index: 1,
            start_lsn,
            wal,
        })
        .unwrap();
    session.begin_archive(0).unwrap();
    for chunk in fs::read(postgres.dir.join("backup/base.tar"))
        .unwrap()
        .chunks(100_000)
    {
        session.write(chunk).unwrap();
    }
    session.finish_backup().unwrap();
    let end_lsn = lsn_in_manifest(&manifest, "End-LSN");
    let mut reached = Lsn::INVALID;
    for part in wal_from(&source, start_lsn, &wal) {
        for chunk in part.chunks(50_000) {
            if reached < end_lsn {
                reached = session.wal(chunk).unwrap().lsn;
            }
        }
    }
    let last_record_lsn = session.finish(end_lsn).unwrap().last_record_lsn;
    let spec = TimelineSpec {
        index: 1,
        parent: None,
        last_record_lsn,
        readable_from: end_lsn,
    };
    tenant.attach(&spec).unwrap();
    state
}

fn unpack_full(postgres: &Postgres, tenant: &Arc<Tenant>) {
    let options = BaseBackupOptions {
        lsn: None,
        contents: Contents::Full,
        wal: WalSegment::Whole,
    };
    let mut backup = tenant.base_backup(1, &options).unwrap();
    let mut archive = Vec::new();
    while let Some(chunk) = backup.next_chunk().unwrap() {
        archive.extend(chunk);
    }
    let clone = postgres.dir.join("clone");
    fs::create_dir(&clone).unwrap();
    fs::set_permissions(&clone, fs::Permissions::from_mode(0o700)).unwrap();
    tar::Archive::new(&archive[..]).unpack(&clone).unwrap();
    postgres.own(&clone);
}

#[test]
fn a_plain_postgres_starts_from_what_was_imported() {
    let Some((postgres, _temporary)) = postgres() else {
        return;
    };
    let tenants = TempDir::new().unwrap();
    let tenant =
        Arc::new(Tenant::open(&tenants.path().join("t"), StoreOptions::default()).unwrap());
    let state = import(&postgres, &tenant);
    unpack_full(&postgres, &tenant);
    postgres.start("clone", SETTINGS);
    let _running = Running(&postgres, "clone");
    assert_eq!(postgres.sql(STATE), state);
    assert_eq!(
        postgres.sql("select count(*) from scratch"),
        "0\n",
        "unlogged: empty"
    );
    postgres.sql("insert into scratch values (1)");
    postgres.sql("commit prepared 'later'");
    assert_eq!(postgres.sql("select count(*) from empty"), "1\n");
    postgres.run(
        "pg_amcheck",
        &["--install-missing", "--heapallindexed", "--all"],
    );
    postgres.sql("insert into item(name) select i::text from generate_series(1, 1000) i");
    postgres.sql("vacuum");
    postgres.stop("clone");
    let checked = postgres.run("pg_checksums", &["-D", "clone"]);
    assert!(checked.contains("Bad checksums:  0"), "{checked}");
}
