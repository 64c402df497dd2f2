//! What a compute's fabricated start needs besides pages: pg_control as it would be at an LSN.
//!
//! ```text
//! last record's start u64 | ControlFileData, 296 bytes (checkPointCopy kept current, see ingest)
//! ```

use offshoot_layout::{ControlFile, Lsn};
use offshoot_redo::ParameterChange;
use offshoot_redo::xid::FIRST_NORMAL_TRANSACTION_ID;

use crate::{EngineError, FileKey, FileKind};

/// Longest ControlFileData of any major version.
const CONTROL_BYTES: usize = 296;

/// Xids that a filed state covers ahead.
const NEXT_XID_STEP: u64 = 1024;

/// Content of the file kind `CheckPointState`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CheckPointState {
    /// `check_point_copy` holds the counters at the LSN, whichever records moved them.
    pub control: ControlFile,
    /// Start of the last record; `INVALID` while there is none.
    pub last_record_start: Lsn,
}

impl CheckPointState {
    /// Where it is filed.
    pub const FILE: FileKey = FileKey {
        kind: FileKind::CheckPointState,
        a: 0,
        b: 0,
    };

    /// The same with a nextXid that also covers the xids to come, so that not every transaction files
    /// a state of its own. Skipping xids is harmless as long as the first page of pg_xact that no record
    /// has made is not reached: the step divides a page's 32768 xids.
    #[must_use]
    pub(crate) fn covering_next_xids(mut self) -> CheckPointState {
        let next_xid = &mut self.control.check_point_copy.next_xid;
        let covering = next_xid.checked_next_multiple_of(NEXT_XID_STEP);
        *next_xid = match covering.unwrap_or(*next_xid) {
            // Where the circle begins anew, the first ids are no ordinary transaction's.
            epoch if epoch as u32 == 0 => epoch | u64::from(FIRST_NORMAL_TRANSACTION_ID),
            next => next,
        };
        self
    }

    /// Production changed settings that pg_control keeps.
    pub fn set_parameters(&mut self, change: &ParameterChange) {
        let control = &mut self.control;
        control.max_connections = change.max_connections;
        control.max_worker_processes = change.max_worker_processes;
        control.max_wal_senders = change.max_wal_senders;
        control.max_prepared_xacts = change.max_prepared_xacts;
        control.max_locks_per_xact = change.max_locks_per_xact;
        control.wal_level = change.wal_level;
        control.wal_log_hints = change.wal_log_hints;
        control.track_commit_timestamp = change.track_commit_timestamp;
    }

    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = self.last_record_start.0.to_be_bytes().to_vec();
        bytes.extend_from_slice(&self.control.to_bytes()[..CONTROL_BYTES]);
        bytes
    }

    /// # Errors
    /// `Damaged`.
    pub fn parse(bytes: &[u8]) -> Result<CheckPointState, EngineError> {
        let damaged = |reason: String| EngineError::damaged("checkpoint state", reason);
        let (start, control) = bytes
            .split_first_chunk()
            .ok_or_else(|| damaged("it is too short".to_owned()))?;
        Ok(CheckPointState {
            control: ControlFile::parse(control).map_err(|error| damaged(error.to_string()))?,
            last_record_start: Lsn(u64::from_be_bytes(*start)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTROL: &[u8] = include_bytes!("../../layout/tests/data/pg_control");

    #[test]
    fn the_xids_that_a_state_covers_are_ordinary_ones() {
        let cases = [
            (3, 1024),
            (1024, 1024),
            (1025, 2048),
            (7 << 32 | 0xFFFF_FC00, 7 << 32 | 0xFFFF_FC00),
            (7 << 32 | 0xFFFF_FC01, 8 << 32 | 3),
            (u64::MAX, u64::MAX),
        ];
        let control = ControlFile::parse(CONTROL).unwrap();
        for (next_xid, expected) in cases {
            let mut state = CheckPointState {
                control,
                last_record_start: Lsn(8),
            };
            state.control.check_point_copy.next_xid = next_xid;
            let covering = state.covering_next_xids();
            assert_eq!(covering.control.check_point_copy.next_xid, expected);
        }
    }
}
