//! The record from which a Postgres starts as if it had been shut down there.

use offshoot_layout::control::SIZE_OF_CHECK_POINT;
use offshoot_layout::wal_page::{
    LongHeader, SIZE_OF_LONG_HEADER, WalPageHeader, XLOG_BLCKSZ, XLP_FIRST_IS_CONTRECORD,
    header_size_at,
};
use offshoot_layout::{CheckPoint, Lsn, Page, wal_segment};

use crate::header::{self, RecordHeader, SIZE_OF_RECORD_HEADER};
use crate::{LSN_LIMIT, RM_XLOG_ID, WalError, WalParams, XLOG_CHECKPOINT_SHUTDOWN};

const MAIN_DATA_HEADER: [u8; 2] = [0xFF, SIZE_OF_CHECK_POINT as u8];
const DATA_AT: usize = SIZE_OF_RECORD_HEADER + MAIN_DATA_HEADER.len();
/// Length of a shutdown checkpoint record; the next record begins 120 bytes after its start.
pub const SHUTDOWN_CHECKPOINT_BYTES: usize = DATA_AT + SIZE_OF_CHECK_POINT;

/// The first record place in the first segment that begins at or after `lsn`, or in `lsn`'s own
/// segment if nothing was written there yet. `None` if the LSN is beyond any WAL.
/// The segment size must be valid.
#[must_use]
pub fn start_lsn_after(lsn: Lsn, seg_size: u32) -> Option<Lsn> {
    let place_in = |segment: Lsn| Lsn(segment.0 + SIZE_OF_LONG_HEADER as u64);
    let own = wal_segment::start_of(lsn, seg_size);
    if lsn.0 >= LSN_LIMIT {
        None
    } else if lsn <= place_in(own) {
        Some(place_in(own))
    } else {
        wal_segment::start_of_next(lsn, seg_size).map(place_in)
    }
}

/// The record at `x` that says "shut down here"; `redo` of the checkpoint becomes `x`.
///
/// `prev` is the start of the record before, or any LSN below `x`.
#[must_use]
pub fn shutdown_checkpoint_record(
    x: Lsn,
    prev: Lsn,
    check_point: &CheckPoint,
) -> [u8; SHUTDOWN_CHECKPOINT_BYTES] {
    let header = RecordHeader {
        total_len: SHUTDOWN_CHECKPOINT_BYTES as u32,
        xid: 0,
        prev,
        info: XLOG_CHECKPOINT_SHUTDOWN,
        rmid: RM_XLOG_ID,
        crc: 0,
    };
    let check_point = CheckPoint {
        redo: x,
        ..*check_point
    };
    let mut record = [0; SHUTDOWN_CHECKPOINT_BYTES];
    record[..SIZE_OF_RECORD_HEADER].copy_from_slice(&header.to_bytes());
    record[SIZE_OF_RECORD_HEADER..DATA_AT].copy_from_slice(&MAIN_DATA_HEADER);
    record[DATA_AT..].copy_from_slice(&check_point.to_bytes());
    header::seal(&mut record);
    record
}

/// A segment's first page with `record` at `x`, zero after it: all of the segment's bytes that
/// a start from `x` reads.
///
/// # Errors
/// [`WalError::InvalidParams`]: `x` is not on a segment's first page, or as [`record_page`].
pub fn first_segment_page(params: &WalParams, x: Lsn, record: &[u8]) -> Result<Page, WalError> {
    if x.0 - wal_segment::start_of(x, params.seg_size).0 >= XLOG_BLCKSZ as u64 {
        let reason = format!("{x} is not on the first page of a segment");
        return Err(WalError::InvalidParams { reason });
    }
    record_page(params, x, record)
}

/// The WAL page that holds `record` at `x`, zero around it. If a record could begin before `x`
/// on the page, the header says that one from the page before continues up to `x`, so that
/// readers which look for the first record find this one.
///
/// # Errors
/// [`WalError::InvalidParams`]: `x` is no place for a record, or it does not fit on the page.
pub fn record_page(params: &WalParams, x: Lsn, record: &[u8]) -> Result<Page, WalError> {
    let magic = params.magic()?;
    let offset = (x.0 % XLOG_BLCKSZ as u64) as usize;
    let pageaddr = Lsn(x.0 - offset as u64);
    let header_size = header_size_at(pageaddr, params.seg_size);
    let fits = offset >= header_size && offset + record.len() <= XLOG_BLCKSZ;
    if !fits || x != x.align_up() || x.0 >= LSN_LIMIT {
        let bytes = record.len();
        let reason = format!("a record of {bytes} bytes cannot be at {x} within one page");
        return Err(WalError::InvalidParams { reason });
    }
    let rem_len = (offset - header_size) as u32;
    let header = WalPageHeader {
        magic,
        info: if rem_len > 0 {
            XLP_FIRST_IS_CONTRECORD
        } else {
            0
        },
        tli: params.tli,
        pageaddr,
        rem_len,
        long: long_header(params, header_size),
    };
    let mut page = [0; XLOG_BLCKSZ];
    header.write(&mut page);
    page[offset..offset + record.len()].copy_from_slice(record);
    Ok(page)
}

pub(super) fn long_header(params: &WalParams, header_size: usize) -> Option<LongHeader> {
    (header_size == SIZE_OF_LONG_HEADER).then_some(LongHeader {
        system_id: params.system_id,
        seg_size: params.seg_size,
        xlog_blcksz: XLOG_BLCKSZ as u32,
    })
}
