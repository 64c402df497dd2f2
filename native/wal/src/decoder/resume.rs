//! Beginning at an LSN of which nothing is known.
//!
//! The header of the LSN's page tells how much of a record from an earlier page is still to
//! come; that is passed over, on as many pages as it takes, each of which must agree. Then come
//! records. One exception: what follows a segment switch is zeros, page headers too, up to the
//! segment's end. They look like the end of all WAL until the next segment is there.

use offshoot_layout::Lsn;
use offshoot_layout::wal_page::XLOG_BLCKSZ;

use super::machine::{Step, left_on_page};
use super::{Overwritten, State, WalDecoder};
use crate::{LSN_LIMIT, WalError, WalParams};

/// The length field of a record is always on the page where the record begins.
const SIZE_OF_LENGTH: usize = 4;

impl WalDecoder {
    /// A decoder whose first record is the first that begins at or after `lsn`, which can be
    /// any: a record's boundary, a page's, within a record, a page header or unused space.
    ///
    /// It must be fed from the start of the page that `lsn` is on, which is what
    /// [`WalDecoder::feed_position`] says. Records on the way to `lsn` are checked like all
    /// others, and damage in them is an error.
    ///
    /// In the unused rest of a segment after XLOG_SWITCH the search goes on in the next
    /// segment. If the WAL ends there instead, that shows as bytes that never come.
    ///
    /// # Errors
    /// [`WalError::InvalidParams`].
    pub fn find_next_record(params: WalParams, lsn: Lsn) -> Result<WalDecoder, WalError> {
        if lsn.0 >= LSN_LIMIT {
            let reason = format!("start {lsn} is beyond any WAL");
            return Err(WalError::InvalidParams { reason });
        }
        let page = Lsn(lsn.0 - lsn.0 % XLOG_BLCKSZ as u64);
        WalDecoder::in_state(State::Resuming, params, page, lsn, None)
    }

    /// The first page of all: what of a record from before continues here, `rem_len` if any.
    pub(super) fn resume_on_page(&mut self, rem_len: Option<u32>) -> Result<(), String> {
        self.state = match rem_len {
            None => State::BeforeFirstRecord,
            Some(0) => return Err("0 bytes of a record continue here".to_owned()),
            Some(rem_len) if rem_len > self.record_bytes_max => {
                let max = self.record_bytes_max;
                return Err(format!(
                    "{rem_len} bytes of a record continue here; the limit is {max} bytes"
                ));
            }
            Some(rem_len) => State::InEarlierRecord(rem_len),
        };
        Ok(())
    }

    /// A page on which a record that began before the stream should go on.
    pub(super) fn continue_earlier_record(
        &mut self,
        missing: u32,
        rem_len: Option<u32>,
        overwrites: bool,
    ) -> Result<(), String> {
        match rem_len {
            Some(rem_len) if rem_len == missing => Ok(()),
            Some(rem_len) => Err(format!(
                "{rem_len} bytes of a record continue here, but {missing} are to come"
            )),
            None if overwrites => {
                self.state = State::BetweenRecords;
                self.overwritten = Overwritten::Unknown;
                Ok(())
            }
            None => Err(format!(
                "a record of which {missing} bytes are to come does not continue here"
            )),
        }
    }

    pub(super) fn pass_earlier_record(&mut self) -> Step {
        let State::InEarlierRecord(missing) = &mut self.state else {
            return Step::Done;
        };
        let on_page = left_on_page(self.input.at()).min(*missing as usize);
        let passed = self.input.take(on_page).len();
        *missing -= passed as u32;
        if *missing == 0 {
            self.state = State::BeforeFirstRecord;
        }
        Step::done_if(passed > 0)
    }

    /// At a page's end a next page decides; a length of 0 may be a switch's unused space.
    pub(super) fn begin_first_record(&mut self) -> Step {
        let at = self.input.at();
        if at != at.align_up() {
            return Step::done_if(self.input.skip_to(at.align_up()));
        }
        let Some(length) = self.input.peek().get(..SIZE_OF_LENGTH) else {
            return Step::Starved;
        };
        self.state = if length == [0; SIZE_OF_LENGTH] {
            State::InZeros { from: at }
        } else {
            State::BetweenRecords
        };
        Step::Done
    }

    /// Whether this is a page without a header, as they are after a segment switch. Until a
    /// first record was found such a page can be where decoding begins or goes on.
    pub(super) fn begins_zeros(&mut self, page: Lsn, header: &[u8]) -> bool {
        let searching = matches!(self.state, State::Resuming | State::BeforeFirstRecord);
        // A segment's first page is never unused.
        let unused = page != self.segment_boundary_from(page) && header.iter().all(|b| *b == 0);
        if searching && unused {
            self.state = State::InZeros { from: page };
            return true;
        }
        false
    }

    /// Only zeros may come up to the segment's end, else they are the end of the WAL.
    pub(super) fn pass_zeros(&mut self, from: Lsn) -> Result<Step, WalError> {
        let end = self.segment_boundary_from(from);
        let missing = end.0.saturating_sub(self.input.at().0) as usize;
        if missing == 0 {
            self.state = State::BetweenRecords;
            return Ok(Step::Done);
        }
        let zeros = self.input.take(missing);
        if zeros.iter().any(|byte| *byte != 0) {
            return Err(WalError::EndOfWal { lsn: from });
        }
        Ok(Step::done_if(!zeros.is_empty()))
    }
}
