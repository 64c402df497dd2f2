use crate::end::{By, End, How};
use crate::flow::Flow;
use crate::poll::{Flags, Poll, READ, WRITE};
use crate::side::Side;
use crate::socket::{self, Read};
use crate::totals::Totals;
use std::io;
use std::ops::ControlFlow;

/// What a connection works with while it has its turn.
pub struct Turn<'a> {
    pub poll: &'a Poll,
    /// For one read.
    pub buffer: &'a mut [u8],
    /// Bytes that are read from one side at most, before others have their turn.
    pub bytes_max: usize,
    pub totals: &'a Totals,
}

/// Which of the two sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    Client,
    Compute,
}

/// A client's and a compute's sockets, from the first byte to the close of both. `compute` goes first, once one of them
/// has ended it; then what waits for the client is written, and it is told the end.
pub struct Connection {
    client: Option<Side>,
    compute: Option<Side>,
    to_client: Flow,
    to_compute: Flow,
    /// It sends no more, and still gets its answers.
    client_ended: bool,
    /// Set once the compute takes no more bytes: how it has ended if it has nothing more to say either.
    compute_deaf: Option<How>,
    end: Option<End>,
    /// The client was told that nothing more comes.
    farewell: bool,
}

impl Connection {
    pub fn new(client: Side, compute: Side) -> Connection {
        Connection {
            client: Some(client),
            compute: Some(compute),
            to_client: Flow::default(),
            to_compute: Flow::default(),
            client_ended: false,
            compute_deaf: None,
            end: None,
            farewell: false,
        }
    }

    /// How it has ended, if it has.
    pub fn end(&self) -> Option<End> {
        self.end
    }

    pub fn is_gone(&self) -> bool {
        self.client.is_none()
    }

    /// Takes over, with what was read on both sides already.
    pub fn begin(&mut self, to_client: Vec<u8>, to_compute: Vec<u8>, turn: &mut Turn<'_>) {
        let Totals {
            to_client: out,
            to_compute: back,
            held,
        } = turn.totals;
        self.to_client.begin(to_client, out, held);
        self.to_compute.begin(to_compute, back, held);
        self.flush_compute(turn);
        self.flush_client(turn);
        self.settle(turn);
    }

    /// Something has come for this side: room, bytes, an end, an error. To try is to know.
    pub fn ready(&mut self, which: Which, turn: &mut Turn<'_>) {
        match which {
            Which::Compute => {
                self.flush_compute(turn);
                self.read_compute(turn);
            }
            Which::Client => {
                self.flush_client(turn);
                self.read_client(turn);
                // That it hears nothing more shows here; its end shows in reading.
                if self.compute_deaf.is_some() {
                    self.read_compute(turn);
                }
            }
        }
        self.settle(turn);
    }

    /// Ends it from here.
    pub fn cut(&mut self, turn: &mut Turn<'_>) {
        self.finish(By::Gateway, How::Ended, turn);
        self.settle(turn);
    }

    /// Breaks it off, whatever waits.
    pub fn break_off(&mut self, turn: &mut Turn<'_>) {
        self.finish(By::Gateway, How::Broken, turn);
        if let Some(client) = self.client.take() {
            self.to_client.discard(&turn.totals.held);
            client.reset(turn.poll);
        }
    }

    fn flush_compute(&mut self, turn: &Turn<'_>) {
        let Some(compute) = &self.compute else { return };
        if self.to_compute.is_clear() {
            return;
        }
        match self.to_compute.flush(compute.fd(), &turn.totals.held) {
            Ok(()) => self.pass_end_on(),
            Err(error) => self.compute_hears_nothing(&error, turn),
        }
    }

    fn flush_client(&mut self, turn: &Turn<'_>) {
        let Some(client) = &self.client else { return };
        if self.to_client.is_clear() {
            return;
        }
        match self.to_client.flush(client.fd(), &turn.totals.held) {
            Ok(()) => self.part(turn),
            Err(_) => self.client_broken(turn),
        }
    }

    fn read_client(&mut self, turn: &mut Turn<'_>) {
        let mut left = turn.bytes_max;
        while self.wants_client() && left > 0 {
            let Some(client) = &self.client else { return };
            match socket::read(client.fd(), turn.buffer) {
                Ok(Read::Bytes(count)) => {
                    left = left.saturating_sub(count);
                    self.pass_to_compute(count, turn);
                    if count < turn.buffer.len() {
                        return;
                    }
                }
                Ok(Read::End) => {
                    self.client_ended = true;
                    self.pass_end_on();
                    self.part(turn);
                }
                Ok(Read::Later) => return,
                Err(_) => self.client_broken(turn),
            }
        }
    }

    fn read_compute(&mut self, turn: &mut Turn<'_>) {
        let mut left = turn.bytes_max;
        while self.wants_compute() && left > 0 {
            match self.read_compute_once(turn) {
                ControlFlow::Continue(count) => left = left.saturating_sub(count),
                ControlFlow::Break(()) => return,
            }
        }
    }

    /// Breaks when there is nothing more now.
    fn read_compute_once(&mut self, turn: &mut Turn<'_>) -> ControlFlow<(), usize> {
        let (Some(client), Some(compute)) = (&self.client, &self.compute) else {
            return ControlFlow::Break(());
        };
        match socket::read(compute.fd(), turn.buffer) {
            Ok(Read::Bytes(count)) => {
                let Totals {
                    to_client, held, ..
                } = turn.totals;
                let bytes = &turn.buffer[..count];
                let passed = self.to_client.pass(bytes, client.fd(), to_client, held);
                if passed.is_err() {
                    self.client_broken(turn);
                } else if count == turn.buffer.len() {
                    return ControlFlow::Continue(count);
                }
            }
            Ok(Read::End) => {
                // Postgres closes both halves at once; who has said farewell is the one who ended it.
                let by = match self.client_ended {
                    true => By::Client,
                    false => By::Compute,
                };
                self.finish(by, self.compute_deaf.unwrap_or(How::Ended), turn);
            }
            // One that is gone for writing has an end to be read, or is in no order.
            Ok(Read::Later) if self.compute_deaf.is_none() => {}
            Ok(Read::Later) | Err(_) => self.finish(By::Compute, How::Broken, turn),
        }
        ControlFlow::Break(())
    }

    /// The first bytes of the buffer; they are dropped once there is nobody to take them.
    fn pass_to_compute(&mut self, count: usize, turn: &Turn<'_>) {
        let Some(compute) = &self.compute else { return };
        let Totals {
            to_compute, held, ..
        } = turn.totals;
        let bytes = &turn.buffer[..count];
        if let Err(error) = self.to_compute.pass(bytes, compute.fd(), to_compute, held) {
            self.compute_hears_nothing(&error, turn);
        }
    }

    /// Postgres may still have words for a client that sends no more.
    fn pass_end_on(&mut self) {
        if let Some(compute) = &self.compute
            && self.client_ended
            && self.to_compute.is_clear()
        {
            socket::end_writing(compute.fd());
        }
    }

    /// Its last words, said before that, still count.
    fn compute_hears_nothing(&mut self, error: &io::Error, turn: &Turn<'_>) {
        self.to_compute.discard(&turn.totals.held);
        self.compute_deaf = Some(match error.kind() {
            io::ErrorKind::BrokenPipe => How::Ended,
            _ => How::Broken,
        });
    }

    fn client_broken(&mut self, turn: &Turn<'_>) {
        self.finish(By::Client, How::Broken, turn);
        if let Some(client) = self.client.take() {
            self.to_client.discard(&turn.totals.held);
            client.close(turn.poll);
        }
    }

    fn finish(&mut self, by: By, how: How, turn: &Turn<'_>) {
        if self.end.is_some() {
            return;
        }
        self.end = Some(End {
            by,
            how,
            bytes_to_client: self.to_client.passed(),
            bytes_to_compute: self.to_compute.passed(),
        });
        if let Some(compute) = self.compute.take() {
            compute.close(turn.poll);
        }
        self.to_compute.discard(&turn.totals.held);
        if (by, how) != (By::Client, How::Broken) {
            self.part(turn);
        }
    }

    /// Takes leave of the client, once it has ended and the client has got everything. Reading on until it has closed
    /// its side, too, keeps the system from answering unread bytes with a reset, which could overtake our last words.
    fn part(&mut self, turn: &Turn<'_>) {
        let Some(end) = self.end else { return };
        if !self.to_client.is_clear() {
            return;
        }
        if (end.by, end.how) == (By::Compute, How::Broken) {
            if let Some(client) = self.client.take() {
                client.reset(turn.poll);
            }
        } else if self.client_ended {
            if let Some(client) = self.client.take() {
                client.close(turn.poll);
            }
        } else if let Some(client) = &self.client
            && !self.farewell
        {
            self.farewell = true;
            socket::end_writing(client.fd());
        }
    }

    fn wants_client(&self) -> bool {
        let taken =
            self.end.is_some() || (self.to_compute.is_clear() && self.compute_deaf.is_none());
        taken && !self.client_ended && self.client.is_some()
    }

    fn wants_compute(&self) -> bool {
        self.to_client.is_clear() && self.compute.is_some()
    }

    /// Waits for what can go on, and for nothing else.
    fn settle(&mut self, turn: &mut Turn<'_>) {
        let flag = |wanted: bool, flag: Flags| if wanted { flag } else { 0 };
        let client = flag(self.wants_client(), READ) | flag(!self.to_client.is_clear(), WRITE);
        let compute = flag(self.wants_compute(), READ) | flag(!self.to_compute.is_clear(), WRITE);
        let sides = [(&mut self.client, client), (&mut self.compute, compute)];
        let waits = sides.into_iter().all(|(side, flags)| {
            side.as_mut()
                .is_none_or(|side| side.wait_for(flags, turn.poll).is_ok())
        });
        if !waits {
            self.break_off(turn);
        }
    }
}
