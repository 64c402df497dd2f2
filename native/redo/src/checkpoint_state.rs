//! The counters that pg_control and the next checkpoint record must have at every LSN.

use offshoot_layout::CheckPoint;
use offshoot_wal::Record;

use crate::context::RedoContext;
use crate::error::RedoError;
use crate::{rmgr_table, xid};

/// Whether a record changed the checkpoint state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StateChange {
    Changed,
    Unchanged,
}

/// Brings the state from before the record to after it.
///
/// nextXid, nextOid, nextMulti and nextMultiOffset are never behind what the record uses; the
/// oldest* fields may lag, which only delays truncation. After an error `state` is as before.
///
/// # Errors
/// [`RedoError::Unknown`], [`RedoError::Malformed`], [`RedoError::Major`].
pub fn apply_checkpoint_state(
    state: &mut CheckPoint,
    record: &Record,
    context: &RedoContext,
) -> Result<StateChange, RedoError> {
    let opcode = rmgr_table::lookup(record, context)?;
    let mut after = *state;
    after.next_xid = xid::next_past(after.next_xid, record.xid);
    if let Some(check_point) = opcode.check_point {
        check_point(record, context, &mut after)
            .map_err(|malformed| RedoError::malformed(opcode, record, malformed))?;
    }
    let changed = *state != after;
    *state = after;
    Ok(if changed {
        StateChange::Changed
    } else {
        StateChange::Unchanged
    })
}

#[cfg(test)]
mod tests {
    use offshoot_layout::Lsn;

    use super::*;
    use crate::test_record::{CONTEXT, draft, parse, u32s};

    const BEFORE: CheckPoint = CheckPoint {
        redo: Lsn(0x100),
        this_timeline_id: 1,
        prev_timeline_id: 1,
        full_page_writes: true,
        wal_level: 0,
        next_xid: 1 << 32 | 1000,
        next_oid: 24_576,
        next_multi: 50,
        next_multi_offset: 99,
        oldest_xid: 700,
        oldest_xid_db: 1,
        oldest_multi: 10,
        oldest_multi_db: 1,
        time: 5,
        oldest_commit_ts_xid: 0,
        newest_commit_ts_xid: 0,
        oldest_active_xid: 990,
    };

    /// What a checkpoint record may hold: some counters behind, some ahead of `BEFORE`.
    const LOGGED: CheckPoint = CheckPoint {
        redo: Lsn(0x200),
        this_timeline_id: 2,
        prev_timeline_id: 1,
        full_page_writes: false,
        wal_level: 0,
        next_xid: 1 << 32 | 990,
        next_oid: 16_384,
        next_multi: 60,
        next_multi_offset: 90,
        oldest_xid: 800,
        oldest_xid_db: 5,
        oldest_multi: 9,
        oldest_multi_db: 5,
        time: 6,
        oldest_commit_ts_xid: 0,
        newest_commit_ts_xid: 0,
        oldest_active_xid: 995,
    };

    fn after(xid: u32, (rmid, info): (u8, u8), main: &[u8]) -> CheckPoint {
        let mut draft = draft(rmid, info, main);
        draft.xid = xid;
        let mut state = BEFORE;
        let change = apply_checkpoint_state(&mut state, &parse(&draft), &CONTEXT).unwrap();
        assert_eq!(change == StateChange::Changed, state != BEFORE);
        state
    }

    fn running_xacts(next_xid: u32, oldest_running: u32) -> Vec<u8> {
        u32s(&[0, 0, 0, next_xid, oldest_running, next_xid - 1])
    }

    fn parameter_change(track_commit_timestamp: u8) -> Vec<u8> {
        let numbers = u32s(&[100, 8, 10, 0, 64, 1]);
        [&numbers[..], &[0, track_commit_timestamp, 0, 0]].concat()
    }

    #[test]
    fn records_move_their_counters() {
        let online = CheckPoint {
            next_xid: BEFORE.next_xid,
            next_oid: BEFORE.next_oid,
            next_multi_offset: BEFORE.next_multi_offset,
            oldest_multi: BEFORE.oldest_multi,
            oldest_multi_db: BEFORE.oldest_multi_db,
            ..LOGGED
        };
        let next_xid = |low: u64| CheckPoint {
            next_xid: 1 << 32 | low,
            ..BEFORE
        };
        let logged = LOGGED.to_bytes();
        let end_of_recovery = [&[0; 8][..], &u32s(&[3, 2])].concat();
        let cases = [
            (
                "any record's xid",
                1000,
                (10, 0x70),
                vec![0; 2],
                next_xid(1001),
            ),
            ("an earlier xid", 999, (10, 0x70), vec![0; 2], BEFORE),
            ("no xid", 0, (10, 0x70), vec![0; 2], BEFORE),
            ("shutdown", 0, (0, 0x00), logged.to_vec(), LOGGED),
            ("online", 0, (0, 0x10), logged.to_vec(), online),
            (
                "next oid",
                0,
                (0, 0x30),
                u32s(&[32_768]),
                CheckPoint {
                    next_oid: 32_768,
                    ..BEFORE
                },
            ),
            (
                "full_page_writes",
                0,
                (0, 0x80),
                vec![0],
                CheckPoint {
                    full_page_writes: false,
                    ..BEFORE
                },
            ),
            (
                "end of recovery",
                0,
                (0, 0x90),
                end_of_recovery,
                CheckPoint {
                    this_timeline_id: 3,
                    prev_timeline_id: 2,
                    ..BEFORE
                },
            ),
            (
                "running transactions",
                0,
                (8, 0x10),
                running_xacts(1005, 998),
                CheckPoint {
                    oldest_active_xid: 998,
                    ..next_xid(1005)
                },
            ),
            (
                "commit timestamps on",
                0,
                (0, 0x60),
                parameter_change(1),
                CheckPoint {
                    oldest_commit_ts_xid: 1000,
                    newest_commit_ts_xid: 1000,
                    ..BEFORE
                },
            ),
            (
                "commit timestamps stay off",
                0,
                (0, 0x60),
                parameter_change(0),
                BEFORE,
            ),
            (
                "commit timestamps truncated while off",
                0,
                (18, 0x10),
                u32s(&[0, 900]),
                BEFORE,
            ),
        ];
        for (what, xid, kind, main, expected) in cases {
            assert_eq!(after(xid, kind, &main), expected, "{what}");
        }
    }

    #[test]
    fn oldest_commit_timestamp_moves_up_only() {
        for (oldest, expected) in [(900, 900), (600, 700)] {
            let mut state = CheckPoint {
                oldest_commit_ts_xid: 700,
                ..BEFORE
            };
            let mut draft = draft(18, 0x10, &u32s(&[0, oldest]));
            draft.xid = 0;
            apply_checkpoint_state(&mut state, &parse(&draft), &CONTEXT).unwrap();
            assert_eq!(state.oldest_commit_ts_xid, expected);
        }
    }

    #[test]
    fn error_leaves_the_state_alone() {
        let mut state = BEFORE;
        let record = parse(&draft(0, 0x00, &[0; 87]));
        assert!(apply_checkpoint_state(&mut state, &record, &CONTEXT).is_err());
        assert_eq!(state, BEFORE);
    }
}
