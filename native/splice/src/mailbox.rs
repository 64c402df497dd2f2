use crate::poll::Bell;
use crate::pump::Pair;
use parking_lot::Mutex;
use std::io;
use std::sync::atomic::AtomicUsize;

/// What a worker is told from outside.
pub enum Mail {
    Adopt(u64, Pair),
    Cut(u64),
    Stop,
}

/// What is meant for one worker.
pub struct Mailbox {
    /// None: nobody reads it any more.
    queue: Mutex<Option<Vec<Mail>>>,
    pub bell: Bell,
    /// Connections that the worker has.
    pub load: AtomicUsize,
}

impl Mailbox {
    pub fn new() -> io::Result<Mailbox> {
        Ok(Mailbox {
            queue: Mutex::new(Some(Vec::new())),
            bell: Bell::new()?,
            load: AtomicUsize::new(0),
        })
    }

    /// False: the worker has ended.
    pub fn post(&self, mail: Mail) -> bool {
        let mut queue = self.queue.lock();
        let Some(queue) = &mut *queue else {
            return false;
        };
        queue.push(mail);
        if queue.len() == 1 {
            self.bell.ring();
        }
        true
    }

    /// False: the worker has ended.
    pub fn is_open(&self) -> bool {
        self.queue.lock().is_some()
    }

    pub fn take(&self) -> Vec<Mail> {
        self.bell.silence();
        self.queue
            .lock()
            .as_mut()
            .map(std::mem::take)
            .unwrap_or_default()
    }

    /// Takes what is left; nothing comes any more.
    pub fn close(&self) -> Vec<Mail> {
        self.queue.lock().take().unwrap_or_default()
    }
}
