//! The record types of Postgres 15: every opcode of every built-in resource manager.
//!
//! A row says what the record is called, what it does in words, and by which functions. A row without a word about blocks,
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

/// What makes real Postgres write each resource manager's records, in `test/oracle/workloads`; there
/// every page that they change is compared with Postgres' own.
pub const RMGR_WORKLOADS: [&str; RMGR_NAMES.len()] = [
    "system", "system", "system", "slru", "system", "system", "slru", "system", "system", "heap",
    "heap", "btree", "hash", "gin", "gist", "sequence", "spgist", "brin", "slru", "system",
    "generic", "system",
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

const fn op(rmid: u8, opcode: u8, name: &'static str, description: &'static str) -> Opcode {
    Opcode::new(rmid, opcode, ALL, name, description)
}

const fn xact(opcode: u8, name: &'static str, description: &'static str) -> Opcode {
    Opcode::new(RM_XACT, opcode, XACT, name, description)
}

/// The table. Heap, Heap2 and BRIN records with bit 0x80 (`+INIT`) build their page anew.
#[rustfmt::skip] // one row per line, so that it reads as a table
pub const OPCODES: [Opcode; 123] = [
    op(RM_XLOG, 0x00, "XLOG/CHECKPOINT_SHUTDOWN", "Sets the checkpoint state to what it was when the server was shut down").check_point(xlog::checkpoint_shutdown),
    op(RM_XLOG, 0x10, "XLOG/CHECKPOINT_ONLINE", "Brings the checkpoint state up to the values of a checkpoint of a running server").check_point(xlog::checkpoint_online),
    op(RM_XLOG, 0x20, "XLOG/NOOP", "Changes nothing"),
    op(RM_XLOG, 0x30, "XLOG/NEXTOID", "Reserves OIDs: nextOid moves to the end of those reserved").check_point(xlog::next_oid),
    op(RM_XLOG, 0x40, "XLOG/SWITCH", "Ends the WAL segment early; changes no page"),
    op(RM_XLOG, 0x50, "XLOG/BACKUP_END", "Marks the end of a base backup; changes no page"),
    op(RM_XLOG, 0x60, "XLOG/PARAMETER_CHANGE", "Sets the settings in pg_control that a standby or a page server must know").effects(xlog::parameter_change).check_point(xlog::parameter_change_state),
    op(RM_XLOG, 0x70, "XLOG/RESTORE_POINT", "Names a point to recover to; changes nothing"),
    op(RM_XLOG, 0x80, "XLOG/FPW_CHANGE", "Notes in the checkpoint state that full_page_writes was switched").check_point(xlog::fpw_change),
    op(RM_XLOG, 0x90, "XLOG/END_OF_RECOVERY", "Notes the new timeline after recovery in the checkpoint state").check_point(xlog::end_of_recovery),
    op(RM_XLOG, 0xA0, "XLOG/FPI_FOR_HINT", "Restores the image of a page on which a hint was set; without an image, nothing").blocks(Apply(xlog::hint_without_image)),
    op(RM_XLOG, 0xB0, "XLOG/FPI", "Restores images of whole pages").blocks(Images),
    op(RM_XLOG, 0xD0, "XLOG/OVERWRITE_CONTRECORD", "Tells that the unfinished record before was given up; changes no page"), // checked by the WAL decoder

    xact(0x00, "Transaction/COMMIT", "Marks transactions committed; removes dropped relations, moves a replication origin").slru(&xact::COMMIT_SLRU).effects(xact::end).check_point(xact::commit_state),
    xact(0x10, "Transaction/PREPARE", "Keeps the state of a prepared transaction").effects(xact::prepare).check_point(xact::prepare_state),
    xact(0x20, "Transaction/ABORT", "Marks transactions aborted; removes the files of relations they created").slru(&xact::ABORT_SLRU).effects(xact::end).check_point(xact::end_state),
    xact(0x30, "Transaction/COMMIT_PREPARED", "Marks a prepared transaction committed; drops its state and dropped relations").slru(&xact::COMMIT_SLRU).effects(xact::end).check_point(xact::commit_state),
    xact(0x40, "Transaction/ABORT_PREPARED", "Marks a prepared transaction aborted; drops its state and relations it created").slru(&xact::ABORT_SLRU).effects(xact::end).check_point(xact::end_state),
    xact(0x50, "Transaction/ASSIGNMENT", "Tells which subtransactions belong to a transaction; changes no page"),
    xact(0x60, "Transaction/INVALIDATION", "Lists catalog cache entries to forget, for logical decoding; changes no page"),

    op(RM_SMGR, 0x10, "Storage/CREATE", "Creates a fork of a relation, empty").effects(smgr::create),
    op(RM_SMGR, 0x20, "Storage/TRUNCATE", "Cuts a relation off at a block; clears the rest of its maps' last pages").implicit(smgr::TRUNCATE_IMPLICIT).effects(smgr::truncate),

    op(RM_CLOG, 0x00, "CLOG/ZEROPAGE", "Makes a commit-status page of zeros").slru(&clog::ZEROPAGE_SLRU),
    op(RM_CLOG, 0x10, "CLOG/TRUNCATE", "Removes old segments of commit status; sets oldestXid").effects(clog::truncate),

    op(RM_DBASE, 0x00, "Database/CREATE_FILE_COPY", "Creates a database by copying the files of another; names no page").implicit(ImplicitRedo::Unsupported).effects(dbase::create_file_copy),
    op(RM_DBASE, 0x10, "Database/CREATE_WAL_LOG", "Creates a database's empty directory; its pages follow in records of their own").effects(dbase::create_wal_log),
    op(RM_DBASE, 0x20, "Database/DROP", "Removes a database with all its relations, in the tablespaces listed").effects(dbase::drop),

    op(RM_TBLSPC, 0x00, "Tablespace/CREATE", "Creates a tablespace").effects(tblspc::create),
    op(RM_TBLSPC, 0x10, "Tablespace/DROP", "Removes a tablespace").effects(tblspc::drop),

    op(RM_MULTIXACT, 0x00, "MultiXact/ZERO_OFF_PAGE", "Makes a page of multixact offsets zeros, but for a first entry already there").slru(&multixact::ZERO_OFF_PAGE_SLRU),
    op(RM_MULTIXACT, 0x10, "MultiXact/ZERO_MEM_PAGE", "Makes a page of multixact members of zeros").slru(&multixact::ZERO_MEM_PAGE_SLRU),
    op(RM_MULTIXACT, 0x20, "MultiXact/CREATE_ID", "Writes a multixact's members and their offset; moves the next multixact and offset").slru(&multixact::CREATE_ID_SLRU).check_point(multixact::create_id_state),
    op(RM_MULTIXACT, 0x30, "MultiXact/TRUNCATE_ID", "Removes old segments of multixact offsets and members; sets oldestMulti").effects(multixact::truncate).check_point(multixact::truncate_state),

    op(RM_RELMAP, 0x00, "RelMap/UPDATE", "Replaces a relation map: the files of catalogs that cannot be looked up").effects(relmap::update),

    op(RM_STANDBY, 0x00, "Standby/LOCK", "Lists exclusive locks for a standby; changes no page"),
    op(RM_STANDBY, 0x10, "Standby/RUNNING_XACTS", "Lists running transactions; moves nextXid and oldestActiveXid").check_point(standby::running_xacts),
    op(RM_STANDBY, 0x20, "Standby/INVALIDATIONS", "Lists catalog cache entries for a standby to forget; changes no page"),

    op(RM_HEAP2, 0x00, "Heap2/REWRITE", "Adds to a mapping file for logical decoding, not kept; changes no page"), // files of logical decoding, which we do not keep
    op(RM_HEAP2, 0x10, "Heap2/PRUNE", "Sets line pointers redirected, dead and unused, and compacts the page").blocks(Apply(heap2::prune)),
    op(RM_HEAP2, 0x20, "Heap2/VACUUM", "Makes dead line pointers unused").blocks(Apply(heap2::vacuum)),
    op(RM_HEAP2, 0x30, "Heap2/FREEZE_PAGE", "Freezes tuples: rewrites xmin, xmax and infomask of those listed").blocks(Apply(heap2::freeze_page)),
    op(RM_HEAP2, 0x40, "Heap2/VISIBLE", "Sets a heap page all-visible, or all-frozen, in the visibility map and on the page").blocks(Apply(heap2::visible)),
    op(RM_HEAP2, 0x50, "Heap2/MULTI_INSERT", "Adds several tuples to a heap page; may clear its bits in the visibility map").blocks(Apply(heap2::multi_insert)).implicit(VmClears(heap2::multi_insert_clears)),
    op(RM_HEAP2, 0xD0, "Heap2/MULTI_INSERT+INIT", "Builds a heap page anew with several tuples; may clear visibility-map bits").blocks(Apply(heap2::multi_insert)).implicit(VmClears(heap2::multi_insert_clears)),
    op(RM_HEAP2, 0x60, "Heap2/LOCK_UPDATED", "Locks a newer version of a tuple: sets xmax and its bits; may clear all-frozen").blocks(Apply(heap2::lock_updated)).implicit(VmClears(heap::lock_clears)),
    op(RM_HEAP2, 0x70, "Heap2/NEW_CID", "Tells the command ids of a catalog tuple, for logical decoding; changes no page"),

    op(RM_HEAP, 0x00, "Heap/INSERT", "Adds a tuple to a heap page; may clear its bits in the visibility map").blocks(Apply(heap::insert)).implicit(VmClears(heap::insert_clears)),
    op(RM_HEAP, 0x80, "Heap/INSERT+INIT", "Builds a heap page anew with one tuple; may clear its bits in the visibility map").blocks(Apply(heap::insert)).implicit(VmClears(heap::insert_clears)),
    op(RM_HEAP, 0x10, "Heap/DELETE", "Sets a tuple's xmax: deleted; may clear the page's bits in the visibility map").blocks(Apply(heap::delete)).implicit(VmClears(heap::delete_clears)),
    op(RM_HEAP, 0x20, "Heap/UPDATE", "Sets the old tuple's xmax and link, and adds the new one, on this or another page").blocks(Apply(heap::update)).implicit(VmClears(heap::update_clears)),
    op(RM_HEAP, 0xA0, "Heap/UPDATE+INIT", "As Heap/UPDATE, and builds the new tuple's page anew").blocks(Apply(heap::update)).implicit(VmClears(heap::update_clears)),
    op(RM_HEAP, 0x30, "Heap/TRUNCATE", "Names truncated tables, for logical decoding; changes no page"), // for logical decoding
    op(RM_HEAP, 0x40, "Heap/HOT_UPDATE", "As Heap/UPDATE on one page, the new tuple being part of the old one's HOT chain").blocks(Apply(heap::update)).implicit(VmClears(heap::update_clears)),
    op(RM_HEAP, 0xC0, "Heap/HOT_UPDATE+INIT", "As Heap/HOT_UPDATE, and builds the page anew").blocks(Apply(heap::update)).implicit(VmClears(heap::update_clears)),
    op(RM_HEAP, 0x50, "Heap/HEAP_CONFIRM", "Makes a speculatively inserted tuple a proper one: its ctid becomes its own place").blocks(Apply(heap::confirm)),
    op(RM_HEAP, 0x60, "Heap/LOCK", "Locks a tuple: sets xmax and its bits; may clear all-frozen in the visibility map").blocks(Apply(heap::lock)).implicit(VmClears(heap::lock_clears)),
    op(RM_HEAP, 0x70, "Heap/INPLACE", "Overwrites a tuple's data where it is, the length unchanged").blocks(Apply(heap::inplace)),

    op(RM_BTREE, 0x00, "Btree/INSERT_LEAF", "Adds a tuple to a leaf page").blocks(Apply(btree::insert_leaf)),
    op(RM_BTREE, 0x10, "Btree/INSERT_UPPER", "Adds a downlink to an inner page; completes the split of the child").blocks(Apply(btree::insert_upper)),
    op(RM_BTREE, 0x20, "Btree/INSERT_META", "As Btree/INSERT_UPPER, and moves the fast root in the metapage").blocks(Apply(btree::insert_meta)),
    op(RM_BTREE, 0x30, "Btree/SPLIT_L", "Splits a page, the new tuple going left: builds both halves, links the neighbour").blocks(Apply(btree::split_l)),
    op(RM_BTREE, 0x40, "Btree/SPLIT_R", "Splits a page, the new tuple going right: builds both halves, links the neighbour").blocks(Apply(btree::split_r)),
    op(RM_BTREE, 0x50, "Btree/INSERT_POST", "Adds a tuple to a leaf page, splitting a posting list").blocks(Apply(btree::insert_post)),
    op(RM_BTREE, 0x60, "Btree/DEDUP", "Merges equal tuples of a leaf page into posting lists").blocks(Apply(btree::dedup)),
    op(RM_BTREE, 0x70, "Btree/DELETE", "Deletes dead tuples from a leaf page, or heap TIDs from its posting lists").blocks(Apply(btree::delete)),
    op(RM_BTREE, 0x80, "Btree/UNLINK_PAGE", "Takes a half-dead page out between its siblings and marks it deleted").blocks(Apply(btree::unlink_page)),
    op(RM_BTREE, 0x90, "Btree/UNLINK_PAGE_META", "As Btree/UNLINK_PAGE, and moves the fast root in the metapage").blocks(Apply(btree::unlink_page_meta)),
    op(RM_BTREE, 0xA0, "Btree/NEWROOT", "Builds a root page, and notes it in the metapage").blocks(Apply(btree::newroot)),
    op(RM_BTREE, 0xB0, "Btree/MARK_PAGE_HALFDEAD", "Makes a leaf page half-dead, and takes its downlink out of the parent").blocks(Apply(btree::mark_page_halfdead)),
    op(RM_BTREE, 0xC0, "Btree/VACUUM", "Deletes tuples of dead rows from a leaf page, or heap TIDs from its posting lists").blocks(Apply(btree::vacuum)),
    op(RM_BTREE, 0xD0, "Btree/REUSE_PAGE", "Tells a standby that a deleted page is used again; changes no page"),
    op(RM_BTREE, 0xE0, "Btree/META_CLEANUP", "Rewrites the metapage with the numbers of the last vacuum").blocks(Apply(btree::meta_cleanup)),

    op(RM_HASH, 0x00, "Hash/INIT_META_PAGE", "Builds the metapage of a new hash index").blocks(Apply(hash::init_meta_page)),
    op(RM_HASH, 0x10, "Hash/INIT_BITMAP_PAGE", "Builds a bitmap page of overflow pages, and notes it in the metapage").blocks(Apply(hash::init_bitmap_page)),
    op(RM_HASH, 0x20, "Hash/INSERT", "Adds a tuple to a bucket or overflow page, and counts it in the metapage").blocks(Apply(hash::insert)),
    op(RM_HASH, 0x30, "Hash/ADD_OVFL_PAGE", "Appends an overflow page to a bucket; marks it used in bitmap and metapage").blocks(Apply(hash::add_ovfl_page)),
    op(RM_HASH, 0x40, "Hash/SPLIT_ALLOCATE_PAGE", "Begins a bucket's split: builds the new bucket page, notes it in the metapage").blocks(Apply(hash::split_allocate_page)).changed_after_image(&[0]),
    op(RM_HASH, 0x50, "Hash/SPLIT_PAGE", "Restores the image of a page of the new bucket filled by a split").blocks(Images),
    op(RM_HASH, 0x60, "Hash/SPLIT_COMPLETE", "Ends a bucket's split: clears the flags on the old and the new bucket page").blocks(Apply(hash::split_complete)).changed_after_image(&[0, 1]),
    op(RM_HASH, 0x70, "Hash/MOVE_PAGE_CONTENTS", "Moves tuples from a bucket's last page to an earlier one").blocks(Apply(hash::move_page_contents)),
    op(RM_HASH, 0x80, "Hash/SQUEEZE_PAGE", "Frees an overflow page: moves its tuples, unlinks it, clears its bit in the bitmap").blocks(Apply(hash::squeeze_page)),
    op(RM_HASH, 0x90, "Hash/DELETE", "Deletes tuples of dead rows from a bucket or overflow page").blocks(Apply(hash::delete)),
    op(RM_HASH, 0xA0, "Hash/SPLIT_CLEANUP", "Clears the flag that tuples moved by a split are still in the old bucket").blocks(Apply(hash::split_cleanup)),
    op(RM_HASH, 0xB0, "Hash/UPDATE_META_PAGE", "Sets the number of tuples in the metapage").blocks(Apply(hash::update_meta_page)),
    op(RM_HASH, 0xC0, "Hash/VACUUM_ONE_PAGE", "Deletes dead tuples from a page to make room; counts them off in the metapage").blocks(Apply(hash::vacuum_one_page)),

    op(RM_GIN, 0x10, "Gin/CREATE_PTREE", "Builds the root leaf of a posting tree").blocks(Apply(gin::create_ptree)),
    op(RM_GIN, 0x20, "Gin/INSERT", "Adds to an entry or posting-tree page; completes the split of the child").blocks(Apply(gin::insert)),
    op(RM_GIN, 0x30, "Gin/SPLIT", "Restores the images of a split page's halves; completes the split of the child").blocks(Apply(gin::split)),
    op(RM_GIN, 0x40, "Gin/VACUUM_PAGE", "Restores the image of an entry page after vacuum").blocks(Images),
    op(RM_GIN, 0x50, "Gin/DELETE_PAGE", "Takes a posting-tree page out: marks it deleted, relinks its left, cuts its parent").blocks(Apply(gin::delete_page)),
    op(RM_GIN, 0x60, "Gin/UPDATE_META_PAGE", "Rewrites the metapage; adds tuples to the pending list's tail, or links a new tail").blocks(Apply(gin::update_meta_page)),
    op(RM_GIN, 0x70, "Gin/INSERT_LISTPAGE", "Builds a page of the pending list").blocks(Apply(gin::insert_listpage)),
    op(RM_GIN, 0x80, "Gin/DELETE_LISTPAGE", "Marks pages of the pending list deleted, and rewrites the metapage").blocks(Apply(gin::delete_listpage)),
    op(RM_GIN, 0x90, "Gin/VACUUM_DATA_LEAF_PAGE", "Rewrites posting lists of a posting-tree leaf after vacuum").blocks(Apply(gin::vacuum_data_leaf_page)),

    op(RM_GIST, 0x00, "Gist/PAGE_UPDATE", "Deletes and adds tuples of a page; ends the child's state of a split under way").blocks(Apply(gist::page_update)).changed_after_image(&[1]),
    op(RM_GIST, 0x10, "Gist/DELETE", "Deletes dead tuples from a leaf page").blocks(Apply(gist::delete)),
    op(RM_GIST, 0x20, "Gist/PAGE_REUSE", "Tells a standby that a deleted page is used again; changes no page"),
    op(RM_GIST, 0x30, "Gist/PAGE_SPLIT", "Builds the pages that a page is split into; ends the child's state of a split").blocks(Apply(gist::page_split)).changed_after_image(&[0]),
    op(RM_GIST, 0x60, "Gist/PAGE_DELETE", "Marks an empty leaf page deleted, and takes its downlink out of the parent").blocks(Apply(gist::page_delete)),
    op(RM_GIST, 0x70, "Gist/ASSIGN_LSN", "Only takes a place in the WAL, for its LSN; changes nothing"),

    op(RM_SEQ, 0x00, "Sequence/LOG", "Builds a sequence's page anew, some values ahead of those handed out").blocks(Apply(seq::log)),

    op(RM_SPGIST, 0x10, "SPGist/ADD_LEAF", "Adds a leaf tuple to a chain, or in place of a dead one; points the parent at a new chain").blocks(Apply(spgist::add_leaf)),
    op(RM_SPGIST, 0x20, "SPGist/MOVE_LEAFS", "Moves a chain of leaf tuples to another page, leaves a redirect, updates the parent").blocks(Apply(spgist::move_leafs)),
    op(RM_SPGIST, 0x30, "SPGist/ADD_NODE", "Replaces an inner tuple by one with one more node, here or on another page").blocks(Apply(spgist::add_node)),
    op(RM_SPGIST, 0x40, "SPGist/SPLIT_TUPLE", "Splits an inner tuple into a prefix in its place and a postfix below it").blocks(Apply(spgist::split_tuple)),
    op(RM_SPGIST, 0x50, "SPGist/PICKSPLIT", "Divides leaf tuples among the nodes of a new inner tuple, on up to two leaf pages").blocks(Apply(spgist::pick_split)),
    op(RM_SPGIST, 0x60, "SPGist/VACUUM_LEAF", "Takes dead rows out of chains: dead tuples, placeholders, moves and new links").blocks(Apply(spgist::vacuum_leaf)),
    op(RM_SPGIST, 0x70, "SPGist/VACUUM_ROOT", "Deletes tuples of dead rows from a root that is a leaf").blocks(Apply(spgist::vacuum_root)),
    op(RM_SPGIST, 0x80, "SPGist/VACUUM_REDIRECT", "Makes old redirects placeholders, and deletes placeholders at the page's end").blocks(Apply(spgist::vacuum_redirect)),

    op(RM_BRIN, 0x00, "BRIN/CREATE_INDEX", "Builds the metapage of a new BRIN index").blocks(Apply(brin::create_index)),
    op(RM_BRIN, 0x10, "BRIN/INSERT", "Adds a summary to a page, and points its range's entry of the revmap there").blocks(Apply(brin::insert)),
    op(RM_BRIN, 0x90, "BRIN/INSERT+INIT", "As BRIN/INSERT, and builds the summary's page anew").blocks(Apply(brin::insert)),
    op(RM_BRIN, 0x20, "BRIN/UPDATE", "Moves a changed summary to another page, and its range's entry of the revmap with it").blocks(Apply(brin::update)),
    op(RM_BRIN, 0xA0, "BRIN/UPDATE+INIT", "As BRIN/UPDATE, and builds the new summary's page anew").blocks(Apply(brin::update)),
    op(RM_BRIN, 0x30, "BRIN/SAMEPAGE_UPDATE", "Replaces a summary where it is").blocks(Apply(brin::samepage_update)),
    op(RM_BRIN, 0x40, "BRIN/REVMAP_EXTEND", "Makes a page one of the revmap, and notes it in the metapage").blocks(Apply(brin::revmap_extend)),
    op(RM_BRIN, 0x50, "BRIN/DESUMMARIZE", "Deletes a range's summary, and empties its entry of the revmap").blocks(Apply(brin::desummarize)),

    op(RM_COMMIT_TS, 0x00, "CommitTs/ZEROPAGE", "Makes a page of commit timestamps of zeros").slru(&commit_ts::ZEROPAGE_SLRU),
    op(RM_COMMIT_TS, 0x10, "CommitTs/TRUNCATE", "Removes old segments of commit timestamps; sets oldestCommitTsXid").effects(commit_ts::truncate).check_point(commit_ts::truncate_state),

    op(RM_REPLORIGIN, 0x00, "ReplicationOrigin/SET", "Sets how far a replication origin has come").effects(replorigin::set),
    op(RM_REPLORIGIN, 0x10, "ReplicationOrigin/DROP", "Forgets how far a replication origin has come").effects(replorigin::drop),

    op(RM_GENERIC, 0x00, "Generic/Generic", "Replaces ranges of bytes on pages, for index types of extensions").blocks(Apply(generic::apply)),

    op(RM_LOGICALMSG, 0x00, "LogicalMessage/MESSAGE", "Carries an extension's message to logical decoding; changes no page"),
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
