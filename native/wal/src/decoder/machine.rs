//! The steps from one state to the next.

use offshoot_layout::wal_page::XLOG_BLCKSZ;
use offshoot_layout::{Lsn, wal_segment};

use super::partial::{self, Partial};
use super::{State, WalDecoder};
use crate::header::{RecordHeader, SIZE_OF_RECORD_HEADER};
use crate::{Record, WalError};

/// What a step came to.
pub(super) enum Step {
    /// Something was decoded, and the next step can be taken.
    Done,
    /// More bytes are needed.
    Starved,
    /// A record is complete.
    Record,
}

impl Step {
    pub(super) fn done_if(done: bool) -> Step {
        if done { Step::Done } else { Step::Starved }
    }
}

impl WalDecoder {
    /// Whether `record` is now the next one that is wanted.
    pub(super) fn advance(&mut self, record: &mut Record) -> Result<bool, WalError> {
        loop {
            match self.step(record)? {
                Step::Done => {}
                Step::Starved => return Ok(false),
                Step::Record if record.start >= self.wanted => return Ok(true),
                Step::Record => {}
            }
        }
    }

    fn step(&mut self, record: &mut Record) -> Result<Step, WalError> {
        let on_page = left_on_page(self.input.at()) < XLOG_BLCKSZ;
        match &mut self.state {
            State::SkippingTo(lsn) => {
                let arrived = self.input.skip_to(*lsn);
                if arrived {
                    self.state = State::BetweenRecords;
                }
                Ok(Step::done_if(arrived))
            }
            State::InZeros { from } => {
                let from = *from;
                self.pass_zeros(from)
            }
            _ if !on_page => self.enter_page().map(Step::done_if),
            State::BetweenRecords => self.begin_record(record),
            State::InRecord(partial) => {
                if !partial.gather(&mut self.input) {
                    return Ok(Step::Starved);
                }
                self.check_gathered(record)
            }
            State::InEarlierRecord(_) => Ok(self.pass_earlier_record()),
            State::BeforeFirstRecord => Ok(self.begin_first_record()),
            // Entered only at a page's first byte.
            State::Resuming => Ok(Step::Starved),
        }
    }

    /// Steps over padding to where a record begins. Most records lie wholly on their page and
    /// in what was fed: these are taken from there at once.
    fn begin_record(&mut self, record: &mut Record) -> Result<Step, WalError> {
        let at = self.input.at();
        if at != at.align_up() {
            return Ok(Step::done_if(self.input.skip_to(at.align_up())));
        }
        if let Some(header) = self.whole_record_ahead() {
            let (total_len, max) = (header.total_len, self.record_bytes_max);
            partial::check_length(at, total_len, max)?;
            partial::check_link(at, &header, self.prev, self.params.major)?;
            record.refill(self.input.take(total_len as usize));
            return self.finish_record(record, at);
        }
        if self.input.is_empty() {
            return Ok(Step::Starved);
        }
        self.state = State::InRecord(Partial::begin(at, std::mem::take(&mut self.spare)));
        Ok(Step::Done)
    }

    fn whole_record_ahead(&self) -> Option<RecordHeader> {
        let ahead = self.input.peek();
        let header = RecordHeader::parse(ahead)?;
        let room = left_on_page(self.input.at()).min(ahead.len());
        let lengths = SIZE_OF_RECORD_HEADER..=room;
        lengths
            .contains(&(header.total_len as usize))
            .then_some(header)
    }

    /// Checks what became known of the record; takes it once complete.
    fn check_gathered(&mut self, record: &mut Record) -> Result<Step, WalError> {
        let State::InRecord(partial) = &self.state else {
            return Ok(Step::Done);
        };
        partial.check(self.params.major, self.prev, self.record_bytes_max)?;
        if !partial.is_complete() {
            return Ok(Step::Done);
        }
        let State::InRecord(partial) = std::mem::replace(&mut self.state, State::BetweenRecords)
        else {
            return Ok(Step::Done);
        };
        let (start, bytes) = partial.into_parts();
        self.spare = record.exchange(bytes);
        self.finish_record(record, start)
    }

    /// `record` has its bytes, and all of them are taken.
    fn finish_record(&mut self, record: &mut Record, start: Lsn) -> Result<Step, WalError> {
        let end = self.input.at().align_up();
        record.take_apart(start, end, self.params.major)?;
        if record.is_switch() {
            record.end = self.segment_boundary_from(end);
            self.state = State::SkippingTo(record.end);
        }
        self.check_overwritten(record)?;
        self.prev = Some(start);
        self.end = record.end;
        Ok(Step::Record)
    }

    /// `lsn` itself if a segment begins there, else the start of the next one.
    pub(super) fn segment_boundary_from(&self, lsn: Lsn) -> Lsn {
        let segment = wal_segment::start_of(lsn, self.params.seg_size);
        if segment == lsn {
            lsn
        } else {
            Lsn(segment.0 + u64::from(self.params.seg_size))
        }
    }
}

/// Bytes from `lsn` to the end of its page; a whole page at the page's first byte.
pub(super) fn left_on_page(lsn: Lsn) -> usize {
    XLOG_BLCKSZ - (lsn.0 % XLOG_BLCKSZ as u64) as usize
}
