//! pg_control and a page of a real Postgres 15 with data checksums.

#![allow(clippy::unwrap_used)] // A failing helper fails its test.

use offshoot_layout::control::{DbState, PG_CONTROL_FILE_BYTES};
use offshoot_layout::{BLCKSZ, ControlFile, LayoutError, Lsn, Page, page};

const PG_CONTROL: &[u8; 296] = include_bytes!("data/pg_control");
const PG_CONTROLDATA: &str = include_str!("data/pg_controldata.txt");
const PAGE_OF_BLOCK_2: &Page = include_bytes!("data/page_of_block_2");

fn control() -> ControlFile {
    ControlFile::parse(PG_CONTROL).unwrap()
}

/// What pg_controldata printed behind `label`.
fn printed(label: &str) -> &'static str {
    let line = PG_CONTROLDATA
        .lines()
        .find_map(|line| line.strip_prefix(label));
    line.and_then(|rest| rest.strip_prefix(':')).unwrap().trim()
}

#[test]
fn fields_are_what_pg_controldata_prints() {
    let c = control();
    let copy = c.check_point_copy;
    let on = |setting| if setting { "on" } else { "off" }.to_owned();
    let level = ["minimal", "replica", "logical"][c.wal_level as usize].to_owned();
    let nonce: String = c
        .mock_authentication_nonce
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    let next_xid = format!("{}:{}", copy.next_xid >> 32, copy.next_xid as u32);
    let cases = [
        (
            "pg_control version number",
            c.pg_control_version.to_string(),
        ),
        ("Catalog version number", c.catalog_version_no.to_string()),
        (
            "Database system identifier",
            c.system_identifier.to_string(),
        ),
        ("Latest checkpoint location", c.check_point.to_string()),
        ("Latest checkpoint's REDO location", copy.redo.to_string()),
        (
            "Latest checkpoint's TimeLineID",
            copy.this_timeline_id.to_string(),
        ),
        (
            "Latest checkpoint's PrevTimeLineID",
            copy.prev_timeline_id.to_string(),
        ),
        (
            "Latest checkpoint's full_page_writes",
            on(copy.full_page_writes),
        ),
        ("Latest checkpoint's NextXID", next_xid),
        ("Latest checkpoint's NextOID", copy.next_oid.to_string()),
        (
            "Latest checkpoint's NextMultiXactId",
            copy.next_multi.to_string(),
        ),
        (
            "Latest checkpoint's NextMultiOffset",
            copy.next_multi_offset.to_string(),
        ),
        ("Latest checkpoint's oldestXID", copy.oldest_xid.to_string()),
        (
            "Latest checkpoint's oldestXID's DB",
            copy.oldest_xid_db.to_string(),
        ),
        (
            "Latest checkpoint's oldestActiveXID",
            copy.oldest_active_xid.to_string(),
        ),
        (
            "Latest checkpoint's oldestMultiXid",
            copy.oldest_multi.to_string(),
        ),
        (
            "Latest checkpoint's oldestMulti's DB",
            copy.oldest_multi_db.to_string(),
        ),
        (
            "Latest checkpoint's oldestCommitTsXid",
            copy.oldest_commit_ts_xid.to_string(),
        ),
        (
            "Latest checkpoint's newestCommitTsXid",
            copy.newest_commit_ts_xid.to_string(),
        ),
        (
            "Fake LSN counter for unlogged rels",
            c.unlogged_lsn.to_string(),
        ),
        (
            "Minimum recovery ending location",
            c.min_recovery_point.to_string(),
        ),
        (
            "Min recovery ending loc's timeline",
            c.min_recovery_point_tli.to_string(),
        ),
        ("Backup start location", c.backup_start_point.to_string()),
        ("Backup end location", c.backup_end_point.to_string()),
        ("wal_level setting", level),
        ("wal_log_hints setting", on(c.wal_log_hints)),
        ("max_connections setting", c.max_connections.to_string()),
        (
            "max_worker_processes setting",
            c.max_worker_processes.to_string(),
        ),
        ("max_wal_senders setting", c.max_wal_senders.to_string()),
        (
            "max_prepared_xacts setting",
            c.max_prepared_xacts.to_string(),
        ),
        (
            "max_locks_per_xact setting",
            c.max_locks_per_xact.to_string(),
        ),
        (
            "track_commit_timestamp setting",
            on(c.track_commit_timestamp),
        ),
        ("Maximum data alignment", c.max_align.to_string()),
        ("Database block size", c.blcksz.to_string()),
        (
            "Blocks per segment of large relation",
            c.relseg_size.to_string(),
        ),
        ("WAL block size", c.xlog_blcksz.to_string()),
        ("Bytes per WAL segment", c.xlog_seg_size.to_string()),
        ("Maximum length of identifiers", c.name_data_len.to_string()),
        ("Maximum columns in an index", c.index_max_keys.to_string()),
        (
            "Maximum size of a TOAST chunk",
            c.toast_max_chunk_size.to_string(),
        ),
        ("Size of a large-object chunk", c.loblksize.to_string()),
        (
            "Data page checksum version",
            c.data_checksum_version.to_string(),
        ),
        ("Mock authentication nonce", nonce),
    ];
    for (label, value) in cases {
        assert_eq!(value, printed(label), "{label}");
    }
    assert_eq!(c.state, DbState::Shutdowned);
    assert_eq!(c.major(), Some(15));
    c.validate(15).unwrap();
}

#[test]
fn writing_gives_the_same_bytes() {
    let written = control().to_bytes();
    assert_eq!(written.len(), PG_CONTROL_FILE_BYTES);
    assert_eq!(written[..PG_CONTROL.len()], PG_CONTROL[..]);
    assert!(written[PG_CONTROL.len()..].iter().all(|b| *b == 0));
}

#[test]
fn later_versions_round_trip() {
    for (version, catalog) in [(1700, 202_406_281), (1800, 202_506_291)] {
        let mut control = ControlFile {
            pg_control_version: version,
            catalog_version_no: catalog,
            ..control()
        };
        control.default_char_signedness = version < 1800;
        control.check_point_copy.wal_level = 1;
        assert_eq!(ControlFile::parse(&control.to_bytes()), Ok(control));
    }
}

#[test]
fn damage_is_noticed() {
    for index in (0..288).filter(|index| !(8..12).contains(index)) {
        let mut bytes = *PG_CONTROL;
        bytes[index] ^= 0x40;
        let parsed = ControlFile::parse(&bytes);
        assert!(
            matches!(parsed, Err(LayoutError::Crc { .. })),
            "byte {index}"
        );
    }
    for len in [0, 8, 12, 200, 291] {
        let parsed = ControlFile::parse(&PG_CONTROL[..len]);
        assert!(
            matches!(parsed, Err(LayoutError::TooShort { .. })),
            "{len} bytes"
        );
    }
}

#[test]
fn refusals_name_the_field_and_what_is_supported() {
    type Change = fn(&mut ControlFile);
    let cases: [(Change, &str); 8] = [
        (
            |c| c.blcksz = 4096,
            "pg_control field blcksz is 4096; supported: 8192",
        ),
        (
            |c| c.xlog_blcksz = 16384,
            "pg_control field xlog_blcksz is 16384; supported: 8192",
        ),
        (
            |c| c.relseg_size = 1,
            "pg_control field relseg_size is 1; supported: 131072",
        ),
        (
            |c| c.max_align = 4,
            "pg_control field maxAlign is 4; supported: 8",
        ),
        (
            |c| c.float_format = 1.5,
            "pg_control field floatFormat is 1.5; supported: 1234567",
        ),
        (
            |c| c.float8_by_val = false,
            "pg_control field float8ByVal is false; supported: true",
        ),
        (
            |c| c.data_checksum_version = 2,
            "pg_control field data_checksum_version is 2; supported: 0 (off) or 1 (on)",
        ),
        (
            |c| c.xlog_seg_size = 3 << 20,
            "pg_control field xlog_seg_size is 3145728; \
             supported: a power of two from 1048576 to 1073741824",
        ),
    ];
    for (change, message) in cases {
        let mut control = control();
        change(&mut control);
        assert_eq!(control.validate(15).unwrap_err().to_string(), message);
    }
    let message = control().validate(16).unwrap_err().to_string();
    assert_eq!(
        message,
        "pg_control field catalog_version_no is 202209061; supported: 202307071"
    );
}

#[test]
fn a_start_without_recovery_clears_what_asks_for_it() {
    let mut running = control();
    running.state = DbState::InProduction;
    running.min_recovery_point = Lsn(5);
    running.backup_start_point = Lsn(5);
    running.backup_end_required = true;
    let copy = running.check_point_copy;
    let stopped = running.shut_down_at(Lsn(0x28), copy, 7);
    assert_eq!(stopped.state, DbState::Shutdowned);
    assert_eq!((stopped.check_point, stopped.time), (Lsn(0x28), 7));
    assert_eq!(stopped.min_recovery_point, Lsn::INVALID);
    assert_eq!(stopped.backup_start_point, Lsn::INVALID);
    assert!(!stopped.backup_end_required);
    assert_eq!(ControlFile::parse(&stopped.to_bytes()), Ok(stopped));
}

#[test]
fn checksum_is_the_one_postgres_stored() {
    assert!(!page::is_new(PAGE_OF_BLOCK_2));
    assert_eq!(
        page::checksum(PAGE_OF_BLOCK_2, 2),
        page::pd_checksum(PAGE_OF_BLOCK_2)
    );
    assert!(!page::checksum_matches(PAGE_OF_BLOCK_2, 3));
    let mut copy = *PAGE_OF_BLOCK_2;
    page::set_pd_checksum(&mut copy, 0);
    page::set_checksum(&mut copy, 2);
    assert_eq!(copy, *PAGE_OF_BLOCK_2);
    assert_eq!(copy.len(), BLCKSZ);
}
