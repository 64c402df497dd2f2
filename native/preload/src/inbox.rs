//! What has been received and not yet been taken.

use crate::error::PreloadError;
use crate::stream::{Deadline, Stream};

const BYTES_MIN: usize = 16 * 1024;
/// About thirty pages: one read of the socket takes all that a Unix socket holds.
const BYTES_MAX: usize = 256 * 1024;

/// A receive buffer that grows when the server is faster than its size.
#[derive(Default)]
pub struct Inbox {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Inbox {
    pub fn unread(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Takes the first `bytes` of what is unread.
    pub fn consume(&mut self, bytes: usize) {
        self.start = (self.start + bytes).min(self.end);
    }

    /// Waits for more.
    pub fn fill(&mut self, stream: &Stream, deadline: Deadline) -> Result<(), PreloadError> {
        let space = self.space()?;
        let count = stream.receive(space, deadline)?;
        self.end += count;
        Ok(())
    }

    /// Receives what is there already.
    pub fn fill_now(&mut self, stream: &Stream) -> Result<(), PreloadError> {
        let space = self.space()?;
        let count = stream.receive_now(space)?;
        self.end += count;
        Ok(())
    }

    fn space(&mut self) -> Result<&mut [u8], PreloadError> {
        let was_full = self.end == self.buffer.len();
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if was_full && self.buffer.len() < BYTES_MAX {
            let bytes = (self.buffer.len() * 4).clamp(BYTES_MIN, BYTES_MAX);
            self.buffer.resize(bytes, 0);
        }
        if self.end == self.buffer.len() {
            let reason = format!("a message longer than {BYTES_MAX} bytes");
            return Err(PreloadError::Lost(reason));
        }
        Ok(&mut self.buffer[self.end..])
    }
}
