//! pg_control and the WAL from which Postgres starts at an LSN without recovery.

use offshoot_layout::control::PG_CONTROL_FILE_BYTES;
use offshoot_layout::{CheckPoint, Lsn, Page, wal_segment};
use offshoot_wal::{WalParams, generate};

use crate::{CheckPointState, EngineError};

/// Both are the same bytes whenever they are made for the same LSN.
pub struct Start {
    pub control: [u8; PG_CONTROL_FILE_BYTES],
    /// Below pg_wal.
    pub segment_name: String,
    pub segment_bytes: u32,
    /// The segment's first page; all behind it is zeros.
    pub first_page: Box<Page>,
}

/// Makes the start for `lsn`, the end of a record; `major` is the cluster's.
///
/// # Errors
/// `Wal` when the LSN is beyond any WAL.
pub fn fabricate(state: &CheckPointState, lsn: Lsn, major: u32) -> Result<Start, EngineError> {
    let control = &state.control;
    let seg_size = control.xlog_seg_size;
    let x = generate::start_lsn_after(lsn, seg_size)
        .ok_or_else(|| EngineError::BadRequest(format!("{lsn} is beyond any WAL")))?;
    let tli = control.check_point_copy.this_timeline_id;
    let check_point = CheckPoint {
        redo: x,
        prev_timeline_id: tli,
        // A compute never recovers from its own WAL, so torn pages do not matter.
        full_page_writes: false,
        oldest_active_xid: 0,
        ..control.check_point_copy
    };
    let params = WalParams {
        major,
        system_id: control.system_identifier,
        seg_size,
        tli,
    };
    let record = generate::shutdown_checkpoint_record(x, state.last_record_start, &check_point);
    // Not the time of day: the same LSN gives the same bytes.
    let shut_down = control.shut_down_at(x, check_point, check_point.time);
    Ok(Start {
        control: shut_down.to_bytes(),
        segment_name: wal_segment::file_name(tli, x, seg_size),
        segment_bytes: seg_size,
        first_page: Box::new(generate::first_segment_page(&params, x, &record)?),
    })
}
