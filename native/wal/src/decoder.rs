//! From stream bytes, in chunks of any size, to records.

mod input;
mod page;
mod partial;

use offshoot_layout::{Lsn, le, wal_page, wal_segment};

use crate::{
    RECORD_BYTES_MAX_DEFAULT, RM_XLOG_ID, Record, WalError, WalParams, XLOG_OVERWRITE_CONTRECORD,
};
use input::Input;
use partial::Partial;

/// Assembles records from the bytes of one timeline.
///
/// Memory is bounded by the bytes fed and not yet taken with [`WalDecoder::next`], plus one
/// record of at most [`RECORD_BYTES_MAX_DEFAULT`] bytes (or the limit set), which grows only as
/// its bytes arrive.
pub struct WalDecoder {
    params: WalParams,
    magic: u16,
    record_bytes_max: u32,
    input: Input,
    state: State,
    /// End of the last complete record.
    position: Lsn,
    /// Start of the last complete record; unknown before the first unless the caller knew it.
    prev: Option<Lsn>,
    /// Of the last page header seen.
    page_tli: u32,
    overwritten: Overwritten,
    /// Decoding does not continue behind an error.
    failure: Option<WalError>,
}

/// What the next byte belongs to.
enum State {
    BetweenRecords,
    InRecord(Partial),
    /// Nothing is decoded before this LSN.
    SkippingTo(Lsn),
}

/// What the record after an abandoned one must say.
enum Overwritten {
    No,
    /// The abandoned record began before the stream did.
    Unknown,
    Began(Lsn),
}

impl WalDecoder {
    /// `start` is the LSN of the first byte that will be fed: the end of a record, or a page
    /// boundary at which no record continues. `prev` is the start of the record before, if
    /// known; without it the first record's link backwards is only checked to be backwards.
    ///
    /// # Errors
    /// [`WalError::InvalidParams`].
    pub fn new(params: WalParams, start: Lsn, prev: Option<Lsn>) -> Result<WalDecoder, WalError> {
        let magic = params.magic()?;
        params.check_start(start)?;
        Ok(WalDecoder {
            params,
            magic,
            record_bytes_max: RECORD_BYTES_MAX_DEFAULT,
            input: Input::starting_at(start),
            state: State::BetweenRecords,
            position: start,
            prev,
            page_tli: 0,
            overwritten: Overwritten::No,
            failure: None,
        })
    }

    /// Refuses records longer than this many bytes from now on.
    pub fn set_record_bytes_max(&mut self, bytes: u32) {
        self.record_bytes_max = bytes;
    }

    /// Appends bytes of the stream. Take all records before feeding more.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.failure.is_none() {
            self.input.append(bytes);
        }
    }

    /// End LSN of the last complete record, or the start; a decoder can be resumed from here.
    #[must_use]
    pub fn position(&self) -> Lsn {
        self.position
    }

    /// Start LSN of the last complete record, or what [`WalDecoder::new`] was told.
    #[must_use]
    pub fn prev(&self) -> Option<Lsn> {
        self.prev
    }

    /// The next complete record; `None` when more bytes are needed.
    ///
    /// # Errors
    /// [`WalError`], and the same one ever after.
    // Not an iterator: None means "feed me", and errors stay.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Record>, WalError> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        self.advance()
            .inspect_err(|failure| self.failure = Some(failure.clone()))
    }

    fn advance(&mut self) -> Result<Option<Record>, WalError> {
        loop {
            if let State::SkippingTo(lsn) = self.state {
                if !self.input.skip_to(lsn) {
                    return Ok(None);
                }
                self.state = State::BetweenRecords;
            }
            if self
                .input
                .at()
                .0
                .is_multiple_of(wal_page::XLOG_BLCKSZ as u64)
            {
                if !self.enter_page()? {
                    return Ok(None);
                }
                continue;
            }
            match &mut self.state {
                State::BetweenRecords => {
                    if !self.begin_record() {
                        return Ok(None);
                    }
                }
                State::InRecord(partial) => {
                    if !partial.gather(&mut self.input) {
                        return Ok(None);
                    }
                    if let Some(record) = self.check_gathered()? {
                        return Ok(Some(record));
                    }
                }
                State::SkippingTo(_) => {}
            }
        }
    }

    /// Steps over padding to where a record begins; false if that byte is not there yet.
    fn begin_record(&mut self) -> bool {
        let at = self.input.at();
        if at != at.align_up() {
            return self.input.skip_to(at.align_up());
        }
        if self.input.is_empty() {
            return false;
        }
        self.state = State::InRecord(Partial::begin(at));
        true
    }

    /// Checks what became known of the record; takes it once complete.
    fn check_gathered(&mut self) -> Result<Option<Record>, WalError> {
        let State::InRecord(partial) = &self.state else {
            return Ok(None);
        };
        partial.check(self.params.major, self.prev, self.record_bytes_max)?;
        if !partial.is_complete() {
            return Ok(None);
        }
        let State::InRecord(partial) = std::mem::replace(&mut self.state, State::BetweenRecords)
        else {
            return Ok(None);
        };
        self.finish_record(partial).map(Some)
    }

    fn finish_record(&mut self, partial: Partial) -> Result<Record, WalError> {
        let (start, bytes) = partial.into_parts();
        let end = self.input.at().align_up();
        let mut record = Record::from_bytes(bytes, start, end, self.params.major)?;
        if record.is_switch() {
            record.end = self.segment_boundary_from(end);
            self.state = State::SkippingTo(record.end);
        }
        self.check_overwritten(&record)?;
        self.prev = Some(start);
        self.position = record.end;
        Ok(record)
    }

    /// `lsn` itself if a segment begins there, else the start of the next one.
    fn segment_boundary_from(&self, lsn: Lsn) -> Lsn {
        let segment = wal_segment::start_of(lsn, self.params.seg_size);
        if segment == lsn {
            lsn
        } else {
            Lsn(segment.0 + u64::from(self.params.seg_size))
        }
    }

    /// The first record after an abandoned one must name it.
    fn check_overwritten(&mut self, record: &Record) -> Result<(), WalError> {
        let expected = std::mem::replace(&mut self.overwritten, Overwritten::No);
        let is_notice = record.rmid == RM_XLOG_ID && record.opcode() == XLOG_OVERWRITE_CONTRECORD;
        let named = le::u64_at(record.main_data(), 0)
            .filter(|_| is_notice)
            .map(Lsn);
        let reason = match (expected, named) {
            (Overwritten::No, _) | (Overwritten::Unknown, Some(_)) => return Ok(()),
            (Overwritten::Began(lsn), Some(named)) if named == lsn => return Ok(()),
            (Overwritten::Began(lsn), Some(named)) => {
                format!("it stands for the abandoned record at {named}, but that began at {lsn}")
            }
            (_, None) => "a record was abandoned here, but this one does not say so".to_owned(),
        };
        Err(WalError::InvalidRecord {
            lsn: record.start,
            reason,
        })
    }
}
