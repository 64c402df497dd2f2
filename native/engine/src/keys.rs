//! Keys of the store. Big-endian, so that byte order is logical order.
//!
//! ```text
//! versions  timeline u32 | spcnode u32 | dbnode u32 | relnode u32 | fork u8 | block u32 | lsn u64   29
//! sizes     timeline u32 | spcnode u32 | dbnode u32 | relnode u32 | fork u8 | lsn u64               25
//! files     timeline u32 | kind u8 | a u32 | b u32 | lsn u64                                        21
//! extents   timeline u32 | spcnode u32 | dbnode u32 | relnode u32 | fork u8 | block / 16 u32 | lsn u64   29
//! ```
//! A page of an SLRU: spcnode 0, dbnode = kind, relnode 0, main fork, block = page number. The size of an
//! SLRU segment: the same with relnode = segment number.

use crate::extent::EXTENT_BLOCKS;
use offshoot_layout::slru::SLRU_PAGES_PER_SEGMENT;
use offshoot_layout::{BlockKey, Fork, Lsn, RelKey, SlruKind};
use offshoot_store::Table;

pub const VERSION_KEY_BYTES: usize = 29;
pub const SIZE_KEY_BYTES: usize = 25;
pub const FILE_KEY_BYTES: usize = 21;
/// Timeline and relation: what the keys of one relation start with, in `versions`, `extents` and `sizes`.
pub const REL_PREFIX_BYTES: usize = 17;

pub type VersionKey = [u8; VERSION_KEY_BYTES];
pub type SizeKey = [u8; SIZE_KEY_BYTES];
pub type FileKeyBytes = [u8; FILE_KEY_BYTES];

/// What a file of the cluster other than a relation or an SLRU is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum FileKind {
    /// pg_filenode.map; a = tablespace, b = database (1664, 0: the shared one).
    RelMap = 1,
    /// A database's directory; a = tablespace, b = database; its PG_VERSION.
    Database = 2,
    /// State of a prepared transaction; a = xid.
    TwoPhase = 3,
    /// What goes into the next fabricated checkpoint record.
    CheckPointState = 4,
    /// Replication origins.
    Origins = 5,
    /// A tablespace; a = its oid.
    TableSpace = 6,
    /// pg_control as it was imported.
    Control = 7,
    /// A run of commits and rollbacks and their times; a, b = the newest time before it (see `commit_times`).
    CommitTimes = 8,
}

impl FileKind {
    const ALL: [FileKind; 8] = [
        FileKind::RelMap,
        FileKind::Database,
        FileKind::TwoPhase,
        FileKind::CheckPointState,
        FileKind::Origins,
        FileKind::TableSpace,
        FileKind::Control,
        FileKind::CommitTimes,
    ];

    #[must_use]
    pub fn from_number(number: u8) -> Option<FileKind> {
        FileKind::ALL.into_iter().find(|kind| *kind as u8 == number)
    }
}

/// One file; `a` and `b` mean what its kind says, else 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileKey {
    pub kind: FileKind,
    pub a: u32,
    pub b: u32,
}

impl FileKey {
    #[must_use]
    pub fn new(kind: FileKind, a: u32, b: u32) -> FileKey {
        FileKey { kind, a, b }
    }
}

/// Appends to a fixed array; the lengths of the parts add up to its own.
struct Packer<const N: usize> {
    bytes: [u8; N],
    at: usize,
}

impl<const N: usize> Packer<N> {
    fn new() -> Self {
        Packer {
            bytes: [0; N],
            at: 0,
        }
    }

    fn put(mut self, part: &[u8]) -> Self {
        self.bytes[self.at..self.at + part.len()].copy_from_slice(part);
        self.at += part.len();
        self
    }

    fn rel(self, timeline: u32, rel: &RelKey) -> Self {
        self.put(&timeline.to_be_bytes())
            .put(&rel.spcnode.to_be_bytes())
            .put(&rel.dbnode.to_be_bytes())
            .put(&rel.relnode.to_be_bytes())
            .put(&[rel.fork as u8])
    }

    fn lsn(self, lsn: Lsn) -> [u8; N] {
        let packed = self.put(&lsn.0.to_be_bytes());
        debug_assert_eq!(packed.at, N);
        packed.bytes
    }
}

#[must_use]
pub fn version_key(timeline: u32, key: &BlockKey, lsn: Lsn) -> VersionKey {
    Packer::new()
        .rel(timeline, &key.rel)
        .put(&key.block.to_be_bytes())
        .lsn(lsn)
}

/// Of the extent that `key` lies in.
#[must_use]
pub fn extent_key(timeline: u32, key: &BlockKey, lsn: Lsn) -> VersionKey {
    let number = BlockKey {
        rel: key.rel,
        block: key.block / EXTENT_BLOCKS,
    };
    version_key(timeline, &number, lsn)
}

#[must_use]
pub fn size_key(timeline: u32, rel: &RelKey, lsn: Lsn) -> SizeKey {
    Packer::new().rel(timeline, rel).lsn(lsn)
}

#[must_use]
pub fn file_key(timeline: u32, file: &FileKey, lsn: Lsn) -> FileKeyBytes {
    Packer::new()
        .put(&timeline.to_be_bytes())
        .put(&[file.kind as u8])
        .put(&file.a.to_be_bytes())
        .put(&file.b.to_be_bytes())
        .lsn(lsn)
}

/// Where a page of an SLRU is filed.
#[must_use]
pub fn slru_page_key(kind: SlruKind, page: u32) -> BlockKey {
    BlockKey {
        rel: slru_segment_rel(kind, 0),
        block: page,
    }
}

/// Where the size of an SLRU segment is filed.
#[must_use]
pub fn slru_segment_rel(kind: SlruKind, segno: u32) -> RelKey {
    RelKey {
        spcnode: 0,
        dbnode: kind as u32,
        relnode: segno,
        fork: Fork::Main,
    }
}

/// Which SLRU the keys of `slru_page_key` and `slru_segment_rel` belong to; `None` for a relation.
#[must_use]
pub fn slru_of(rel: &RelKey) -> Option<SlruKind> {
    let kind = u8::try_from(rel.dbnode).ok().filter(|_| rel.spcnode == 0)?;
    SlruKind::from_number(kind)
}

/// Whose size a page lies in, and at which block of it: the segments of an SLRU have one each.
#[must_use]
pub fn sized_rel(key: &BlockKey) -> (RelKey, u32) {
    match slru_of(&key.rel) {
        Some(kind) => (
            slru_segment_rel(kind, key.block / SLRU_PAGES_PER_SEGMENT),
            key.block % SLRU_PAGES_PER_SEGMENT,
        ),
        None => (key.rel, key.block),
    }
}

/// Blocks of one fork of a timeline, or pages of an SLRU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockSpan {
    pub timeline: u32,
    pub rel: RelKey,
    pub first: u32,
    pub last: u32,
}

/// All that the size of a fork, or of a segment of an SLRU, is the size of: the reverse of `sized_rel`.
#[must_use]
pub fn span_of_sized(timeline: u32, sized: &RelKey) -> BlockSpan {
    let (rel, first, last) = match slru_of(sized) {
        Some(kind) => {
            let first = sized.relnode.saturating_mul(SLRU_PAGES_PER_SEGMENT);
            let last = first.saturating_add(SLRU_PAGES_PER_SEGMENT - 1);
            (slru_page_key(kind, 0).rel, first, last)
        }
        None => (*sized, 0, u32::MAX),
    };
    BlockSpan {
        timeline,
        rel,
        first,
        last,
    }
}

/// The first and the last key that a version of one of the blocks can have in `versions` or `extents`.
#[must_use]
pub fn version_prefix_range(table: Table, span: &BlockSpan) -> (VersionKey, VersionKey) {
    let key = match table {
        Table::Extents => extent_key,
        _ => version_key,
    };
    let of = |block, lsn| {
        let block = BlockKey {
            rel: span.rel,
            block,
        };
        key(span.timeline, &block, lsn)
    };
    (of(span.first, Lsn::INVALID), of(span.last, Lsn::MAX))
}

/// The relation, the block or extent, and the LSN of a key of `versions` or `extents`; `None` when it is not one.
#[must_use]
pub fn parse_version_key(key: &[u8]) -> Option<(RelKey, u32, Lsn)> {
    let key: &VersionKey = key.try_into().ok()?;
    Some((rel_of(key)?, u32_at(key, 17)?, lsn_at_end(key)?))
}

/// The relation, fork and LSN of a `sizes` key; `None` when it is not one.
#[must_use]
pub fn parse_size_key(key: &[u8]) -> Option<(RelKey, Lsn)> {
    let key: &SizeKey = key.try_into().ok()?;
    Some((rel_of(key)?, lsn_at_end(key)?))
}

/// Of a key that begins with `REL_PREFIX_BYTES`.
fn rel_of(key: &[u8]) -> Option<RelKey> {
    Some(RelKey {
        spcnode: u32_at(key, 4)?,
        dbnode: u32_at(key, 8)?,
        relnode: u32_at(key, 12)?,
        fork: Fork::from_number(*key.get(16)?)?,
    })
}

/// The file and LSN of a `files` key; `None` when it is not one.
#[must_use]
pub fn parse_file_key(key: &[u8]) -> Option<(FileKey, Lsn)> {
    let key: &FileKeyBytes = key.try_into().ok()?;
    let file = FileKey {
        kind: FileKind::from_number(key[4])?,
        a: u32_at(key, 5)?,
        b: u32_at(key, 9)?,
    };
    Some((file, lsn_at_end(key)?))
}

/// The LSN that every key ends with.
#[must_use]
pub fn lsn_at_end(key: &[u8]) -> Option<Lsn> {
    key.last_chunk()
        .map(|bytes| Lsn(u64::from_be_bytes(*bytes)))
}

fn u32_at(key: &[u8], at: usize) -> Option<u32> {
    let bytes = key.get(at..)?.first_chunk()?;
    Some(u32::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(spcnode: u32, dbnode: u32, relnode: u32, fork: Fork, block: u32) -> BlockKey {
        let rel = RelKey {
            spcnode,
            dbnode,
            relnode,
            fork,
        };
        BlockKey { rel, block }
    }

    #[test]
    fn byte_order_is_logical_order() {
        let ascending = [
            version_key(1, &block(1663, 5, 1259, Fork::Main, 0), Lsn(256)),
            version_key(1, &block(1663, 5, 1259, Fork::Main, 1), Lsn(255)),
            version_key(1, &block(1663, 5, 1259, Fork::Main, 1), Lsn(256)),
            version_key(1, &block(1663, 5, 1259, Fork::Vm, 0), Lsn(1)),
            version_key(1, &block(1663, 5, 1260, Fork::Main, 0), Lsn(1)),
            version_key(1, &block(1663, 256, 1, Fork::Main, 0), Lsn(1)),
            version_key(1, &block(1664, 0, 1, Fork::Main, 0), Lsn(1)),
            version_key(2, &block(0, 0, 0, Fork::Main, 0), Lsn(0)),
        ];
        assert!(ascending.is_sorted());
        assert_eq!(
            ascending[1],
            *b"\0\0\0\x01\0\0\x06\x7f\0\0\0\x05\0\0\x04\xeb\0\0\0\0\x01\0\0\0\0\0\0\0\xff"
        );
    }

    #[test]
    fn keys_are_read_back() {
        let rel = block(1663, 5, 16384, Fork::Fsm, 0).rel;
        let key = size_key(7, &rel, Lsn(0x1_0000_0001));
        assert_eq!(parse_size_key(&key), Some((rel, Lsn(0x1_0000_0001))));
        let page = block(1663, 5, 16384, Fork::Vm, 0x1_0002);
        let key = version_key(7, &page, Lsn(3));
        assert_eq!(parse_version_key(&key), Some((page.rel, 0x1_0002, Lsn(3))));
        let file = FileKey::new(FileKind::TwoPhase, 731, 0);
        let key = file_key(7, &file, Lsn(9));
        assert_eq!(parse_file_key(&key), Some((file, Lsn(9))));
    }

    #[test]
    fn slru_keys_are_told_from_relations() {
        for kind in SlruKind::ALL {
            assert_eq!(slru_of(&slru_page_key(kind, 77).rel), Some(kind));
        }
        assert_eq!(slru_of(&block(0, 4, 0, Fork::Main, 0).rel), None);
        assert_eq!(slru_of(&block(1664, 0, 1260, Fork::Main, 0).rel), None);
    }

    #[test]
    fn damaged_keys_are_none() {
        let rel = slru_segment_rel(SlruKind::MultiXactOffsets, 3);
        let mut size = size_key(1, &rel, Lsn(8)).to_vec();
        size[16] = 9;
        let mut file = file_key(1, &FileKey::new(FileKind::RelMap, 1, 2), Lsn(8)).to_vec();
        file[4] = 0;
        for bytes in [&size[..], &size[..24], &file, &[]] {
            assert_eq!(parse_size_key(bytes), None);
            assert_eq!(parse_file_key(bytes), None);
        }
    }
}
