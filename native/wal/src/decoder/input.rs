//! Bytes that were fed and not yet decoded.

use offshoot_layout::Lsn;

/// A queue of stream bytes that knows the LSN of its first one.
pub(super) struct Input {
    bytes: Vec<u8>,
    taken: usize,
    at: Lsn,
}

impl Input {
    pub(super) fn starting_at(at: Lsn) -> Input {
        Input {
            bytes: Vec::new(),
            taken: 0,
            at,
        }
    }

    pub(super) fn append(&mut self, bytes: &[u8]) {
        // Dropping what was taken here, once per chunk, moves only the few bytes left over.
        self.bytes.drain(..self.taken);
        self.taken = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// LSN of the next byte.
    pub(super) fn at(&self) -> Lsn {
        self.at
    }

    /// LSN of the next byte to be appended.
    pub(super) fn end(&self) -> Lsn {
        Lsn(self.at.0 + self.peek().len() as u64)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.taken == self.bytes.len()
    }

    /// What is there, without taking it.
    pub(super) fn peek(&self) -> &[u8] {
        &self.bytes[self.taken..]
    }

    /// At most `max` bytes; fewer if fewer are there.
    pub(super) fn take(&mut self, max: usize) -> &[u8] {
        let from = self.taken;
        let count = max.min(self.bytes.len() - from);
        self.taken += count;
        self.at = Lsn(self.at.0 + count as u64);
        &self.bytes[from..self.taken]
    }

    /// Drops bytes before `lsn`; true once the next byte is the one at `lsn`.
    pub(super) fn skip_to(&mut self, lsn: Lsn) -> bool {
        let distance = lsn.0.saturating_sub(self.at.0);
        self.take(usize::try_from(distance).unwrap_or(usize::MAX));
        self.at >= lsn
    }
}
