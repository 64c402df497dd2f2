//! The archive of a data directory: what is in it, in which order, and that a start from it is right.

#![allow(clippy::unwrap_used)]

mod source;

use std::collections::HashMap;
use std::io::Read;
use std::sync::Arc;

use offshoot_engine::base_backup::{BaseBackupOptions, Contents, WalSegment};
use offshoot_engine::import::ImportOptions;
use offshoot_engine::{EngineError, Tenant, TimelineSpec};
use offshoot_layout::control::DbState;
use offshoot_layout::{BLCKSZ, ControlFile, Lsn};
use offshoot_wal::WalDecoder;
use source::*;

const BASE: BaseBackupOptions = BaseBackupOptions {
    lsn: None,
    contents: Contents::Base,
    wal: WalSegment::FirstPage,
};
const FULL: BaseBackupOptions = BaseBackupOptions {
    lsn: None,
    contents: Contents::Full,
    wal: WalSegment::Whole,
};
const CHUNK_BYTES_MAX: usize = 1 << 20;

struct Unpacked {
    order: Vec<String>,
    contents: HashMap<String, Vec<u8>>,
}

fn archive_of(tenant: &Arc<Tenant>, index: u32, options: &BaseBackupOptions) -> Vec<u8> {
    let mut backup = tenant.base_backup(index, options).unwrap();
    let mut archive = Vec::new();
    while let Some(chunk) = backup.next_chunk().unwrap() {
        assert!((1..=CHUNK_BYTES_MAX).contains(&chunk.len()));
        archive.extend(chunk);
    }
    assert!(backup.next_chunk().unwrap().is_none());
    archive
}

fn unpack(archive: &[u8]) -> Unpacked {
    let mut unpacked = Unpacked {
        order: Vec::new(),
        contents: HashMap::new(),
    };
    for entry in tar::Archive::new(archive).entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().to_str().unwrap().to_owned();
        let mode = if entry.header().entry_type().is_dir() {
            0o755
        } else {
            0o600
        };
        assert_eq!(entry.header().mode().unwrap(), mode, "{path}");
        unpacked.order.push(path.clone());
        if mode == 0o600 {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            assert!(unpacked.contents.insert(path, bytes).is_none());
        }
    }
    unpacked
}

fn cluster() -> (Arc<Tenant>, tempfile::TempDir) {
    let mut stream = wal();
    for record in [
        image(16384, 0, &page_of(30, Lsn(1))),
        next_oid(30_000),
        commit(1234),
    ] {
        stream.append(&record).unwrap();
    }
    imported(&stream)
}

#[test]
fn a_compute_gets_everything_but_relations() {
    let (tenant, _dir) = cluster();
    let Unpacked { order, contents } = unpack(&archive_of(&tenant, INDEX, &BASE));
    let files: Vec<&str> = order
        .iter()
        .map(String::as_str)
        .filter(|path| contents.contains_key(*path))
        .collect();
    let expected = [
        "pg_hba.conf",
        "pg_ident.conf",
        "postgresql.auto.conf",
        "pg_xact/0000",
        "pg_multixact/members/0000",
        "pg_multixact/offsets/0000",
        "PG_VERSION",
        "global/pg_filenode.map",
        "base/5/PG_VERSION",
        "base/5/pg_filenode.map",
        "base/5/16390_init",
        "base/5/16390",
        "pg_twophase/000003E0",
        "global/pg_control",
        "pg_wal/000000030000000000000031",
    ];
    assert_eq!(files, expected);
    for directory in [
        "pg_wal/archive_status",
        "pg_notify",
        "base/5",
        "pg_tblspc/16500",
    ] {
        assert!(order.iter().any(|path| path == directory), "{directory}");
    }
    assert!(
        order
            .iter()
            .any(|path| path == "pg_tblspc/16500/PG_15_202209061/5")
    );
    assert_eq!(contents["base/5/16390"], contents["base/5/16390_init"]);
    assert_eq!(contents["base/5/pg_filenode.map"], [5; 512]);
    assert_eq!(contents["pg_wal/000000030000000000000031"].len(), BLCKSZ);
}

#[test]
fn a_start_continues_the_timeline_behind_its_end() {
    let (tenant, _dir) = cluster();
    let Unpacked { contents, .. } = unpack(&archive_of(&tenant, INDEX, &FULL));
    let control = ControlFile::parse(&contents["global/pg_control"]).unwrap();
    control.validate(15).unwrap();
    let x = Lsn(0x0310_0028);
    assert_eq!(
        (control.state, control.check_point),
        (DbState::Shutdowned, x)
    );
    assert_eq!(
        (control.min_recovery_point, control.backup_start_point),
        (Lsn(0), Lsn(0))
    );
    assert_eq!(control.system_identifier, PARAMS.system_id);
    let check_point = control.check_point_copy;
    assert_eq!((check_point.redo, check_point.this_timeline_id), (x, 3));
    assert_eq!((check_point.next_xid, check_point.next_oid), (1235, 30_000));
    assert_eq!(
        (check_point.full_page_writes, check_point.oldest_active_xid),
        (false, 0)
    );
    let segment = &contents["pg_wal/000000030000000000000031"];
    assert_eq!(segment.len(), PARAMS.seg_size as usize);
    let mut decoder = WalDecoder::new(PARAMS, Lsn(0x0310_0000), None).unwrap();
    decoder.feed(segment);
    let record = decoder.next().unwrap().unwrap();
    assert_eq!(
        (record.start, record.main_data()),
        (x, &check_point.to_bytes()[..])
    );
    let last = tenant.timeline(INDEX).unwrap().last_record_lsn();
    assert!(record.prev > START && record.prev < last);
}

#[test]
fn a_full_archive_has_every_relation() {
    let (tenant, _dir) = cluster();
    let Unpacked { order, contents } = unpack(&archive_of(&tenant, INDEX, &FULL));
    for (path, bytes) in [
        ("base/5/16384", 3 * BLCKSZ),
        ("base/5/16386", 0),
        ("global/1262", BLCKSZ),
        ("pg_tblspc/16500/PG_15_202209061/5/16401", BLCKSZ),
        ("postgresql.conf", 0),
    ] {
        assert_eq!(contents[path].len(), bytes, "{path}");
    }
    assert_eq!(contents["base/5/16384"][24], 30);
    assert!(!contents.contains_key("base/5/16390_fsm"));
    let behind = order.len() - 2;
    assert_eq!(order[behind], "global/pg_control");
}

#[test]
fn the_state_is_right_at_every_lsn() {
    let mut stream = wal();
    let mut ends = Vec::new();
    for record in [
        commit(1001),
        commit(1002),
        commit(1500),
        next_oid(30_000),
        commit(1501),
    ] {
        stream.append(&record).unwrap();
        ends.push(stream.end());
    }
    let (tenant, _dir) = imported(&stream);
    let last_record_lsn = stream.end();
    let spec = TimelineSpec {
        index: INDEX,
        parent: None,
        last_record_lsn,
        readable_from: START,
    };
    tenant.attach(&spec).unwrap();
    let state = |lsn| {
        let options = BaseBackupOptions {
            lsn: Some(lsn),
            ..BASE
        };
        let Unpacked { contents, .. } = unpack(&archive_of(&tenant, INDEX, &options));
        let control = ControlFile::parse(&contents["global/pg_control"]).unwrap();
        (
            control.check_point_copy.next_xid,
            control.check_point_copy.next_oid,
        )
    };
    // Behind the last record exact, else some xids ahead; never behind.
    assert_eq!(state(START), (1000, 20_000));
    for (end, expected) in ends.into_iter().zip([
        (1024, 20_000),
        (1024, 20_000),
        (2048, 20_000),
        (2048, 30_000),
        (1502, 30_000),
    ]) {
        assert_eq!(state(end), expected, "{end}");
    }
}

#[test]
fn the_same_lsn_gives_the_same_bytes_on_a_branch_too() {
    let (tenant, _dir) = cluster();
    let lsn = tenant.timeline(INDEX).unwrap().last_record_lsn();
    let branch = TimelineSpec {
        index: 8,
        parent: Some((INDEX, lsn)),
        last_record_lsn: lsn,
        readable_from: lsn,
    };
    tenant.attach(&branch).unwrap();
    let options = BaseBackupOptions {
        lsn: Some(lsn),
        ..FULL
    };
    assert!(archive_of(&tenant, INDEX, &options) == archive_of(&tenant, 8, &options));
}

#[test]
fn what_cannot_be_had_is_an_error_at_once() {
    let (tenant, _dir) = cluster();
    let at = |lsn| BaseBackupOptions {
        lsn: Some(lsn),
        ..BASE
    };
    for options in [at(START), at(Lsn(0x1000_0000))] {
        let error = tenant.base_backup(INDEX, &options).err().unwrap();
        assert!(matches!(error, EngineError::NotReadable { .. }));
    }
    let error = tenant.base_backup(99, &BASE).err().unwrap();
    assert!(matches!(error, EngineError::UnknownTimeline(99)));
}

#[test]
fn a_page_that_cannot_be_made_ends_the_archive() {
    let mut stream = wal();
    stream.append(&insert_leaf(16384, 0)).unwrap();
    let (tenant, _dir) = imported(&stream);
    let mut backup = tenant.base_backup(INDEX, &FULL).unwrap();
    let error = std::iter::from_fn(|| backup.next_chunk().transpose()).find_map(Result::err);
    let text = error.unwrap().to_string();
    assert!(
        text.starts_with("malformed record Btree/INSERT_LEAF"),
        "{text}"
    );
}

/// Whoever reads it has gone for a walk; an import into the same store needs a larger map meanwhile.
#[test]
fn an_archive_that_nobody_reads_on_holds_up_nothing() {
    let (tenant, _dir) = cluster();
    let whole = archive_of(&tenant, INDEX, &FULL);
    let mut idle = tenant.base_backup(INDEX, &FULL).unwrap();
    let mut archive = idle.next_chunk().unwrap().unwrap();
    let map_bytes = tenant.stats().unwrap().map_bytes;
    let mut files = backup_files();
    let noise = (0..1u32 << 20).flat_map(|word| word.wrapping_mul(0x9E37_79B9).to_be_bytes());
    files.push(("base/5/20000".to_owned(), noise.collect()));
    let other = ImportOptions {
        index: INDEX + 1,
        ..options()
    };
    let mut session = tenant.begin_import(other).unwrap();
    session.begin_archive(0).unwrap();
    for chunk in source::archive(&files).chunks(1 << 20) {
        session.write(chunk).unwrap();
    }
    session.finish_backup().unwrap();
    session.wal(wal().bytes()).unwrap();
    session.finish(START).unwrap();
    assert!(tenant.stats().unwrap().map_bytes > map_bytes);
    while let Some(chunk) = idle.next_chunk().unwrap() {
        archive.extend(chunk);
    }
    assert!(archive == whole);
}
