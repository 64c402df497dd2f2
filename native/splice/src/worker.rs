use crate::connection::{Connection, Turn, Which};
use crate::end::{By, End, Event, How};
use crate::mailbox::{Mail, Mailbox};
use crate::poll::{Poll, READ};
use crate::pump::{Pair, PumpOptions};
use crate::side::Side;
use crate::totals::Totals;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// The bell's; connections have `2 * id` for the client and one more for the compute.
const BELL: u64 = u64::MAX;

pub type Tell = Arc<dyn Fn(Event) + Send + Sync>;

/// One thread's connections.
pub struct Worker {
    poll: Poll,
    mailbox: Arc<Mailbox>,
    totals: Arc<Totals>,
    tell: Tell,
    buffer: Vec<u8>,
    turn_bytes: usize,
    linger: Duration,
    connections: HashMap<u64, Connection>,
    /// Those that have ended, and until when they may take their last bytes: the earliest first.
    leaving: VecDeque<(Instant, u64)>,
}

impl Worker {
    pub fn new(
        options: &PumpOptions,
        mailbox: Arc<Mailbox>,
        totals: Arc<Totals>,
        tell: Tell,
    ) -> io::Result<Worker> {
        let poll = Poll::new()?;
        poll.add(mailbox.bell.fd(), BELL, READ)?;
        Ok(Worker {
            poll,
            mailbox,
            totals,
            tell,
            buffer: vec![0; options.buffer_bytes],
            turn_bytes: options.turn_bytes,
            linger: options.linger,
            connections: HashMap::new(),
            leaving: VecDeque::new(),
        })
    }

    /// Returns when it is told to stop; what it has then is broken off.
    pub fn run(mut self) {
        // A panic, which would be an error of ours, costs this thread's connections and nothing else.
        let _ = catch_unwind(AssertUnwindSafe(|| self.serve()));
        for mail in self.mailbox.close() {
            if let Mail::Adopt(id, pair) = mail {
                drop(pair);
                self.tell_refused(id);
            }
        }
        let ids: Vec<u64> = self.connections.keys().copied().collect();
        for id in ids {
            self.with(id, Connection::break_off);
        }
    }

    /// An error is the system's, which cannot wait any more.
    fn serve(&mut self) -> io::Result<()> {
        let mut ready = Vec::new();
        loop {
            self.poll.wait(&mut ready, self.until_next_leave())?;
            let mut called = false;
            for &token in &ready {
                if token == BELL {
                    called = true;
                } else {
                    let which = match token % 2 {
                        0 => Which::Client,
                        _ => Which::Compute,
                    };
                    self.with(token / 2, |connection, turn| connection.ready(which, turn));
                }
            }
            if called && self.take_mail().is_break() {
                return Ok(());
            }
            self.expire();
        }
    }

    fn take_mail(&mut self) -> ControlFlow<()> {
        let mut stop = ControlFlow::Continue(());
        for mail in self.mailbox.take() {
            match mail {
                Mail::Adopt(id, pair) => self.adopt(id, pair),
                Mail::Cut(id) => self.with(id, Connection::cut),
                Mail::Stop => stop = ControlFlow::Break(()),
            }
        }
        stop
    }

    fn adopt(&mut self, id: u64, pair: Pair) {
        let client = Side::new(pair.client, 2 * id);
        let compute = Side::new(pair.compute, 2 * id + 1);
        self.connections
            .insert(id, Connection::new(client, compute));
        self.with(id, |connection, turn| {
            connection.begin(pair.to_client, pair.to_compute, turn);
        });
    }

    /// Gives a connection its turn, and tells what has become of it. One that is gone has none.
    fn with(&mut self, id: u64, act: impl FnOnce(&mut Connection, &mut Turn<'_>)) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let ended_before = connection.end().is_some();
        let mut turn = Turn {
            poll: &self.poll,
            buffer: &mut self.buffer,
            bytes_max: self.turn_bytes,
            totals: &self.totals,
        };
        act(connection, &mut turn);
        let gone = connection.is_gone();
        if let Some(end) = connection.end()
            && !ended_before
        {
            (self.tell)(Event::Ended { id, end });
            if !gone {
                self.leaving.push_back((Instant::now() + self.linger, id));
            }
        }
        if gone {
            self.connections.remove(&id);
            self.tell_gone(id);
        }
    }

    fn tell_gone(&self, id: u64) {
        self.mailbox.load.fetch_sub(1, Ordering::Relaxed);
        (self.tell)(Event::Gone { id });
    }

    /// Both its sockets are closed, and nothing was read from them here.
    fn tell_refused(&self, id: u64) {
        let end = End {
            by: By::Gateway,
            how: How::Broken,
            bytes_to_client: 0,
            bytes_to_compute: 0,
        };
        (self.tell)(Event::Ended { id, end });
        self.tell_gone(id);
    }

    fn until_next_leave(&self) -> Option<Duration> {
        let (deadline, _) = self.leaving.front()?;
        Some(deadline.saturating_duration_since(Instant::now()))
    }

    /// Breaks those off that had their time.
    fn expire(&mut self) {
        while let Some(&(deadline, id)) = self.leaving.front() {
            let gone = !self.connections.contains_key(&id);
            if !gone && deadline > Instant::now() {
                return;
            }
            self.leaving.pop_front();
            self.with(id, Connection::break_off);
        }
    }
}
