//! Received WAL that waits in memory to be indexed: of a source that keeps it until it is in the store.

use std::collections::VecDeque;
use std::sync::Arc;

use offshoot_layout::Lsn;
use parking_lot::Mutex;

use crate::FollowError;
use crate::indexer::Shared;
use crate::log_writer::LogPosition;

/// WAL is handed on in pieces of about this size.
const CHUNK_BYTES: usize = 1 << 20;

/// A queue of WAL without gaps, between whoever receives it and the indexer.
pub(crate) struct Inbox {
    state: Mutex<State>,
    position: Arc<LogPosition>,
    /// Past so much, whoever brings WAL is to wait until half of it is gone.
    bytes_max: usize,
}

#[derive(Default)]
struct State {
    chunks: VecDeque<Vec<u8>>,
    bytes: usize,
    /// Memory of chunks that were taken, no more than may wait: many small chunks grow one by one.
    spare: Vec<Vec<u8>>,
    spare_bytes: usize,
    full: bool,
    /// Nobody takes any more.
    ended: bool,
}

/// Whether an inbox that was full has room again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    Again,
    AsBefore,
}

impl Inbox {
    pub(crate) fn new(at: Lsn, bytes_max: usize) -> Inbox {
        Inbox {
            state: Mutex::default(),
            position: Arc::new(LogPosition::at(at)),
            bytes_max,
        }
    }

    pub(crate) fn position(&self) -> &Arc<LogPosition> {
        &self.position
    }

    /// The oldest chunk.
    pub(crate) fn take(&self) -> Option<(Vec<u8>, Room)> {
        let mut state = self.state.lock();
        let chunk = state.chunks.pop_front()?;
        state.bytes -= chunk.len();
        let again = state.full && state.bytes <= self.bytes_max / 2;
        if again {
            state.full = false;
        }
        Some((chunk, if again { Room::Again } else { Room::AsBefore }))
    }

    pub(crate) fn has_room(&self) -> bool {
        !self.state.lock().full
    }

    /// A chunk's memory can be used again.
    pub(crate) fn give_back(&self, mut chunk: Vec<u8>) {
        chunk.clear();
        let mut state = self.state.lock();
        if state.spare_bytes + chunk.capacity() <= self.bytes_max {
            state.spare_bytes += chunk.capacity();
            state.spare.push(chunk);
        }
    }

    /// Nothing more is taken.
    pub(crate) fn end(&self) {
        self.state.lock().ended = true;
    }

    /// Adds a chunk that ends at `end`; answers memory for the next.
    fn put(&self, chunk: Vec<u8>, end: Lsn) -> Result<Vec<u8>, FollowError> {
        let mut state = self.state.lock();
        if state.ended {
            return Err(FollowError::Closed);
        }
        state.bytes += chunk.len();
        state.full |= state.bytes >= self.bytes_max;
        state.chunks.push_back(chunk);
        self.position.set(end);
        let spare = state.spare.pop().unwrap_or_default();
        state.spare_bytes -= spare.capacity();
        Ok(spare)
    }
}

/// Brings WAL to an inbox.
pub(crate) struct InboxWriter {
    inbox: Arc<Inbox>,
    indexer: Arc<Shared>,
    at: Lsn,
    chunk: Vec<u8>,
}

impl InboxWriter {
    pub(crate) fn new(inbox: Arc<Inbox>, indexer: Arc<Shared>) -> InboxWriter {
        InboxWriter {
            at: inbox.position().flushed(),
            inbox,
            indexer,
            chunk: Vec::new(),
        }
    }

    pub(crate) fn at(&self) -> Lsn {
        self.at
    }

    /// Forgets what was not handed on; it is to come again.
    pub(crate) fn abandon(&mut self) {
        self.chunk.clear();
        self.at = self.inbox.position().flushed();
    }

    /// Takes what follows at `start`.
    pub(crate) fn append(&mut self, start: Lsn, bytes: &[u8]) -> Result<(), FollowError> {
        if start != self.at {
            return Err(FollowError::Gap {
                sent: start,
                expected: self.at,
            });
        }
        self.chunk.extend_from_slice(bytes);
        self.at = Lsn(self.at.0 + bytes.len() as u64);
        match self.chunk.len() >= CHUNK_BYTES {
            true => self.hand_on(),
            false => Ok(()),
        }
    }

    /// Hands on what was appended.
    pub(crate) fn hand_on(&mut self) -> Result<(), FollowError> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        let chunk = std::mem::take(&mut self.chunk);
        self.chunk = self.inbox.put(chunk, self.at)?;
        self.indexer.more();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_is_kept_is_no_more_than_may_wait() {
        let bytes_max = 4 << 20;
        let inbox = Inbox::new(Lsn(0), bytes_max);
        for round in 0..20 {
            // Now many small ones, now few large ones: each takes up memory that others had.
            let (count, bytes) = if round % 2 == 0 {
                (500, 100)
            } else {
                (4, CHUNK_BYTES)
            };
            let mut chunk = Vec::new();
            for _ in 0..count {
                chunk.resize(bytes, 1);
                chunk = inbox.put(chunk, Lsn(1)).unwrap();
            }
            while let Some((taken, _)) = inbox.take() {
                inbox.give_back(taken);
            }
            let state = inbox.state.lock();
            let kept: usize = state.spare.iter().map(Vec::capacity).sum();
            assert!(kept <= bytes_max, "{round}: {kept}");
            assert_eq!(state.spare_bytes, kept);
        }
    }
}
