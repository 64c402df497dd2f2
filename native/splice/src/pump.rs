use crate::end::Event;
use crate::mailbox::{Mail, Mailbox};
use crate::socket::duplicate;
use crate::totals::{Sums, Totals};
use crate::worker::Worker;
use parking_lot::Mutex;
use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// Its calls are few and shallow; the buffer is elsewhere.
const THREAD_STACK_BYTES: usize = 256 * 1024;

/// All are to be more than none.
#[derive(Debug, Clone, Copy)]
pub struct PumpOptions {
    pub threads: usize,
    /// Read at a time, and held of a connection at most in each direction; what is handed over with it besides.
    pub buffer_bytes: usize,
    /// Read from one socket at most, before others have their turn. The last read may exceed it.
    pub turn_bytes: usize,
    /// A client's time to take its last bytes and to close its side.
    pub linger: Duration,
}

/// The sockets of a client and of a compute, and what was read on them and not delivered.
pub struct Pair {
    pub client: OwnedFd,
    pub compute: OwnedFd,
    /// Read from the compute.
    pub to_client: Vec<u8>,
    /// Read from the client.
    pub to_compute: Vec<u8>,
}

impl Pair {
    /// Descriptors of our own for two sockets, which the caller keeps open during the call, and nobody reads any more.
    ///
    /// # Errors
    /// The system's: no descriptors are left, or these are no stream sockets.
    pub fn duplicate(client: RawFd, compute: RawFd) -> io::Result<Pair> {
        Ok(Pair {
            client: duplicate(client)?,
            compute: duplicate(compute)?,
            to_client: Vec::new(),
            to_compute: Vec::new(),
        })
    }
}

/// Threads that pass bytes between pairs of sockets, each as fast as both its sides take them. Dropped, it closes.
pub struct Pump {
    workers: Vec<Arc<Mailbox>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    totals: Arc<Totals>,
    /// Connections so far.
    adopted: AtomicU64,
}

impl Pump {
    /// `tell` hears of each connection's end on the threads of the pump, and must neither wait nor call the pump.
    ///
    /// # Errors
    /// The system's: no descriptors, no threads.
    pub fn start(
        options: &PumpOptions,
        tell: impl Fn(Event) + Send + Sync + 'static,
    ) -> io::Result<Pump> {
        let tell: Arc<dyn Fn(Event) + Send + Sync> = Arc::new(tell);
        let mut pump = Pump {
            workers: Vec::new(),
            threads: Mutex::default(),
            totals: Arc::default(),
            adopted: AtomicU64::new(0),
        };
        for _ in 0..options.threads {
            let mailbox = Arc::new(Mailbox::new()?);
            let totals = pump.totals.clone();
            let worker = Worker::new(options, mailbox.clone(), totals, tell.clone())?;
            let thread = Builder::new()
                .name("splice".to_owned())
                .stack_size(THREAD_STACK_BYTES)
                .spawn(move || worker.run())?;
            pump.workers.push(mailbox);
            pump.threads.lock().push(thread);
        }
        Ok(pump)
    }

    /// Passes bytes between the two from here on; answers by what number `tell` and `cut` know them.
    ///
    /// # Errors
    /// The pump is closed. The pair's descriptors are closed then, too.
    pub fn adopt(&self, pair: Pair) -> io::Result<u64> {
        let least = self
            .workers
            .iter()
            .enumerate()
            // One that has ended has nothing to do, and would be given everything.
            .filter(|(_, worker)| worker.is_open())
            .min_by_key(|(_, worker)| worker.load.load(Ordering::Relaxed));
        let closed = || io::Error::new(io::ErrorKind::NotConnected, "the pump is closed");
        let (index, worker) = least.ok_or_else(closed)?;
        let number = self.adopted.fetch_add(1, Ordering::Relaxed);
        // So that it says which worker has it.
        let id = number * self.workers.len() as u64 + index as u64;
        worker.load.fetch_add(1, Ordering::Relaxed);
        if worker.post(Mail::Adopt(id, pair)) {
            return Ok(id);
        }
        worker.load.fetch_sub(1, Ordering::Relaxed);
        Err(closed())
    }

    /// Ends a connection; one that has ended stays as it is.
    pub fn cut(&self, id: u64) {
        let index = id.checked_rem(self.workers.len() as u64);
        if let Some(worker) = index.and_then(|index| self.workers.get(index as usize)) {
            worker.post(Mail::Cut(id));
        }
    }

    pub fn sums(&self) -> Sums {
        self.totals.sums()
    }

    /// Breaks off what is left, and returns when no thread runs any more. A second call does nothing.
    pub fn close(&self) {
        for worker in &self.workers {
            worker.post(Mail::Stop);
        }
        for thread in self.threads.lock().drain(..) {
            // What it could not stand is caught on its own thread.
            let _ = thread.join();
        }
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_worker_that_has_ended_is_given_nothing() {
        let options = PumpOptions {
            threads: 2,
            buffer_bytes: 4096,
            turn_bytes: 4096,
            linger: Duration::from_millis(100),
        };
        let pump = Pump::start(&options, |_| {}).unwrap();
        pump.workers[0].post(Mail::Stop);
        while pump.workers[0].is_open() {
            std::thread::yield_now();
        }
        for _ in 0..8 {
            let (client, compute) = UnixStream::pair().unwrap();
            let pair = Pair::duplicate(client.as_raw_fd(), compute.as_raw_fd()).unwrap();
            assert_eq!(pump.adopt(pair).unwrap() % 2, 1);
        }
    }
}
