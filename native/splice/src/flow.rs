use crate::socket;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};

/// One direction of a connection: what was read on one side and the other side has not taken. Memory is used only then.
#[derive(Default)]
pub struct Flow {
    waiting: Vec<u8>,
    /// Bytes of `waiting` that are written.
    written: usize,
    passed: u64,
}

impl Flow {
    /// Nothing waits, so that more may be read.
    pub fn is_clear(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Bytes read on the one side, in all.
    pub fn passed(&self) -> u64 {
        self.passed
    }

    /// Takes bytes that were read elsewhere; they are written by `flush`.
    pub fn begin(&mut self, bytes: Vec<u8>, total: &AtomicU64, held: &AtomicU64) {
        self.count(bytes.len(), total);
        held.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.waiting = bytes;
    }

    /// Writes bytes that were just read, with nothing waiting before them; what is not taken waits.
    ///
    /// # Errors
    /// The system's, of writing.
    pub fn pass(
        &mut self,
        bytes: &[u8],
        to: &OwnedFd,
        total: &AtomicU64,
        held: &AtomicU64,
    ) -> io::Result<()> {
        self.count(bytes.len(), total);
        let taken = socket::write(to, bytes)?;
        if let Some(rest @ [_, ..]) = bytes.get(taken..) {
            held.fetch_add(rest.len() as u64, Ordering::Relaxed);
            self.waiting.extend_from_slice(rest);
        }
        Ok(())
    }

    /// Writes what waits, as far as it is taken.
    ///
    /// # Errors
    /// The system's, of writing.
    pub fn flush(&mut self, to: &OwnedFd, held: &AtomicU64) -> io::Result<()> {
        while let Some(rest @ [_, ..]) = self.waiting.get(self.written..) {
            let taken = socket::write(to, rest)?;
            if taken == 0 {
                return Ok(());
            }
            held.fetch_sub(taken as u64, Ordering::Relaxed);
            self.written += taken;
        }
        self.discard(held);
        Ok(())
    }

    /// Forgets what waits.
    pub fn discard(&mut self, held: &AtomicU64) {
        let rest = self.waiting.len() - self.written;
        held.fetch_sub(rest as u64, Ordering::Relaxed);
        self.waiting = Vec::new();
        self.written = 0;
    }

    fn count(&mut self, bytes: usize, total: &AtomicU64) {
        self.passed += bytes as u64;
        total.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}
