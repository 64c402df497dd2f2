//! A tenant in a directory of its own, and pages to put in it.

#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use offshoot_engine::{
    Checksums, Durability, FileKey, FileKind, KeyFilterOptions, StoreOptions, Tenant,
    TenantOptions, TimelineSpec,
};
use offshoot_layout::control::DbState;
use offshoot_layout::{BLCKSZ, BlockKey, CheckPoint, ControlFile, Fork, Lsn, Page, RelKey};
use offshoot_redo::RedoContext;
use offshoot_wal::Compression;
use offshoot_wal::generate::{BlockDraft, ImageDraft, RecordDraft};
use tempfile::TempDir;

/// What redo knows of the cluster that `tenant` makes without checksums.
pub const CONTEXT: RedoContext = RedoContext {
    major: 15,
    checksums: false,
    wal_log_hints: false,
    track_commit_timestamp: false,
};

pub struct TestTenant {
    pub tenant: Tenant,
    filters: KeyFilterOptions,
    dir: TempDir,
}

impl std::ops::Deref for TestTenant {
    type Target = Tenant;

    fn deref(&self) -> &Tenant {
        &self.tenant
    }
}

/// A tenant with root timeline 1, whose pg_control is there at LSN 1.
pub fn tenant(checksums: Checksums) -> TestTenant {
    tenant_with(checksums, KeyFilterOptions::default())
}

/// The same, with other options for what is known of which pages timelines have.
pub fn tenant_with(checksums: Checksums, filters: KeyFilterOptions) -> TestTenant {
    let dir = TempDir::new().unwrap();
    let tenant = open(&dir, filters);
    tenant.attach(&root()).unwrap();
    let mut writer = tenant.writer(1).unwrap();
    let control = control(checksums).to_bytes();
    writer.file(
        &FileKey::new(FileKind::Control, 0, 0),
        Lsn(1),
        Some(&control),
    );
    writer.commit(Durability::Later).unwrap();
    TestTenant {
        tenant,
        filters,
        dir,
    }
}

impl TestTenant {
    /// Of the store's file.
    pub fn file_bytes(&self) -> u64 {
        let file = self.dir.path().join("tenant").join("data.mdb");
        std::fs::metadata(file).unwrap().len()
    }

    pub fn reopened(self) -> TestTenant {
        self.tenant.close().unwrap();
        TestTenant {
            tenant: open(&self.dir, self.filters),
            ..self
        }
    }
}

fn open(dir: &TempDir, filters: KeyFilterOptions) -> Tenant {
    let options = TenantOptions {
        store: StoreOptions {
            map_size_initial_bytes: 1 << 20,
            ..StoreOptions::default()
        },
        key_filters: filters,
        ..TenantOptions::default()
    };
    Tenant::open(&dir.path().join("tenant"), options).unwrap()
}

pub fn root() -> TimelineSpec {
    TimelineSpec {
        index: 1,
        parent: None,
        last_record_lsn: Lsn(1),
        readable_from: Lsn(1),
    }
}

pub fn rel(relnode: u32, fork: Fork) -> RelKey {
    RelKey {
        spcnode: 1663,
        dbnode: 5,
        relnode,
        fork,
    }
}

pub fn block(rel: RelKey, block: u32) -> BlockKey {
    BlockKey { rel, block }
}

/// A page that says which one it is, in its first byte too; zeros for 0. `tag` below 256.
pub fn page_of(tag: u32) -> Box<Page> {
    let mut page = Box::new([0; BLCKSZ]);
    for bytes in page.chunks_exact_mut(4) {
        bytes.copy_from_slice(&(tag << 16 | tag).to_le_bytes());
    }
    page
}

pub fn control(checksums: Checksums) -> ControlFile {
    ControlFile {
        system_identifier: 1,
        pg_control_version: 1300,
        catalog_version_no: 202_209_061,
        state: DbState::InProduction,
        time: 0,
        check_point: Lsn(1),
        check_point_copy: CheckPoint::parse(&[0; 88], 15).unwrap(),
        unlogged_lsn: Lsn(1),
        min_recovery_point: Lsn(0),
        min_recovery_point_tli: 0,
        backup_start_point: Lsn(0),
        backup_end_point: Lsn(0),
        backup_end_required: false,
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
        xlog_seg_size: 16 << 20,
        name_data_len: 64,
        index_max_keys: 32,
        toast_max_chunk_size: 1996,
        loblksize: 2048,
        float8_by_val: true,
        data_checksum_version: u32::from(checksums == Checksums::On),
        default_char_signedness: true,
        mock_authentication_nonce: [0; 32],
    }
}

/// XLOG/FPI of one page.
pub fn full_page_image(key: BlockKey, page: &Page) -> Vec<u8> {
    let image = ImageDraft {
        apply: true,
        compression: Compression::None,
        hole_offset: 0,
        hole_length: 0,
        stored: page.to_vec(),
    };
    let draft = RecordDraft {
        rmid: 0,
        info: 0xB0,
        blocks: vec![block_draft(key, Some(image))],
        ..RecordDraft::default()
    };
    draft.to_bytes(Lsn(0), 15).unwrap()
}

/// Heap/DELETE on a page whose visibility-map bits it clears.
pub fn heap_delete(key: BlockKey) -> Vec<u8> {
    let draft = RecordDraft {
        rmid: 10,
        info: 0x10,
        xid: 731,
        blocks: vec![block_draft(key, None)],
        main: vec![0xDB, 2, 0, 0, 1, 0, 0, 1],
        ..RecordDraft::default()
    };
    draft.to_bytes(Lsn(0), 15).unwrap()
}

/// Heap/INSERT+INIT of a tuple without columns.
pub fn heap_insert_init(key: BlockKey) -> Vec<u8> {
    let block = BlockDraft {
        will_init: true,
        data: vec![0, 0, 0, 8, 24, 0],
        ..block_draft(key, None)
    };
    let draft = RecordDraft {
        rmid: 10,
        info: 0x80,
        xid: 731,
        blocks: vec![block],
        main: vec![1, 0, 0],
        ..RecordDraft::default()
    };
    draft.to_bytes(Lsn(0), 15).unwrap()
}

/// Transaction/COMMIT.
pub fn commit(xid: u32) -> Vec<u8> {
    let draft = RecordDraft {
        rmid: 1,
        info: 0,
        xid,
        main: vec![0; 8],
        ..RecordDraft::default()
    };
    draft.to_bytes(Lsn(0), 15).unwrap()
}

fn block_draft(key: BlockKey, image: Option<ImageDraft>) -> BlockDraft {
    BlockDraft {
        id: 0,
        key,
        will_init: false,
        image,
        data: Vec::new(),
    }
}
