//! A batch of pagestream requests in, their responses out.

use crate::read_stats::ReadCounts;
use crate::retention::Window;
use crate::{EngineError, Tenant, View};
use std::sync::Arc;
use std::time::Instant;

use offshoot_layout::slru::SLRU_PAGES_PER_SEGMENT;
use offshoot_layout::{BLCKSZ, Fork, Lsn, RelKey, SlruKind};
use offshoot_pageproto::{
    Header, ProtoError, Request, RequestMessage, ResponseWriter, Version, next_frame, parse_request,
};

/// Bytes of one request; the longest that there is has 42.
pub const REQUEST_BYTES_MAX: u32 = 1024;
/// A reply that has grown past this ends the batch early: memory per call is bounded whatever is asked.
pub const REPLY_BYTES_MAX: usize = 8 << 20;

/// What came of a batch.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct PagesReply {
    /// Whole CopyData frames, one response per handled request, in order.
    pub reply: Vec<u8>,
    /// Requests that are answered in `reply`. Fewer than were given, with neither of the next two set,
    /// means: the reply is full, ask again for the rest.
    pub handled: usize,
    /// The request after those needs `last_record_lsn` to reach this.
    pub wait_for: Option<Lsn>,
    /// The request after those is malformed: nothing behind it can be trusted.
    pub failure: Option<ProtoError>,
}

/// The LSN to read at, or how a request ends without reading.
#[derive(Debug, PartialEq, Eq)]
enum ReadAt {
    Lsn(Lsn),
    Wait(Lsn),
    Refused(String),
}

impl Tenant {
    /// Answers requests until the first that has to wait or is malformed. `frames` are whole CopyData
    /// messages. What goes wrong with one request is an Error response in its place.
    ///
    /// # Errors
    /// `UnknownTimeline`; `Store` when no snapshot can be had (closing, too many readers).
    pub fn pages(
        &self,
        index: u32,
        version: Version,
        frames: &[u8],
    ) -> Result<PagesReply, EngineError> {
        let timeline = self.timeline(index)?;
        let now = self.readable_now(&timeline)?;
        let last = now.last_record_lsn;
        let mut batch = Batch {
            view: View::new(now.snapshot, &timeline, last),
            last,
            window: now.window,
            counts: ReadCounts::default(),
        };
        let mut reply = PagesReply::default();
        let mut rest = frames;
        while !rest.is_empty() && reply.reply.len() < REPLY_BYTES_MAX {
            let (request, after) = match take_request(version, rest) {
                Ok(taken) => taken,
                Err(error) => {
                    reply.failure = Some(error);
                    break;
                }
            };
            if let Some(lsn) = batch.answer(&request, &mut reply.reply) {
                reply.wait_for = Some(lsn);
                break;
            }
            reply.handled += 1;
            rest = after;
        }
        self.reads().add(&batch.counts);
        Ok(reply)
    }
}

fn take_request(version: Version, bytes: &[u8]) -> Result<(RequestMessage<'_>, &[u8]), ProtoError> {
    let frame = next_frame(bytes, REQUEST_BYTES_MAX)?.ok_or(ProtoError::Truncated {
        what: "frame",
        expected_bytes: bytes.len() + 1,
        actual_bytes: bytes.len(),
    })?;
    Ok((parse_request(version, frame.body)?, frame.rest))
}

/// Requests of one batch share a snapshot; consecutive ones at one LSN share a view.
struct Batch {
    view: View,
    last: Lsn,
    window: Arc<Window>,
    counts: ReadCounts,
}

impl Batch {
    /// Appends the response; or returns the LSN to wait for, with nothing appended.
    fn answer(&mut self, request: &RequestMessage<'_>, out: &mut Vec<u8>) -> Option<Lsn> {
        let mut writer = ResponseWriter::new(out);
        match read_at(&request.header, self.last, &self.window) {
            ReadAt::Wait(lsn) => return Some(lsn),
            ReadAt::Refused(text) => writer.error(request, &text),
            ReadAt::Lsn(lsn) => {
                self.view.move_to(lsn);
                let mark = writer.mark();
                if let Err(error) = respond(&self.view, request, &mut writer, &mut self.counts) {
                    if matches!(request.request, Request::GetPage { .. }) {
                        self.counts.errors += 1;
                    }
                    writer.rewind(mark);
                    writer.error(request, &error.to_string());
                }
            }
        }
        None
    }
}

/// The protocol's rule: waits for the promise, never for the version asked for.
fn read_at(header: &Header, last: Lsn, window: &Window) -> ReadAt {
    let Header {
        request_lsn,
        not_modified_since,
        ..
    } = *header;
    if !request_lsn.is_valid() {
        return ReadAt::Refused("request LSN is 0/0".to_owned());
    }
    if request_lsn < not_modified_since {
        return ReadAt::Refused(format!(
            "request LSN {request_lsn} is before not-modified-since LSN {not_modified_since}"
        ));
    }
    let readable_from = window.readable_from();
    if !window.covers(request_lsn) {
        return ReadAt::Refused(format!(
            "LSN {request_lsn} is not kept; readable are {readable_from} to {last}"
        ));
    }
    if not_modified_since > last {
        return ReadAt::Wait(not_modified_since);
    }
    if !window.covers(last.min(request_lsn)) {
        return ReadAt::Refused("the timeline is not complete yet".to_owned());
    }
    ReadAt::Lsn(last.min(request_lsn))
}

fn respond(
    view: &View,
    request: &RequestMessage<'_>,
    writer: &mut ResponseWriter<'_>,
    counts: &mut ReadCounts,
) -> Result<(), EngineError> {
    match request.request {
        Request::GetPage { key } => {
            known_relation(&key.rel)?;
            let began = Instant::now();
            let trace = view.page_traced(&key, writer.page(request))?;
            counts.add(trace, began.elapsed());
        }
        Request::Exists { rel } => {
            known_relation(&rel)?;
            writer.exists(request, view.size(&rel)?.is_some());
        }
        Request::Nblocks { rel } => {
            known_relation(&rel)?;
            writer.nblocks(request, blocks(view, &rel)?);
        }
        Request::DbSize { dbnode } => {
            let bytes = view.database_bytes(dbnode)?;
            writer.db_size(request, i64::try_from(bytes).unwrap_or(i64::MAX));
        }
        Request::GetSlruSegment { kind, segno } => {
            let kind = served_slru(kind)?;
            let pages = view.slru_segment_pages(kind, segno)?;
            let first = segno.saturating_mul(SLRU_PAGES_PER_SEGMENT);
            let (chunks, _) = writer
                .slru_segment(request, pages)
                .as_chunks_mut::<BLCKSZ>();
            for (number, page) in (first..).zip(chunks) {
                view.slru_page(kind, number, page)?;
            }
        }
    }
    Ok(())
}

fn blocks(view: &View, rel: &RelKey) -> Result<u32, EngineError> {
    match (view.size(rel)?, rel.fork) {
        (Some(blocks), _) => Ok(blocks),
        (None, Fork::Fsm | Fork::Vm) => Ok(0),
        (None, Fork::Main | Fork::Init) => Err(EngineError::MissingRelation {
            rel: *rel,
            lsn: view.lsn(),
        }),
    }
}

/// Relfilenode 0 never names a relation. Tablespace 0 does not either: SLRUs are filed there.
fn known_relation(rel: &RelKey) -> Result<(), EngineError> {
    match rel.relnode == 0 || rel.spcnode == 0 {
        true => Err(EngineError::BadRequest(format!("{rel} is no relation"))),
        false => Ok(()),
    }
}

/// The protocol knows three; commit timestamps are not among them.
fn served_slru(kind: u8) -> Result<SlruKind, EngineError> {
    SlruKind::from_number(kind)
        .filter(|kind| *kind != SlruKind::CommitTs)
        .ok_or_else(|| EngineError::BadRequest(format!("unknown SLRU kind {kind}")))
}
