//! Arrays of offset numbers, as they lie in a record.

use crate::payload::{Malformed, Payload};

const SIZE_OF_OFFSET_NUMBER: usize = 2;

/// Offset numbers that are still bytes: records hold up to hundreds, of which most redo needs
/// every one just once.
#[derive(Clone, Copy)]
pub(super) struct Offsets<'a>(&'a [[u8; SIZE_OF_OFFSET_NUMBER]]);

impl<'a> Offsets<'a> {
    /// The next `count` of the payload.
    pub(super) fn parse(payload: &mut Payload<'a>, count: u16) -> Result<Offsets<'a>, Malformed> {
        let bytes = payload.take(usize::from(count) * SIZE_OF_OFFSET_NUMBER)?;
        Ok(Offsets(bytes.as_chunks().0))
    }

    pub(super) fn len(self) -> usize {
        self.0.len()
    }

    pub(super) fn iter(self) -> impl Iterator<Item = u16> + 'a {
        self.0.iter().map(|bytes| u16::from_le_bytes(*bytes))
    }

    pub(super) fn first(self) -> Option<u16> {
        self.0.first().map(|bytes| u16::from_le_bytes(*bytes))
    }

    pub(super) fn last(self) -> Option<u16> {
        self.0.last().map(|bytes| u16::from_le_bytes(*bytes))
    }
}
