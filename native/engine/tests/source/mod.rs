//! A made-up cluster: its base backup as tar archives, and WAL after it.

#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use std::sync::Arc;

use offshoot_engine::import::{ImportOptions, ImportSession};
use offshoot_engine::{StoreOptions, Tenant, TimelineSpec};
use offshoot_layout::control::{DbState, PG_CONTROL_FILE_BYTES};
use offshoot_layout::{BLCKSZ, BlockKey, CheckPoint, ControlFile, Fork, Lsn, Page, RelKey, page};
use offshoot_wal::generate::{BlockDraft, ImageDraft, RecordDraft, WalStream};
use offshoot_wal::{Compression, WalParams};
use tempfile::TempDir;

pub const INDEX: u32 = 7;
pub const START: Lsn = Lsn(0x0300_0028);
pub const PARAMS: WalParams = WalParams {
    major: 15,
    system_id: 0x5EED,
    seg_size: 1 << 20,
    tli: 3,
};
pub const NEXT_XID: u64 = 1000;

pub fn options() -> ImportOptions {
    ImportOptions {
        index: INDEX,
        start_lsn: START,
        wal: PARAMS,
    }
}

pub fn tenant() -> (Arc<Tenant>, TempDir) {
    let dir = TempDir::new().unwrap();
    let options = StoreOptions {
        map_size_initial_bytes: 1 << 20,
        // Nobody reads for long here: who waits for itself is to be found out soon.
        grow_wait_ms: 1000,
        ..StoreOptions::default()
    };
    (
        Arc::new(Tenant::open(&dir.path().join("tenant"), options).unwrap()),
        dir,
    )
}

pub fn rel(relnode: u32, fork: Fork) -> RelKey {
    RelKey {
        spcnode: 1663,
        dbnode: 5,
        relnode,
        fork,
    }
}

/// A page with a valid header, told from others by `tag`, last changed at `lsn`.
pub fn page_of(tag: u32, lsn: Lsn) -> Page {
    let mut made: Page = [0; BLCKSZ];
    page::set_pd_lsn(&mut made, lsn);
    page::set_pd_lower(&mut made, 28);
    page::set_pd_upper(&mut made, 8000);
    page::set_pd_special(&mut made, 8192);
    page::set_pd_pagesize_version(&mut made, page::PAGESIZE_VERSION);
    made[24..28].copy_from_slice(&tag.to_le_bytes());
    made[8000..8004].copy_from_slice(&tag.to_le_bytes());
    made
}

pub fn control() -> ControlFile {
    let check_point = CheckPoint {
        redo: START,
        this_timeline_id: PARAMS.tli,
        prev_timeline_id: PARAMS.tli,
        full_page_writes: true,
        next_xid: NEXT_XID,
        next_oid: 20_000,
        next_multi: 1,
        oldest_xid: 722,
        oldest_xid_db: 1,
        oldest_multi: 1,
        oldest_multi_db: 1,
        time: 1_700_000_000,
        oldest_active_xid: 990,
        ..CheckPoint::default()
    };
    ControlFile {
        system_identifier: PARAMS.system_id,
        pg_control_version: 1300,
        catalog_version_no: 202_209_061,
        state: DbState::InProduction,
        time: 1_700_000_000,
        check_point: START,
        check_point_copy: check_point,
        unlogged_lsn: Lsn(1000),
        min_recovery_point: Lsn(0x77),
        min_recovery_point_tli: 3,
        backup_start_point: START,
        backup_end_point: Lsn(0),
        backup_end_required: true,
        wal_level: 1,
        wal_log_hints: false,
        max_connections: 100,
        max_worker_processes: 8,
        max_wal_senders: 10,
        max_prepared_xacts: 0,
        max_locks_per_xact: 64,
        track_commit_timestamp: false,
        max_align: 8,
        float_format: 1_234_567.0,
        blcksz: 8192,
        relseg_size: 131_072,
        xlog_blcksz: 8192,
        xlog_seg_size: PARAMS.seg_size,
        name_data_len: 64,
        index_max_keys: 32,
        toast_max_chunk_size: 1996,
        loblksize: 2048,
        float8_by_val: true,
        data_checksum_version: 0,
        default_char_signedness: true,
        mock_authentication_nonce: [7; 32],
    }
}

/// Files by path, in the order in which they are archived.
pub type Files = Vec<(String, Vec<u8>)>;

pub fn pages(pages: &[Page]) -> Vec<u8> {
    pages.concat()
}

/// The smallest backup that is whole, with one table of three pages and an unlogged one.
pub fn backup_files() -> Files {
    let label = format!(
        "START WAL LOCATION: {START} (file x)\nCHECKPOINT LOCATION: 0/3000060\n\
         START TIMELINE: {}\n",
        PARAMS.tli
    );
    let before = Lsn(0x0200_0000);
    let table = [page_of(1, before), page_of(2, before), [0; BLCKSZ]];
    // Copied after the backup had begun, and changed in between.
    let newer = page_of(9, Lsn(0x0300_0800));
    let mut xact = vec![0; BLCKSZ];
    xact[249] = 0b0101_0101;
    let file = |path: &str, bytes: &[u8]| (path.to_owned(), bytes.to_vec());
    vec![
        ("backup_label".to_owned(), label.into_bytes()),
        ("tablespace_map".to_owned(), b"16500 /somewhere\n".to_vec()),
        file("PG_VERSION", b"15\n"),
        file("postgresql.conf", b"port = 1\n"),
        file("base/5/PG_VERSION", b"15\n"),
        file("base/5/pg_filenode.map", &[5; 512]),
        file("base/5/16384", &pages(&table)),
        file("base/5/16385", &newer),
        file("base/5/16386", b""),
        file("base/5/16390_init", &page_of(4, before)),
        file("base/5/16390", &page_of(5, before)),
        file("base/5/16390_fsm", &page_of(6, before)),
        file("base/5/t3_16400", &[1; 100]),
        file("global/1262", &page_of(3, before)),
        file("global/pg_filenode.map", &[6; 512]),
        file("pg_xact/0000", &xact),
        file("pg_multixact/offsets/0000", &[0; BLCKSZ]),
        file("pg_multixact/members/0000", &[0; BLCKSZ]),
        file("pg_twophase/000003E0", b"prepared"),
        file("odd_directory/odd_file", b"?"),
        file("global/pg_control", &control().to_bytes()),
    ]
}

pub fn tablespace_files() -> Files {
    let table = page_of(8, Lsn(0x0200_0000)).to_vec();
    vec![("PG_15_202209061/5/16401".to_owned(), table)]
}

pub fn archive(files: &Files) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, bytes) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o600);
        builder.append_data(&mut header, path, &bytes[..]).unwrap();
    }
    builder.into_inner().unwrap()
}

pub fn replaced(path: &str, bytes: &[u8]) -> Files {
    let mut files = backup_files();
    files.retain(|(known, _)| known != path);
    files.push((path.to_owned(), bytes.to_vec()));
    files
}

pub fn without(path: &str) -> Files {
    let mut files = backup_files();
    files.retain(|(known, _)| known != path);
    files
}

/// Feeds both archives.
pub fn write_backup(session: &mut ImportSession, chunk_bytes: usize) {
    for (spcnode, files) in [(16_500, tablespace_files()), (0, backup_files())] {
        session.begin_archive(spcnode).unwrap();
        for chunk in archive(&files).chunks(chunk_bytes) {
            session.write(chunk).unwrap();
        }
    }
}

pub fn wal() -> WalStream {
    WalStream::new(PARAMS, START, Lsn(0x02FF_FF00)).unwrap()
}

/// Imports the whole backup and `wal`; attached, readable.
pub fn imported(wal: &WalStream) -> (Arc<Tenant>, TempDir) {
    imported_until(wal, wal.end())
}

/// The same of a backup that ended before its WAL.
pub fn imported_until(wal: &WalStream, backup_end: Lsn) -> (Arc<Tenant>, TempDir) {
    imported_by(wal, backup_end, |session| write_backup(session, 10_000))
}

/// Imports `files` as the main archive, and `wal`; attached, readable.
pub fn imported_files(files: &Files, wal: &WalStream) -> (Arc<Tenant>, TempDir) {
    imported_by(wal, wal.end(), |session| {
        session.begin_archive(0).unwrap();
        for chunk in archive(files).chunks(1 << 20) {
            session.write(chunk).unwrap();
        }
    })
}

fn imported_by(
    wal: &WalStream,
    backup_end: Lsn,
    write: impl FnOnce(&mut ImportSession),
) -> (Arc<Tenant>, TempDir) {
    let (tenant, dir) = tenant();
    let mut session = tenant.begin_import(options()).unwrap();
    write(&mut session);
    session.finish_backup().unwrap();
    for chunk in wal.bytes().chunks(777) {
        session.wal(chunk).unwrap();
    }
    let last_record_lsn = session.finish(backup_end).unwrap().last_record_lsn;
    tenant
        .attach(&TimelineSpec {
            index: INDEX,
            parent: None,
            last_record_lsn,
            readable_from: last_record_lsn,
        })
        .unwrap();
    (tenant, dir)
}

fn block(key: BlockKey, image: Option<&Page>) -> BlockDraft {
    let image = image.map(|page| ImageDraft {
        apply: true,
        compression: Compression::None,
        hole_offset: 0,
        hole_length: 0,
        stored: page.to_vec(),
    });
    BlockDraft {
        id: 0,
        key,
        will_init: false,
        image,
        data: Vec::new(),
    }
}

fn record(rmid: u8, info: u8, xid: u32, main: Vec<u8>) -> RecordDraft {
    RecordDraft {
        rmid,
        info,
        xid,
        main,
        ..RecordDraft::default()
    }
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// XLOG/FPI.
pub fn image(relnode: u32, number: u32, page: &Page) -> RecordDraft {
    let key = BlockKey {
        rel: rel(relnode, Fork::Main),
        block: number,
    };
    RecordDraft {
        blocks: vec![block(key, Some(page))],
        ..record(0, 0xB0, 0, Vec::new())
    }
}

/// Storage/CREATE of an init fork.
pub fn create_init(relnode: u32) -> RecordDraft {
    record(2, 0x10, 0, words(&[1663, 5, relnode, 3]))
}

/// Btree/INSERT_LEAF of a tuple that is not there: no page can be made of it.
pub fn insert_leaf(relnode: u32, number: u32) -> RecordDraft {
    let key = BlockKey {
        rel: rel(relnode, Fork::Main),
        block: number,
    };
    RecordDraft {
        blocks: vec![block(key, None)],
        ..record(11, 0x00, 1001, vec![1, 0])
    }
}

/// Transaction/COMMIT.
pub fn commit(xid: u32) -> RecordDraft {
    record(1, 0x00, xid, vec![0; 8])
}

/// Storage/CREATE.
pub fn create(relnode: u32) -> RecordDraft {
    record(2, 0x10, 0, words(&[1663, 5, relnode, 0]))
}

/// Storage/TRUNCATE of the main fork.
pub fn truncate(relnode: u32, blocks: u32) -> RecordDraft {
    record(2, 0x20, 0, words(&[blocks, 1663, 5, relnode, 1]))
}

/// Database/CREATE_FILE_COPY of database 5 as `db`.
pub fn copy_database(db: u32) -> RecordDraft {
    record(4, 0x00, 0, words(&[db, 1663, 5, 1663]))
}

/// Database/CREATE_FILE_COPY.
pub fn copy_database_from(from: u32, db: u32) -> RecordDraft {
    record(4, 0x00, 0, words(&[db, 1663, from, 1663]))
}

/// Database/DROP in pg_default.
pub fn drop_database(db: u32) -> RecordDraft {
    record(4, 0x20, 0, words(&[db, 1, 1663]))
}

/// XLOG/NEXTOID.
pub fn next_oid(oid: u32) -> RecordDraft {
    record(0, 0x30, 0, words(&[oid]))
}

/// RelMap/UPDATE of database 5.
pub fn relation_map(fill: u8) -> RecordDraft {
    let mut main = words(&[5, 1663, 512]);
    main.extend_from_slice(&[fill; 512]);
    record(7, 0x00, 0, main)
}

/// Zeros as pg_control: for a damaged one.
pub fn no_control() -> Vec<u8> {
    vec![0; PG_CONTROL_FILE_BYTES]
}
