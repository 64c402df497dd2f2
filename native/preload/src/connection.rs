//! One connection to the page server, as a pipeline: requests go out in any number, answers come back
//! in the same order, and pages are put where they belong as they arrive, whoever waits for what.

use crate::arrivals::{Arrivals, take_responses};
use crate::env::Settings;
use crate::error::{Errno, PreloadError};
use crate::inbox::Inbox;
use crate::open_file::OpenFile;
use crate::stream::{Deadline, Stream};
use crate::{handshake, message, sys};
use offshoot_layout::{Lsn, Page};
use offshoot_pageproto::{Header, Request, Version, write_request};
use std::collections::VecDeque;
use std::sync::Arc;

/// Most requests in flight; all of them together fit into a socket's buffer, so sending never waits
/// for a server that itself waits for us to receive.
pub const IN_FLIGHT_MAX: usize = 1280;

/// What the server said to one request.
pub enum Answer {
    Exists(bool),
    Nblocks(u32),
    /// The page is in the local file, or something newer is.
    Page,
    /// As `Page`, and its bytes are in the buffer that was given.
    PageCopied,
    /// The page itself, if it was asked for without a file to go to.
    PageItself(Box<Page>),
    /// The page came but could not be written to the local file.
    NotKept(Errno),
    Refused(String),
}

/// A request in flight.
pub struct Pending {
    pub id: u64,
    pub request: Request,
    /// Where a page goes: the opening it was asked through and the block in that segment.
    pub page: Option<(Arc<OpenFile>, u32)>,
}

/// A connection in pagestream mode.
pub struct Connection {
    stream: Stream,
    inbox: Inbox,
    outbox: Vec<u8>,
    pending: VecDeque<Pending>,
    lsn: Lsn,
    next_id: u64,
}

impl Connection {
    pub fn open(settings: &Settings, deadline: Deadline) -> Result<Connection, PreloadError> {
        let command = format!("pagestream_v3 {} {}", settings.tenant, settings.timeline);
        let (stream, inbox) = handshake::start(settings, &command, message::COPY_BOTH, deadline)?;
        Ok(Connection {
            stream,
            inbox,
            outbox: Vec::new(),
            pending: VecDeque::new(),
            lsn: settings.lsn,
            next_id: (sys::pid() as u64) << 32,
        })
    }

    /// How many more requests may be asked now.
    pub fn room(&self) -> usize {
        IN_FLIGHT_MAX.saturating_sub(self.pending.len())
    }

    /// Puts a request in line; `send` makes it leave.
    pub fn ask(&mut self, request: Request) -> u64 {
        self.push(request, None)
    }

    /// Puts a GetPage request in line, whose page goes to `block` of `file`.
    pub fn ask_page(&mut self, file: &Arc<OpenFile>, block: u32) -> u64 {
        let key = file.key(block);
        let page = Some((Arc::clone(file), block));
        self.push(Request::GetPage { key }, page)
    }

    fn push(&mut self, request: Request, page: Option<(Arc<OpenFile>, u32)>) -> u64 {
        let id = self.next_id;
        self.next_id = self.next_id.wrapping_add(1);
        let header = self.header(id);
        write_request(&mut self.outbox, Version::V3, &header, &request);
        self.pending.push_back(Pending { id, request, page });
        id
    }

    /// What this compute has not written has not changed since its base LSN, so both LSNs are that.
    fn header(&self, request_id: u64) -> Header {
        Header {
            request_id,
            request_lsn: self.lsn,
            not_modified_since: self.lsn,
        }
    }

    /// The request in flight for a page, if there is one.
    pub fn page_in_flight(&self, file: &Arc<OpenFile>, block: u32) -> Option<u64> {
        let found = self.pending.iter().find(|pending| {
            let page = pending.page.as_ref();
            page.is_some_and(|(own, at)| *at == block && Arc::ptr_eq(own, file))
        });
        found.map(|pending| pending.id)
    }

    pub fn send(&mut self, deadline: Deadline) -> Result<(), PreloadError> {
        self.stream.send_all(&self.outbox, deadline)?;
        self.outbox.clear();
        Ok(())
    }

    /// Waits for the answer to one request; those before it are dealt with on the way. A page is also
    /// copied to `copy_to`, if it was current when it arrived.
    pub fn wait(
        &mut self,
        id: u64,
        deadline: Deadline,
        mut copy_to: Option<&mut Page>,
    ) -> Result<Answer, PreloadError> {
        loop {
            if let Some(answer) = self.take_received(Some(id), copy_to.as_deref_mut())? {
                return Ok(answer);
            }
            self.inbox.fill(&self.stream, deadline)?;
        }
    }

    /// Deals with what has arrived, without waiting.
    pub fn take_arrived(&mut self) -> Result<(), PreloadError> {
        self.inbox.fill_now(&self.stream)?;
        self.take_received(None, None).map(drop)
    }

    /// Deals with every whole response that is in the inbox, and returns the one wanted.
    fn take_received(
        &mut self,
        wanted: Option<u64>,
        copy_to: Option<&mut Page>,
    ) -> Result<Option<Answer>, PreloadError> {
        let mut arrivals = Arrivals::new(wanted, copy_to);
        let mut rest = self.inbox.unread();
        let taken = take_responses(&mut rest, &mut self.pending, self.lsn, &mut arrivals);
        // Pages that came before the stream went wrong are as good as any.
        let answer = arrivals.finish();
        let bytes = self.inbox.unread().len() - rest.len();
        self.inbox.consume(bytes);
        taken.map(|()| answer)
    }
}
