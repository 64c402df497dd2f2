//! What the ingest must do for a record.

use offshoot_layout::{BlockKey, Lsn, RelKey, SlruKind};

use crate::rmgr::xlog::ParameterChange;
use crate::slru::SlruTruncation;

/// What a record's redo of a page starts from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PageBase {
    /// The record carries the whole page (an image to apply): no older version is needed.
    Image,
    /// Redo builds the page from nothing (WILL_INIT): no older version is needed.
    Init,
    /// Redo changes the version before.
    Previous,
}

/// How an origin's progress moves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OriginAdvance {
    /// To the larger of the two positions.
    Forward,
    /// To the given position, even backwards.
    Force,
}

/// One thing to do, valid from the record's end LSN on. A list of effects is in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    /// The record may change the checkpoint state: call [`crate::apply_checkpoint_state`].
    CheckPoint,
    /// File the record for this block (`Target::Block`); extends the fork to `key.block + 1`.
    Page {
        block_id: u8,
        key: BlockKey,
        base: PageBase,
    },
    /// File the record for this visibility-map page (`Target::VmClear`), which it does not
    /// reference. Nothing to do if the page does not exist; never extends the fork.
    VmClear { key: BlockKey },
    /// File the record for this free-space-map page (`Target::FsmTruncate`), which it does not
    /// reference. Nothing to do if the page does not exist; never extends the fork.
    FsmTruncate { key: BlockKey },
    /// The fork exists; with 0 blocks if it did not before.
    Create { rel: RelKey },
    /// The fork, if it exists, has at most `blocks` blocks. Never makes it longer. What was
    /// beyond is gone for good: blocks added later start as zeros.
    Truncate { rel: RelKey, blocks: u32 },
    /// All forks of the relation are gone.
    DropRelation { spc: u32, db: u32, rel: u32 },
    /// File the record for this SLRU page (`Target::Slru`). A page that does not exist starts
    /// as zeros, and the segment is extended to hold it.
    Slru { kind: SlruKind, page: u32 },
    /// The SLRU page becomes zeros; the segment is extended to hold it.
    SlruZero { kind: SlruKind, page: u32 },
    /// Segments for which [`SlruTruncation::removes`] says so are gone.
    SlruTruncate(SlruTruncation),
    /// New content of the file pg_filenode.map; `db` 0 with `spc` 1664 is the shared one.
    RelMap { spc: u32, db: u32, bytes: Vec<u8> },
    /// The database's directory and PG_VERSION exist in the tablespace; its relations follow
    /// by records of their own.
    DatabaseCreate { spc: u32, db: u32 },
    /// (spc, db) becomes what (src_spc, src_db) is at this LSN: all relations, relation map,
    /// PG_VERSION. Whatever (spc, db) held before is gone. For a page of the copy that is not
    /// known the record can be filed (`Target::implicit`): redo of it is unsupported.
    DatabaseCopy {
        spc: u32,
        db: u32,
        src_spc: u32,
        src_db: u32,
    },
    /// All of the database's files in these tablespaces are gone.
    DatabaseDrop { db: u32, spcs: Vec<u32> },
    /// A tablespace; `path` is where production has it, not NUL-terminated.
    TablespaceCreate { spc: u32, path: Vec<u8> },
    /// The tablespace is gone.
    TablespaceDrop { spc: u32 },
    /// A prepared transaction: the content of its file in pg_twophase.
    TwoPhase { xid: u32, bytes: Vec<u8> },
    /// The prepared transaction ended: its file is gone.
    TwoPhaseEnd { xid: u32 },
    /// Progress of a replication origin.
    Origin {
        node: u16,
        remote_lsn: Lsn,
        advance: OriginAdvance,
    },
    /// The replication origin's progress is gone.
    OriginDrop { node: u16 },
    /// New values of settings in pg_control, and so of the [`crate::RedoContext`].
    Parameters(ParameterChange),
}
