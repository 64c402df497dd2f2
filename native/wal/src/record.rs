//! One WAL record, taken apart.

use std::ops::Range;

use offshoot_layout::Lsn;

use crate::block::{BlockRef, BlockRefs};
use crate::header::{self, RecordHeader};
use crate::{RM_XLOG_ID, WalError, XLOG_SWITCH};

/// The high half of `info` is the opcode, the low half generic flags.
const XLR_RMGR_INFO_MASK: u8 = 0xF0;

/// A record whose CRC and structure have been checked. All ranges lie within `bytes`.
///
/// The default is a record of nothing, for [`crate::WalDecoder::next_into`] to fill.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Record {
    /// LSN of the record's first byte.
    pub start: Lsn,
    /// LSN after the record and its padding: what changed pages are stamped with. Exactly a
    /// page boundary if the record ends there; the next segment's start after XLOG_SWITCH.
    pub end: Lsn,
    /// Start of the record before this one.
    pub prev: Lsn,
    /// The writing (sub)transaction, or 0.
    pub xid: u32,
    pub rmid: u8,
    /// As stored; see [`Record::opcode`].
    pub info: u8,
    /// Replication origin, if the change was itself replicated.
    pub origin: Option<u16>,
    /// Top-level transaction of `xid`, logged once per subtransaction with wal_level logical.
    pub top_xid: Option<u32>,
    /// Main data; empty if the record has none.
    pub main: Range<usize>,
    /// By ascending id.
    pub blocks: BlockRefs,
    /// The whole record as logged, header included, padding not.
    pub bytes: Vec<u8>,
}

impl Record {
    /// Takes apart the bytes of one record, as [`Record::bytes`] holds them. The CRC is always
    /// checked, where the bytes were kept since they were decoded too.
    ///
    /// # Errors
    /// [`WalError::InvalidRecord`]: wrong length, CRC or structure.
    pub fn parse(bytes: &[u8], start: Lsn, end: Lsn, major: u32) -> Result<Record, WalError> {
        let mut record = Record::default();
        record.parse_into(bytes, start, end, major)?;
        Ok(record)
    }

    /// As [`Record::parse`], into a record whose memory is used again.
    ///
    /// # Errors
    /// As [`Record::parse`]; the record then holds anything.
    pub fn parse_into(
        &mut self,
        bytes: &[u8],
        start: Lsn,
        end: Lsn,
        major: u32,
    ) -> Result<(), WalError> {
        self.refill(bytes);
        self.take_apart(start, end, major)
    }

    /// Replaces the record's bytes, which are then still to be taken apart.
    pub(crate) fn refill(&mut self, bytes: &[u8]) {
        drop_if_long(&mut self.bytes);
        self.bytes.clear();
        self.bytes.extend_from_slice(bytes);
    }

    /// As [`Record::refill`]; returns memory to be used again.
    pub(crate) fn exchange(&mut self, bytes: Vec<u8>) -> Vec<u8> {
        let mut before = std::mem::replace(&mut self.bytes, bytes);
        drop_if_long(&mut before);
        before
    }

    /// Checks the bytes and sets all else by them.
    pub(crate) fn take_apart(&mut self, start: Lsn, end: Lsn, major: u32) -> Result<(), WalError> {
        self.try_take_apart(start, end, major)
            .map_err(|reason| WalError::InvalidRecord { lsn: start, reason })
    }

    fn try_take_apart(&mut self, start: Lsn, end: Lsn, major: u32) -> Result<(), String> {
        let header = check_header(&self.bytes, major)?;
        self.start = start;
        self.end = end;
        self.prev = header.prev;
        self.xid = header.xid;
        self.rmid = header.rmid;
        self.info = header.info;
        self.take_payload_apart(major)
    }

    /// What the resource manager calls its record types: `info` without the generic flags.
    #[must_use]
    pub fn opcode(&self) -> u8 {
        self.info & XLR_RMGR_INFO_MASK
    }

    /// Whether the rest of the segment is unused.
    #[must_use]
    pub fn is_switch(&self) -> bool {
        self.rmid == RM_XLOG_ID && self.opcode() == XLOG_SWITCH
    }

    #[must_use]
    pub fn main_data(&self) -> &[u8] {
        self.bytes.get(self.main.clone()).unwrap_or_default()
    }

    /// The block reference with this id; ids are not indexes.
    #[must_use]
    pub fn block(&self, id: u8) -> Option<&BlockRef> {
        self.blocks.iter().find(|block| block.id == id)
    }

    /// The data of one of this record's block references; empty if it has none.
    #[must_use]
    pub fn block_data(&self, block: &BlockRef) -> &[u8] {
        self.bytes.get(block.data.clone()).unwrap_or_default()
    }
}

fn check_header(bytes: &[u8], major: u32) -> Result<RecordHeader, String> {
    let header = RecordHeader::parse(bytes)
        .ok_or_else(|| format!("{} bytes are too few for a record", bytes.len()))?;
    if header.total_len as usize != bytes.len() {
        let (total_len, got) = (header.total_len, bytes.len());
        return Err(format!("length {total_len}, but {got} bytes given"));
    }
    if !header.has_known_rmid(major) {
        let rmid = header.rmid;
        return Err(format!(
            "resource manager {rmid} does not exist in Postgres {major}"
        ));
    }
    match header::crc_of(bytes) {
        Some(computed) if computed == header.crc => Ok(header),
        computed => Err(format!(
            "CRC {:08X} stored, {:08X} computed",
            header.crc,
            computed.unwrap_or_default()
        )),
    }
}

/// Memory of a record this long is not kept for the next.
const KEPT_BYTES_MAX: usize = 1 << 20;

fn drop_if_long(bytes: &mut Vec<u8>) {
    if bytes.capacity() > KEPT_BYTES_MAX {
        *bytes = Vec::new();
    }
}
