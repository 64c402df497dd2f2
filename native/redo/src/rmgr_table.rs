//! The record types of Postgres 15: every opcode of every built-in resource manager.
//!
//! A row says what the record is called and what it does. A row without a word about blocks,
//! effects, SLRUs or checkpoint state is a record type that changes nothing we keep.
//! A new resource manager is a folder in `rmgr` and its rows.

use offshoot_wal::Record;

use crate::context::RedoContext;
use crate::error::RedoError;
use crate::opcode::BlockRedo::{Apply, Images};
use crate::opcode::ImplicitRedo::{self, VmClears};
use crate::opcode::Opcode;
use crate::rmgr::{
    brin, btree, clog, commit_ts, dbase, generic, gin, gist, hash, heap, heap2, multixact, relmap,
    replorigin, seq, smgr, spgist, standby, tblspc, xact, xlog,
};

/// The major version whose record types these are.
const MAJOR: u32 = 15;

/// Names of the resource managers, by id.
pub const RMGR_NAMES: [&str; 22] = [
    "XLOG",
    "Transaction",
    "Storage",
    "CLOG",
    "Database",
    "Tablespace",
    "MultiXact",
    "RelMap",
    "Standby",
    "Heap2",
    "Heap",
    "Btree",
    "Hash",
    "Gin",
    "Gist",
    "Sequence",
    "SPGist",
    "BRIN",
    "CommitTs",
    "ReplicationOrigin",
    "Generic",
    "LogicalMessage",
];

const RM_XLOG: u8 = 0;
const RM_XACT: u8 = 1;
const RM_SMGR: u8 = 2;
const RM_CLOG: u8 = 3;
const RM_DBASE: u8 = 4;
const RM_TBLSPC: u8 = 5;
const RM_MULTIXACT: u8 = 6;
const RM_RELMAP: u8 = 7;
const RM_STANDBY: u8 = 8;
const RM_HEAP2: u8 = 9;
const RM_HEAP: u8 = 10;
const RM_BTREE: u8 = 11;
const RM_HASH: u8 = 12;
const RM_GIN: u8 = 13;
const RM_GIST: u8 = 14;
const RM_SEQ: u8 = 15;
const RM_SPGIST: u8 = 16;
const RM_BRIN: u8 = 17;
const RM_COMMIT_TS: u8 = 18;
const RM_REPLORIGIN: u8 = 19;
const RM_GENERIC: u8 = 20;
const RM_LOGICALMSG: u8 = 21;

/// Bits of `info` that tell the record types of a resource manager apart.
const ALL: u8 = 0xF0;
/// The highest bit says that COMMIT and the like have an xinfo word.
const XACT: u8 = 0x70;

const fn op(rmid: u8, opcode: u8, name: &'static str) -> Opcode {
    Opcode::new(rmid, opcode, ALL, name)
}

const fn xact(opcode: u8, name: &'static str) -> Opcode {
    Opcode::new(RM_XACT, opcode, XACT, name)
}

/// The table. Heap, Heap2 and BRIN records with bit 0x80 (`+INIT`) build their page anew.
#[rustfmt::skip] // one row per line, so that it reads as a table
pub const OPCODES: [Opcode; 123] = [
    op(RM_XLOG, 0x00, "XLOG/CHECKPOINT_SHUTDOWN").check_point(xlog::checkpoint_shutdown),
    op(RM_XLOG, 0x10, "XLOG/CHECKPOINT_ONLINE").check_point(xlog::checkpoint_online),
    op(RM_XLOG, 0x20, "XLOG/NOOP"),
    op(RM_XLOG, 0x30, "XLOG/NEXTOID").check_point(xlog::next_oid),
    op(RM_XLOG, 0x40, "XLOG/SWITCH"),
    op(RM_XLOG, 0x50, "XLOG/BACKUP_END"),
    op(RM_XLOG, 0x60, "XLOG/PARAMETER_CHANGE").effects(xlog::parameter_change).check_point(xlog::parameter_change_state),
    op(RM_XLOG, 0x70, "XLOG/RESTORE_POINT"),
    op(RM_XLOG, 0x80, "XLOG/FPW_CHANGE").check_point(xlog::fpw_change),
    op(RM_XLOG, 0x90, "XLOG/END_OF_RECOVERY").check_point(xlog::end_of_recovery),
    op(RM_XLOG, 0xA0, "XLOG/FPI_FOR_HINT").blocks(Apply(xlog::hint_without_image)),
    op(RM_XLOG, 0xB0, "XLOG/FPI").blocks(Images),
    op(RM_XLOG, 0xD0, "XLOG/OVERWRITE_CONTRECORD"), // checked by the WAL decoder

    xact(0x00, "Transaction/COMMIT").slru(xact::COMMIT_SLRU).effects(xact::end).check_point(xact::commit_state),
    xact(0x10, "Transaction/PREPARE").effects(xact::prepare).check_point(xact::prepare_state),
    xact(0x20, "Transaction/ABORT").slru(xact::ABORT_SLRU).effects(xact::end).check_point(xact::end_state),
    xact(0x30, "Transaction/COMMIT_PREPARED").slru(xact::COMMIT_SLRU).effects(xact::end).check_point(xact::commit_state),
    xact(0x40, "Transaction/ABORT_PREPARED").slru(xact::ABORT_SLRU).effects(xact::end).check_point(xact::end_state),
    xact(0x50, "Transaction/ASSIGNMENT"),
    xact(0x60, "Transaction/INVALIDATION"),

    op(RM_SMGR, 0x10, "Storage/CREATE").effects(smgr::create),
    op(RM_SMGR, 0x20, "Storage/TRUNCATE").implicit(smgr::TRUNCATE_IMPLICIT).effects(smgr::truncate),

    op(RM_CLOG, 0x00, "CLOG/ZEROPAGE").slru(clog::ZEROPAGE_SLRU),
    op(RM_CLOG, 0x10, "CLOG/TRUNCATE").effects(clog::truncate),

    op(RM_DBASE, 0x00, "Database/CREATE_FILE_COPY").implicit(ImplicitRedo::Unsupported).effects(dbase::create_file_copy),
    op(RM_DBASE, 0x10, "Database/CREATE_WAL_LOG").effects(dbase::create_wal_log),
    op(RM_DBASE, 0x20, "Database/DROP").effects(dbase::drop),

    op(RM_TBLSPC, 0x00, "Tablespace/CREATE").effects(tblspc::create),
    op(RM_TBLSPC, 0x10, "Tablespace/DROP").effects(tblspc::drop),

    op(RM_MULTIXACT, 0x00, "MultiXact/ZERO_OFF_PAGE").slru(multixact::ZERO_OFF_PAGE_SLRU),
    op(RM_MULTIXACT, 0x10, "MultiXact/ZERO_MEM_PAGE").slru(multixact::ZERO_MEM_PAGE_SLRU),
    op(RM_MULTIXACT, 0x20, "MultiXact/CREATE_ID").slru(multixact::CREATE_ID_SLRU).check_point(multixact::create_id_state),
    op(RM_MULTIXACT, 0x30, "MultiXact/TRUNCATE_ID").effects(multixact::truncate).check_point(multixact::truncate_state),

    op(RM_RELMAP, 0x00, "RelMap/UPDATE").effects(relmap::update),

    op(RM_STANDBY, 0x00, "Standby/LOCK"),
    op(RM_STANDBY, 0x10, "Standby/RUNNING_XACTS").check_point(standby::running_xacts),
    op(RM_STANDBY, 0x20, "Standby/INVALIDATIONS"),

    op(RM_HEAP2, 0x00, "Heap2/REWRITE"), // files of logical decoding, which we do not keep
    op(RM_HEAP2, 0x10, "Heap2/PRUNE").blocks(Apply(heap2::prune)),
    op(RM_HEAP2, 0x20, "Heap2/VACUUM").blocks(Apply(heap2::vacuum)),
    op(RM_HEAP2, 0x30, "Heap2/FREEZE_PAGE").blocks(Apply(heap2::freeze_page)),
    op(RM_HEAP2, 0x40, "Heap2/VISIBLE").blocks(Apply(heap2::visible)),
    op(RM_HEAP2, 0x50, "Heap2/MULTI_INSERT").blocks(Apply(heap2::multi_insert)).implicit(VmClears(heap2::multi_insert_clears)),
    op(RM_HEAP2, 0xD0, "Heap2/MULTI_INSERT+INIT").blocks(Apply(heap2::multi_insert)).implicit(VmClears(heap2::multi_insert_clears)),
    op(RM_HEAP2, 0x60, "Heap2/LOCK_UPDATED").blocks(Apply(heap2::lock_updated)).implicit(VmClears(heap::lock_clears)),
    op(RM_HEAP2, 0x70, "Heap2/NEW_CID"),

    op(RM_HEAP, 0x00, "Heap/INSERT").blocks(Apply(heap::insert)).implicit(VmClears(heap::insert_clears)),
    op(RM_HEAP, 0x80, "Heap/INSERT+INIT").blocks(Apply(heap::insert)).implicit(VmClears(heap::insert_clears)),
    op(RM_HEAP, 0x10, "Heap/DELETE").blocks(Apply(heap::delete)).implicit(VmClears(heap::delete_clears)),
    op(RM_HEAP, 0x20, "Heap/UPDATE").blocks(Apply(heap::update)).implicit(VmClears(heap::update_clears)),
    op(RM_HEAP, 0xA0, "Heap/UPDATE+INIT").blocks(Apply(heap::update)).implicit(VmClears(heap::update_clears)),
    op(RM_HEAP, 0x30, "Heap/TRUNCATE"), // for logical decoding
    op(RM_HEAP, 0x40, "Heap/HOT_UPDATE").blocks(Apply(heap::update)).implicit(VmClears(heap::update_clears)),
    op(RM_HEAP, 0xC0, "Heap/HOT_UPDATE+INIT").blocks(Apply(heap::update)).implicit(VmClears(heap::update_clears)),
    op(RM_HEAP, 0x50, "Heap/HEAP_CONFIRM").blocks(Apply(heap::confirm)),
    op(RM_HEAP, 0x60, "Heap/LOCK").blocks(Apply(heap::lock)).implicit(VmClears(heap::lock_clears)),
    op(RM_HEAP, 0x70, "Heap/INPLACE").blocks(Apply(heap::inplace)),

    op(RM_BTREE, 0x00, "Btree/INSERT_LEAF").blocks(Apply(btree::insert_leaf)),
    op(RM_BTREE, 0x10, "Btree/INSERT_UPPER").blocks(Apply(btree::insert_upper)),
    op(RM_BTREE, 0x20, "Btree/INSERT_META").blocks(Apply(btree::insert_meta)),
    op(RM_BTREE, 0x30, "Btree/SPLIT_L").blocks(Apply(btree::split_l)),
    op(RM_BTREE, 0x40, "Btree/SPLIT_R").blocks(Apply(btree::split_r)),
    op(RM_BTREE, 0x50, "Btree/INSERT_POST").blocks(Apply(btree::insert_post)),
    op(RM_BTREE, 0x60, "Btree/DEDUP").blocks(Apply(btree::dedup)),
    op(RM_BTREE, 0x70, "Btree/DELETE").blocks(Apply(btree::delete)),
    op(RM_BTREE, 0x80, "Btree/UNLINK_PAGE").blocks(Apply(btree::unlink_page)),
    op(RM_BTREE, 0x90, "Btree/UNLINK_PAGE_META").blocks(Apply(btree::unlink_page_meta)),
    op(RM_BTREE, 0xA0, "Btree/NEWROOT").blocks(Apply(btree::newroot)),
    op(RM_BTREE, 0xB0, "Btree/MARK_PAGE_HALFDEAD").blocks(Apply(btree::mark_page_halfdead)),
    op(RM_BTREE, 0xC0, "Btree/VACUUM").blocks(Apply(btree::vacuum)),
    op(RM_BTREE, 0xD0, "Btree/REUSE_PAGE"),
    op(RM_BTREE, 0xE0, "Btree/META_CLEANUP").blocks(Apply(btree::meta_cleanup)),

    op(RM_HASH, 0x00, "Hash/INIT_META_PAGE").blocks(Apply(hash::init_meta_page)),
    op(RM_HASH, 0x10, "Hash/INIT_BITMAP_PAGE").blocks(Apply(hash::init_bitmap_page)),
    op(RM_HASH, 0x20, "Hash/INSERT").blocks(Apply(hash::insert)),
    op(RM_HASH, 0x30, "Hash/ADD_OVFL_PAGE").blocks(Apply(hash::add_ovfl_page)),
    op(RM_HASH, 0x40, "Hash/SPLIT_ALLOCATE_PAGE").blocks(Apply(hash::split_allocate_page)).changed_after_image(&[0]),
    op(RM_HASH, 0x50, "Hash/SPLIT_PAGE").blocks(Images),
    op(RM_HASH, 0x60, "Hash/SPLIT_COMPLETE").blocks(Apply(hash::split_complete)).changed_after_image(&[0, 1]),
    op(RM_HASH, 0x70, "Hash/MOVE_PAGE_CONTENTS").blocks(Apply(hash::move_page_contents)),
    op(RM_HASH, 0x80, "Hash/SQUEEZE_PAGE").blocks(Apply(hash::squeeze_page)),
    op(RM_HASH, 0x90, "Hash/DELETE").blocks(Apply(hash::delete)),
    op(RM_HASH, 0xA0, "Hash/SPLIT_CLEANUP").blocks(Apply(hash::split_cleanup)),
    op(RM_HASH, 0xB0, "Hash/UPDATE_META_PAGE").blocks(Apply(hash::update_meta_page)),
    op(RM_HASH, 0xC0, "Hash/VACUUM_ONE_PAGE").blocks(Apply(hash::vacuum_one_page)),

    op(RM_GIN, 0x10, "Gin/CREATE_PTREE").blocks(Apply(gin::create_ptree)),
    op(RM_GIN, 0x20, "Gin/INSERT").blocks(Apply(gin::insert)),
    op(RM_GIN, 0x30, "Gin/SPLIT").blocks(Apply(gin::split)),
    op(RM_GIN, 0x40, "Gin/VACUUM_PAGE").blocks(Images),
    op(RM_GIN, 0x50, "Gin/DELETE_PAGE").blocks(Apply(gin::delete_page)),
    op(RM_GIN, 0x60, "Gin/UPDATE_META_PAGE").blocks(Apply(gin::update_meta_page)),
    op(RM_GIN, 0x70, "Gin/INSERT_LISTPAGE").blocks(Apply(gin::insert_listpage)),
    op(RM_GIN, 0x80, "Gin/DELETE_LISTPAGE").blocks(Apply(gin::delete_listpage)),
    op(RM_GIN, 0x90, "Gin/VACUUM_DATA_LEAF_PAGE").blocks(Apply(gin::vacuum_data_leaf_page)),

    op(RM_GIST, 0x00, "Gist/PAGE_UPDATE").blocks(Apply(gist::page_update)).changed_after_image(&[1]),
    op(RM_GIST, 0x10, "Gist/DELETE").blocks(Apply(gist::delete)),
    op(RM_GIST, 0x20, "Gist/PAGE_REUSE"),
    op(RM_GIST, 0x30, "Gist/PAGE_SPLIT").blocks(Apply(gist::page_split)).changed_after_image(&[0]),
    op(RM_GIST, 0x60, "Gist/PAGE_DELETE").blocks(Apply(gist::page_delete)),
    op(RM_GIST, 0x70, "Gist/ASSIGN_LSN"),

    op(RM_SEQ, 0x00, "Sequence/LOG").blocks(Apply(seq::log)),

    op(RM_SPGIST, 0x10, "SPGist/ADD_LEAF").blocks(Apply(spgist::add_leaf)),
    op(RM_SPGIST, 0x20, "SPGist/MOVE_LEAFS").blocks(Apply(spgist::move_leafs)),
    op(RM_SPGIST, 0x30, "SPGist/ADD_NODE").blocks(Apply(spgist::add_node)),
    op(RM_SPGIST, 0x40, "SPGist/SPLIT_TUPLE").blocks(Apply(spgist::split_tuple)),
    op(RM_SPGIST, 0x50, "SPGist/PICKSPLIT").blocks(Apply(spgist::pick_split)),
    op(RM_SPGIST, 0x60, "SPGist/VACUUM_LEAF").blocks(Apply(spgist::vacuum_leaf)),
    op(RM_SPGIST, 0x70, "SPGist/VACUUM_ROOT").blocks(Apply(spgist::vacuum_root)),
    op(RM_SPGIST, 0x80, "SPGist/VACUUM_REDIRECT").blocks(Apply(spgist::vacuum_redirect)),

    op(RM_BRIN, 0x00, "BRIN/CREATE_INDEX").blocks(Apply(brin::create_index)),
    op(RM_BRIN, 0x10, "BRIN/INSERT").blocks(Apply(brin::insert)),
    op(RM_BRIN, 0x90, "BRIN/INSERT+INIT").blocks(Apply(brin::insert)),
    op(RM_BRIN, 0x20, "BRIN/UPDATE").blocks(Apply(brin::update)),
    op(RM_BRIN, 0xA0, "BRIN/UPDATE+INIT").blocks(Apply(brin::update)),
    op(RM_BRIN, 0x30, "BRIN/SAMEPAGE_UPDATE").blocks(Apply(brin::samepage_update)),
    op(RM_BRIN, 0x40, "BRIN/REVMAP_EXTEND").blocks(Apply(brin::revmap_extend)),
    op(RM_BRIN, 0x50, "BRIN/DESUMMARIZE").blocks(Apply(brin::desummarize)),

    op(RM_COMMIT_TS, 0x00, "CommitTs/ZEROPAGE").slru(commit_ts::ZEROPAGE_SLRU),
    op(RM_COMMIT_TS, 0x10, "CommitTs/TRUNCATE").effects(commit_ts::truncate).check_point(commit_ts::truncate_state),

    op(RM_REPLORIGIN, 0x00, "ReplicationOrigin/SET").effects(replorigin::set),
    op(RM_REPLORIGIN, 0x10, "ReplicationOrigin/DROP").effects(replorigin::drop),

    op(RM_GENERIC, 0x00, "Generic/Generic").blocks(Apply(generic::apply)),

    op(RM_LOGICALMSG, 0x00, "LogicalMessage/MESSAGE"),
];

/// Row number + 1 of each opcode of each resource manager; 0 where there is none.
const ROWS: [[u8; 16]; RMGR_NAMES.len()] = index();

const fn index() -> [[u8; 16]; RMGR_NAMES.len()] {
    let mut rows = [[0; 16]; RMGR_NAMES.len()];
    let mut row = 0;
    while row < OPCODES.len() {
        let opcode = OPCODES[row];
        let mut high = 0;
        while high < 16 {
            if (high << 4) & opcode.mask == opcode.opcode {
                let slot = &mut rows[opcode.rmid as usize][high as usize];
                assert!(*slot == 0, "two rows for one opcode");
                *slot = row as u8 + 1;
            }
            high += 1;
        }
        row += 1;
    }
    rows
}

/// The row of a record.
pub(crate) fn lookup(record: &Record, context: &RedoContext) -> Result<&'static Opcode, RedoError> {
    if context.major != MAJOR {
        let major = context.major;
        return Err(RedoError::Major { major });
    }
    row(record.rmid, record.info).ok_or_else(|| RedoError::Unknown {
        rmgr: rmgr_name(record.rmid),
        info: record.info,
        lsn: record.start,
    })
}

/// The record's type as `pg_waldump --stats=record` prints it; `None` if Postgres 15 has no such.
#[must_use]
pub fn record_name(record: &Record) -> Option<&'static str> {
    row(record.rmid, record.info).map(|opcode| opcode.name)
}

fn row(rmid: u8, info: u8) -> Option<&'static Opcode> {
    static TABLE: [Opcode; OPCODES.len()] = OPCODES;
    let row = ROWS.get(usize::from(rmid))?[usize::from(info >> 4)];
    TABLE.get(usize::from(row).checked_sub(1)?)
}

fn rmgr_name(rmid: u8) -> String {
    match RMGR_NAMES.get(usize::from(rmid)) {
        Some(name) => (*name).to_owned(),
        None if rmid >= 128 => format!("{rmid} (of an extension)"),
        None => rmid.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_record::{CONTEXT, START, record};

    /// Opcodes per resource manager, `+INIT` forms not counted.
    #[test]
    fn every_opcode_of_postgres_15_is_there() {
        let counts = [
            13, 7, 2, 2, 3, 2, 4, 1, 3, 8, 8, 15, 13, 9, 6, 1, 8, 6, 2, 2, 1, 1,
        ];
        for (rmid, expected) in counts.into_iter().enumerate() {
            let rows = OPCODES.iter().filter(|row| usize::from(row.rmid) == rmid);
            let count = rows.filter(|row| !row.name.ends_with("+INIT")).count();
            assert_eq!(count, expected, "{}", RMGR_NAMES[rmid]);
        }
        assert_eq!(counts.iter().sum::<usize>(), 117);
    }

    #[test]
    fn pages_change_by_71_opcodes() {
        let changing = OPCODES
            .iter()
            .filter(|row| !matches!(row.blocks, crate::opcode::BlockRedo::NoBlocks))
            .filter(|row| !row.name.ends_with("+INIT"));
        assert_eq!(changing.count(), 71);
    }

    #[test]
    fn names_begin_with_their_resource_manager_and_are_unique() {
        let mut names: Vec<_> = OPCODES.iter().map(|row| row.name).collect();
        for row in &OPCODES {
            let (rmgr, _) = row.name.split_once('/').unwrap();
            assert_eq!(rmgr, RMGR_NAMES[usize::from(row.rmid)]);
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), OPCODES.len());
    }

    #[test]
    fn records_find_their_row() {
        let cases = [
            (10, 0x00, "Heap/INSERT"),
            (10, 0x80, "Heap/INSERT+INIT"),
            (10, 0xC0, "Heap/HOT_UPDATE+INIT"),
            (9, 0xD0, "Heap2/MULTI_INSERT+INIT"),
            (17, 0x90, "BRIN/INSERT+INIT"),
            // The low bits are generic flags; XACT's highest is no part of the opcode.
            (10, 0x02, "Heap/INSERT"),
            (1, 0x80, "Transaction/COMMIT"),
            (1, 0xB1, "Transaction/COMMIT_PREPARED"),
            (21, 0x00, "LogicalMessage/MESSAGE"),
        ];
        for (rmid, info, name) in cases {
            assert_eq!(record_name(&record(rmid, info, &[])), Some(name));
        }
    }

    #[test]
    fn what_postgres_15_does_not_have_is_unknown() {
        let cases = [
            (0, 0xC0, "resource manager XLOG, info 0xC0"),
            (1, 0x70, "resource manager Transaction, info 0x70"),
            (10, 0x90, "resource manager Heap, info 0x90"),
            (14, 0x50, "resource manager Gist, info 0x50"),
            (
                128,
                0x10,
                "resource manager 128 (of an extension), info 0x10",
            ),
            (
                255,
                0x00,
                "resource manager 255 (of an extension), info 0x00",
            ),
        ];
        for (rmid, info, text) in cases {
            let record = record(rmid, info, &[0; 64]);
            let error = crate::effects(&record, &CONTEXT).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("unknown record: {text}, at {START}")
            );
            let mut page = [0; offshoot_layout::BLCKSZ];
            let target = crate::Target::Block(0);
            let error = crate::redo(&record, target, &mut page, &CONTEXT).unwrap_err();
            assert!(matches!(error, RedoError::Unknown { .. }));
        }
    }

    #[test]
    fn other_majors_are_refused() {
        let context = RedoContext {
            major: 16,
            ..CONTEXT
        };
        let error = crate::effects(&record(10, 0, &[0; 3]), &context).unwrap_err();
        assert_eq!(
            error.to_string(),
            "records of Postgres 16 cannot be applied; supported: 15"
        );
    }
}
