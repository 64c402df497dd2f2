//! One connection to the page server, as a pipeline: requests go out in any number, answers come back
//! in the same order, and pages are put where they belong as they arrive, whoever waits for what.

use crate::env::Settings;
use crate::error::{Errno, PreloadError};
use crate::inbox::Inbox;
use crate::install::Run;
use crate::message::{self, Message};
use crate::open_file::OpenFile;
use crate::stream::{Deadline, Stream};
use crate::sys;
use offshoot_layout::{Lsn, Page};
use offshoot_pageproto::{
    Header, Request, Response, Version, next_frame, parse_response, write_request,
};
use std::collections::VecDeque;
use std::sync::Arc;

/// Most requests in flight; all of them together fit into a socket's buffer, so sending never waits
/// for a server that itself waits for us to receive.
pub const IN_FLIGHT_MAX: usize = 1280;
/// Longest response body that is asked for: a page and its echo.
const RESPONSE_BYTES_MAX: u32 = 8234 + 1024;
const TOKEN_BYTES_MAX: usize = 16 * 1024;
const AUTHENTICATION_OK: u32 = 0;
const AUTHENTICATION_CLEARTEXT: u32 = 3;

/// What the server said to one request.
pub enum Answer {
    Exists(bool),
    Nblocks(u32),
    /// The page is in the local file, or something newer is.
    Page,
    /// As `Page`, and its bytes are in the buffer that was given.
    PageCopied,
    /// The page came but could not be written to the local file.
    NotKept(Errno),
    Refused(String),
}

struct Pending {
    id: u64,
    request: Request,
    /// Where a page goes: the opening it was asked through and the block in that segment.
    page: Option<(Arc<OpenFile>, u32)>,
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
        let (stream, inbox) = start(settings, &command, message::COPY_BOTH, deadline)?;
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
        mut copy_to: Option<&mut Page>,
    ) -> Result<Option<Answer>, PreloadError> {
        let (lsn, mut answer, mut taken) = (self.lsn, None, 0);
        let mut arrivals = Arrivals::new();
        let bytes = self.inbox.unread();
        while let Some((body, frame_bytes)) = next_body(&bytes[taken..])? {
            // An answer that is no page is left for whoever will wait for it.
            if answer.is_some() && self.pending.front().is_some_and(|next| next.page.is_none()) {
                break;
            }
            let pending = self.pending.pop_front();
            let pending = pending.ok_or_else(|| wrong("an answer that nobody asked for"))?;
            let response = checked(body, &pending, lsn)?;
            taken += frame_bytes;
            let is_wanted = wanted == Some(pending.id);
            let copy_to = if is_wanted { copy_to.take() } else { None };
            let got = arrivals.take(&pending, response, copy_to)?;
            if is_wanted {
                answer = Some(got);
            }
        }
        // A failed write matters only to whoever waits for one of its pages.
        let written = arrivals.finish();
        self.inbox.consume(taken);
        if let (Some(Answer::Page | Answer::PageCopied), Err(errno)) = (&answer, written) {
            return Ok(Some(Answer::NotKept(errno)));
        }
        Ok(answer)
    }
}

/// The pages of one receive, gathered into runs.
struct Arrivals<'a> {
    run: Run<'a>,
    failed: Result<(), Errno>,
}

impl<'a> Arrivals<'a> {
    fn new() -> Self {
        Arrivals {
            run: Run::new(),
            failed: Ok(()),
        }
    }

    fn take(
        &mut self,
        pending: &Pending,
        response: Response<'a>,
        copy_to: Option<&mut Page>,
    ) -> Result<Answer, PreloadError> {
        Ok(match (response, &pending.page) {
            (Response::Exists(exists), None) => Answer::Exists(exists),
            (Response::Nblocks(blocks), None) => Answer::Nblocks(blocks),
            (Response::Page(page), Some((file, block))) => {
                if !self.run.fits(file, *block) {
                    self.write();
                }
                let current = self.run.push(file, *block, page);
                match copy_to {
                    Some(copy) if current => {
                        copy.copy_from_slice(page);
                        Answer::PageCopied
                    }
                    _ => Answer::Page,
                }
            }
            (Response::Error(text), _) => {
                Answer::Refused(String::from_utf8_lossy(text).into_owned())
            }
            _ => return Err(wrong("an answer of another kind than asked for")),
        })
    }

    fn write(&mut self) {
        if let Err(errno) = self.run.write() {
            self.failed = Err(errno);
        }
    }

    fn finish(mut self) -> Result<(), Errno> {
        self.write();
        self.failed
    }
}

fn wrong(what: &str) -> PreloadError {
    PreloadError::Lost(format!("it sent {what}"))
}

/// The body of the CopyData frame at the front and the frame's length.
fn next_body(bytes: &[u8]) -> Result<Option<(&[u8], usize)>, PreloadError> {
    if bytes.first() == Some(&message::ERROR) {
        let message = message::first_message(bytes)?;
        let text = |message: Message<'_>| message::error_text(message.body);
        return match message.map(text) {
            Some(text) => Err(PreloadError::Lost(text)),
            None => Ok(None),
        };
    }
    let frame = next_frame(bytes, RESPONSE_BYTES_MAX)?;
    Ok(frame.map(|frame| (frame.body, bytes.len() - frame.rest.len())))
}

/// The response, after making sure that it is the one to this request.
fn checked<'a>(body: &'a [u8], pending: &Pending, lsn: Lsn) -> Result<Response<'a>, PreloadError> {
    let parsed = parse_response(Version::V3, body)?;
    let asked = Header {
        request_id: pending.id,
        request_lsn: lsn,
        not_modified_since: lsn,
    };
    let same_request = parsed
        .request
        .is_none_or(|request| request == pending.request);
    if parsed.header != Some(asked) || !same_request {
        return Err(wrong("an answer to another question than asked"));
    }
    Ok(parsed.response)
}

/// Connects, authenticates and gives `command`; returns when a message of kind `ready` has come.
pub fn start(
    settings: &Settings,
    command: &str,
    ready: u8,
    deadline: Deadline,
) -> Result<(Stream, Inbox), PreloadError> {
    let stream = Stream::connect(&settings.address, deadline)?;
    let mut inbox = Inbox::default();
    let mut query = Vec::new();
    message::write_text(&mut query, b'Q', command.as_bytes());
    let mut out = Vec::new();
    message::write_startup(&mut out, sys::pid());
    if settings.token_file.is_none() {
        // Nothing will be asked of us, so the command need not wait for the server's welcome.
        out.append(&mut query);
    }
    loop {
        if !out.is_empty() {
            stream.send_all(&out, deadline)?;
            out.clear();
        }
        let Some(message) = message::first_message(inbox.unread())? else {
            inbox.fill(&stream, deadline)?;
            continue;
        };
        let (kind, bytes) = (message.kind, message.bytes);
        match kind {
            message::ERROR => return Err(PreloadError::Lost(message::error_text(message.body))),
            message::AUTHENTICATION => match message::authentication_code(message.body) {
                Some(AUTHENTICATION_OK) => out.append(&mut query),
                Some(AUTHENTICATION_CLEARTEXT) => {
                    message::write_text(&mut out, b'p', &token(settings)?);
                    out.append(&mut query);
                }
                _ => return Err(wrong("an authentication request that is not supported")),
            },
            _ => {}
        }
        inbox.consume(bytes);
        if kind == ready {
            return Ok((stream, inbox));
        }
    }
}

/// The token file's content without the line's end; read each time, for it may be replaced.
fn token(settings: &Settings) -> Result<Vec<u8>, PreloadError> {
    let path = settings.token_file.as_ref().ok_or_else(|| {
        PreloadError::Lost("it wants a token and OFFSHOOT_TOKEN_FILE is not set".to_owned())
    })?;
    let read = || {
        let fd = sys::open(path, libc::O_RDONLY, 0)?;
        let mut token = vec![0; TOKEN_BYTES_MAX];
        let bytes = sys::read_start(fd.raw(), &mut token)?;
        token.truncate(bytes);
        token.truncate(token.trim_ascii_end().len());
        Ok(token)
    };
    read().map_err(|errno: Errno| PreloadError::Lost(format!("cannot read {path:?}: {errno}")))
}
