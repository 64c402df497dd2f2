//! From stream bytes, in chunks of any size, to records.

mod input;
mod machine;
mod overwritten;
mod page;
mod partial;
mod resume;

use offshoot_layout::Lsn;

use crate::{RECORD_BYTES_MAX_DEFAULT, Record, WalError, WalParams};
use input::Input;
use overwritten::Overwritten;
use partial::Partial;

/// Assembles records from the bytes of one timeline.
///
/// There are two ways to begin: [`WalDecoder::new`] where the end of a record is known, and
/// [`WalDecoder::find_next_record`] at any LSN.
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
    /// Records that begin before this are checked, but not handed out.
    wanted: Lsn,
    /// End of the last complete record.
    end: Lsn,
    /// Start of the last complete record; unknown before the first unless the caller knew it.
    prev: Option<Lsn>,
    /// Of the last page header seen.
    page_tli: u32,
    overwritten: Overwritten,
    /// Memory of an earlier record, for the next that is gathered.
    spare: Vec<u8>,
    /// Decoding does not continue behind an error.
    failure: Option<WalError>,
}

/// What the next byte belongs to.
enum State {
    BetweenRecords,
    InRecord(Partial),
    /// Nothing is decoded before this LSN.
    SkippingTo(Lsn),
    /// A page of which it is not known whether a record continues there.
    Resuming,
    /// Of a record that began before the stream, this many bytes are still to come.
    InEarlierRecord(u32),
    /// Resumed on a page where a record may begin, at a byte where one may.
    BeforeFirstRecord,
    /// Zeros where the first record might have begun.
    InZeros {
        from: Lsn,
    },
}

impl WalDecoder {
    /// `start` is the LSN of the first byte that will be fed: the end of a record, or a page
    /// boundary at which no record continues. `prev` is the start of the record before, if
    /// known; without it the first record's link backwards is only checked to be backwards.
    ///
    /// # Errors
    /// [`WalError::InvalidParams`].
    pub fn new(params: WalParams, start: Lsn, prev: Option<Lsn>) -> Result<WalDecoder, WalError> {
        params.check_start(start)?;
        WalDecoder::in_state(State::BetweenRecords, params, start, start, prev)
    }

    fn in_state(
        state: State,
        params: WalParams,
        first_byte: Lsn,
        wanted: Lsn,
        prev: Option<Lsn>,
    ) -> Result<WalDecoder, WalError> {
        Ok(WalDecoder {
            magic: params.magic()?,
            params,
            record_bytes_max: RECORD_BYTES_MAX_DEFAULT,
            input: Input::starting_at(first_byte),
            state,
            wanted,
            end: first_byte,
            prev,
            page_tli: 0,
            overwritten: Overwritten::No,
            spare: Vec::new(),
            failure: None,
        })
    }

    /// Refuses records longer than this many bytes from now on.
    pub fn set_record_bytes_max(&mut self, bytes: u32) {
        self.record_bytes_max = bytes;
    }

    /// Appends bytes of the stream, the first of which is the one at
    /// [`WalDecoder::feed_position`]. Take all records before feeding more.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.failure.is_none() {
            self.input.append(bytes);
        }
    }

    /// LSN of the next byte to be fed.
    #[must_use]
    pub fn feed_position(&self) -> Lsn {
        self.input.end()
    }

    /// Where a decoder can be resumed: the end LSN of the last complete record, or what the
    /// decoder was started at if that is later. [`WalDecoder::find_next_record`] can always
    /// go on from here, [`WalDecoder::new`] if this is known to be a record's end: once
    /// [`WalDecoder::prev`] is known.
    #[must_use]
    pub fn position(&self) -> Lsn {
        self.end.max(self.wanted)
    }

    /// Start LSN of the record that ends at [`WalDecoder::position`], or what
    /// [`WalDecoder::new`] was told.
    #[must_use]
    pub fn prev(&self) -> Option<Lsn> {
        self.prev.filter(|_| self.end >= self.wanted)
    }

    /// The next complete record; `None` when more bytes are needed.
    ///
    /// # Errors
    /// [`WalError`], and the same one ever after.
    // Not an iterator: None means "feed me", and errors stay.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Record>, WalError> {
        let mut record = Record::default();
        Ok(self.next_into(&mut record)?.then_some(record))
    }

    /// Like [`WalDecoder::next`], into a record whose memory is used again: with the same one
    /// each time there is no allocation per record. False when more bytes are needed; `record`
    /// then, and after an error, holds anything.
    ///
    /// # Errors
    /// As [`WalDecoder::next`].
    pub fn next_into(&mut self, record: &mut Record) -> Result<bool, WalError> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        self.advance(record)
            .inspect_err(|failure| self.failure = Some(failure.clone()))
    }
}
