//! What arrives on a connection: each response checked against its request, pages put where they belong.

use crate::connection::{Answer, Pending};
use crate::error::{Errno, PreloadError};
use crate::install::Run;
use crate::message;
use crate::open_file::OpenFile;
use offshoot_layout::{Lsn, Page};
use offshoot_pageproto::{Frame, Header, Request, Response, Version, next_frame, parse_response};
use std::collections::VecDeque;
use std::sync::Arc;

/// Longest response body that is asked for: a page and its echo.
const RESPONSE_BYTES_MAX: u32 = 8234 + 1024;

/// Deals with every whole response at the front of `rest`, up to an answer that someone will wait for.
pub fn take_responses<'a>(
    rest: &mut &'a [u8],
    pending: &mut VecDeque<Pending>,
    lsn: Lsn,
    arrivals: &mut Arrivals<'a, '_>,
) -> Result<(), PreloadError> {
    while let Some(frame) = first_frame(rest)? {
        // An answer that is no page is left for whoever will wait for it.
        if arrivals.answer.is_some() && pending.front().is_some_and(|next| next.page.is_none()) {
            break;
        }
        let asked = pending.pop_front();
        let asked = asked.ok_or_else(|| wrong("an answer that nobody asked for"))?;
        let response = checked(frame.body, &asked, lsn)?;
        *rest = frame.rest;
        arrivals.take(&asked, response)?;
    }
    Ok(())
}

/// The responses of one receive: the pages gathered into runs, and the answer that is waited for.
pub struct Arrivals<'a, 'b> {
    wanted: Option<u64>,
    copy_to: Option<&'b mut Page>,
    answer: Option<Answer>,
    run: Run<'a>,
    written: Result<(), Errno>,
}

impl<'a, 'b> Arrivals<'a, 'b> {
    pub fn new(wanted: Option<u64>, copy_to: Option<&'b mut Page>) -> Self {
        Arrivals {
            wanted,
            copy_to,
            answer: None,
            run: Run::new(),
            written: Ok(()),
        }
    }

    fn take(&mut self, asked: &Pending, response: Response<'a>) -> Result<(), PreloadError> {
        let is_wanted = self.wanted == Some(asked.id);
        let answer = match (response, &asked.page) {
            (Response::Exists(exists), None) => Answer::Exists(exists),
            (Response::Nblocks(blocks), None) => Answer::Nblocks(blocks),
            (Response::Page(page), Some((file, block))) => {
                let copy_to = self.copy_to.take_if(|_| is_wanted);
                self.take_page(file, *block, page, copy_to)
            }
            (Response::Page(page), None) if matches!(asked.request, Request::GetPage { .. }) => {
                if !is_wanted {
                    return Ok(());
                }
                Answer::PageItself(Box::new(*page))
            }
            (Response::Error(text), _) => {
                Answer::Refused(String::from_utf8_lossy(text).into_owned())
            }
            _ => return Err(wrong("an answer of another kind than asked for")),
        };
        if is_wanted {
            self.answer = Some(answer);
        }
        Ok(())
    }

    fn take_page(
        &mut self,
        file: &Arc<OpenFile>,
        block: u32,
        page: &'a Page,
        copy_to: Option<&mut Page>,
    ) -> Answer {
        if !self.run.fits(file, block) {
            self.write();
        }
        let is_current = self.run.push(file, block, page);
        match copy_to {
            Some(copy) if is_current => {
                copy.copy_from_slice(page);
                Answer::PageCopied
            }
            _ => Answer::Page,
        }
    }

    fn write(&mut self) {
        let written = self.run.write();
        if written.is_err() {
            self.written = written;
        }
    }

    /// Writes what is left. A failed write matters only to whoever waits for a page.
    pub fn finish(mut self) -> Option<Answer> {
        self.write();
        match (self.answer, self.written) {
            (Some(Answer::Page | Answer::PageCopied), Err(errno)) => Some(Answer::NotKept(errno)),
            (answer, _) => answer,
        }
    }
}

fn wrong(what: &str) -> PreloadError {
    PreloadError::Lost(format!("it sent {what}"))
}

/// The CopyData frame at the front, once it is all there.
fn first_frame(bytes: &[u8]) -> Result<Option<Frame<'_>>, PreloadError> {
    if bytes.first() != Some(&message::ERROR) {
        return Ok(next_frame(bytes, RESPONSE_BYTES_MAX)?);
    }
    match message::first_message(bytes)? {
        Some(message) => Err(PreloadError::Lost(message::error_text(message.body))),
        None => Ok(None),
    }
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
