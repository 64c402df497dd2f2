//! Reading fixed-width big-endian fields off the front of a byte slice.

use crate::ProtoError;
use offshoot_layout::Lsn;

/// The unread rest of a message and the name it goes by in errors.
pub(crate) struct Take<'a> {
    rest: &'a [u8],
    what: &'static str,
    taken_bytes: usize,
}

impl<'a> Take<'a> {
    pub(crate) fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Take {
            rest: bytes,
            what,
            taken_bytes: 0,
        }
    }

    pub(crate) fn named(&mut self, what: &'static str) {
        self.what = what;
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Result<&'a [u8], ProtoError> {
        let Some((head, rest)) = self.rest.split_at_checked(count) else {
            return Err(ProtoError::Truncated {
                what: self.what,
                expected_bytes: self.taken_bytes + count,
                actual_bytes: self.taken_bytes + self.rest.len(),
            });
        };
        self.rest = rest;
        self.taken_bytes += count;
        Ok(head)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], ProtoError> {
        let bytes = self.bytes(N)?;
        bytes.try_into().map_err(|_| ProtoError::Truncated {
            what: self.what,
            expected_bytes: N,
            actual_bytes: bytes.len(),
        })
    }

    pub(crate) fn u8(&mut self) -> Result<u8, ProtoError> {
        self.array().map(|&[byte]| byte)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, ProtoError> {
        self.array().map(|bytes| u32::from_be_bytes(*bytes))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, ProtoError> {
        self.array().map(|bytes| u64::from_be_bytes(*bytes))
    }

    pub(crate) fn lsn(&mut self) -> Result<Lsn, ProtoError> {
        self.u64().map(Lsn)
    }

    pub(crate) fn rest(self) -> &'a [u8] {
        self.rest
    }

    /// A response has no room for anything we did not expect.
    pub(crate) fn end(self) -> Result<(), ProtoError> {
        match self.rest.len() {
            0 => Ok(()),
            extra_bytes => Err(ProtoError::TrailingBytes {
                what: self.what,
                extra_bytes,
            }),
        }
    }
}
