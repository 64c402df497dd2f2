//! PARAMETER_CHANGE (28 bytes) and END_OF_RECOVERY (16 bytes).

use crate::payload::{Malformed, Payload};

/// The settings of production that pg_control keeps, as of a PARAMETER_CHANGE record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ParameterChange {
    pub max_connections: i32,
    pub max_worker_processes: i32,
    pub max_wal_senders: i32,
    pub max_prepared_xacts: i32,
    pub max_locks_per_xact: i32,
    /// minimal 0, replica 1, logical 2.
    pub wal_level: i32,
    pub wal_log_hints: bool,
    pub track_commit_timestamp: bool,
}

impl ParameterChange {
    pub(super) fn parse(main: &[u8]) -> Result<ParameterChange, Malformed> {
        let mut payload = Payload::new(main);
        Ok(ParameterChange {
            max_connections: payload.i32()?,
            max_worker_processes: payload.i32()?,
            max_wal_senders: payload.i32()?,
            max_prepared_xacts: payload.i32()?,
            max_locks_per_xact: payload.i32()?,
            wal_level: payload.i32()?,
            wal_log_hints: payload.u8()? != 0,
            track_commit_timestamp: payload.u8()? != 0,
        })
    }
}

/// A server left recovery without a checkpoint.
pub(super) struct EndOfRecovery {
    pub this_timeline_id: u32,
    pub prev_timeline_id: u32,
}

impl EndOfRecovery {
    pub(super) fn parse(main: &[u8]) -> Result<EndOfRecovery, Malformed> {
        let mut payload = Payload::new(main);
        payload.i64()?; // when
        Ok(EndOfRecovery {
            this_timeline_id: payload.u32()?,
            prev_timeline_id: payload.u32()?,
        })
    }
}
