//! Responses written where they leave from: frame header, tag and echo go into the caller's buffer and
//! the page is made right behind them.

use crate::frame::write_frame_header;
use crate::{RequestMessage, SLRU_SEGMENT_PAGES_MAX, Version, response_tag};
use offshoot_layout::{BLCKSZ, Page};

/// Appends responses to `out`, each one a whole CopyData frame.
pub struct ResponseWriter<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> ResponseWriter<'a> {
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        ResponseWriter { out }
    }

    /// Bytes written so far: a mark to `rewind` to.
    #[must_use]
    pub fn mark(&self) -> usize {
        self.out.len()
    }

    /// Takes back what was written since `mark`: when a page turns out not to be makeable, its frame
    /// makes way for an error.
    pub fn rewind(&mut self, mark: usize) {
        self.out.truncate(mark);
    }

    pub fn exists(&mut self, request: &RequestMessage<'_>, exists: bool) {
        self.begin(request, response_tag::EXISTS, 1);
        self.out.push(u8::from(exists));
    }

    pub fn nblocks(&mut self, request: &RequestMessage<'_>, blocks: u32) {
        self.begin(request, response_tag::NBLOCKS, 4);
        self.out.extend_from_slice(&blocks.to_be_bytes());
    }

    pub fn db_size(&mut self, request: &RequestMessage<'_>, bytes: i64) {
        self.begin(request, response_tag::DB_SIZE, 8);
        self.out.extend_from_slice(&bytes.to_be_bytes());
    }

    /// The frame of a GetPage response; the page in it is zeros until the caller fills it.
    pub fn page(&mut self, request: &RequestMessage<'_>) -> &mut Page {
        let bytes = self.reserve(request, response_tag::GET_PAGE, BLCKSZ);
        match bytes.first_chunk_mut() {
            Some(page) => page,
            None => unreachable!("reserve() returned a page"),
        }
    }

    /// The frame of a GetSlruSegment response; its `blocks` pages are zeros until the caller fills them.
    /// `blocks` above 32 is cut to 32: a client's buffer holds no more.
    pub fn slru_segment(&mut self, request: &RequestMessage<'_>, blocks: u32) -> &mut [u8] {
        let blocks = blocks.min(SLRU_SEGMENT_PAGES_MAX);
        let bytes = blocks as usize * BLCKSZ;
        self.begin(request, response_tag::GET_SLRU_SEGMENT, 4 + bytes);
        self.out.extend_from_slice(&blocks.to_be_bytes());
        let start = self.out.len();
        self.out.resize(start + bytes, 0);
        &mut self.out[start..]
    }

    /// An error for this request alone; the stream goes on. NUL ends the text on the wire, so any in
    /// `text` becomes a space.
    pub fn error(&mut self, request: &RequestMessage<'_>, text: &str) {
        let header: &[u8] = match request.version {
            Version::V2 => &[],
            Version::V3 => &request.echo[..Version::V3.header_bytes()],
        };
        write_frame_header(self.out, 1 + header.len() + text.len() + 1);
        self.out.push(response_tag::ERROR);
        self.out.extend_from_slice(header);
        let clean = text.bytes().map(|byte| if byte == 0 { b' ' } else { byte });
        self.out.extend(clean);
        self.out.push(0);
    }

    fn begin(&mut self, request: &RequestMessage<'_>, tag: u8, result_bytes: usize) {
        let echo: &[u8] = match request.version {
            Version::V2 => &[],
            Version::V3 => request.echo,
        };
        let body_bytes = 1 + echo.len() + result_bytes;
        self.out.reserve(crate::FRAME_HEADER_BYTES + body_bytes);
        write_frame_header(self.out, body_bytes);
        self.out.push(tag);
        self.out.extend_from_slice(echo);
    }

    fn reserve(&mut self, request: &RequestMessage<'_>, tag: u8, bytes: usize) -> &mut [u8] {
        self.begin(request, tag, bytes);
        let start = self.out.len();
        self.out.resize(start + bytes, 0);
        &mut self.out[start..]
    }
}
