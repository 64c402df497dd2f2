//! What the server answers: one response is the body of one CopyData frame.
//!
//! ```text
//! tag u8 | [v3: the request's header and parameters] | result
//! Error: tag u8 | [v3: the request's header] | text, NUL
//! ```

use crate::request::{take_header, take_request};
use crate::take::Take;
use crate::{
    Header, ProtoError, Request, SLRU_SEGMENT_PAGES_MAX, Version, request_tag, response_tag,
};
use offshoot_layout::{BLCKSZ, Page};

/// A response's result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Response<'a> {
    Exists(bool),
    /// Blocks of the fork.
    Nblocks(u32),
    Page(&'a Page),
    /// Bytes of the database.
    DbSize(i64),
    /// Whole pages, back to back.
    SlruSegment(&'a [u8]),
    /// The server's text without its NUL.
    Error(&'a [u8]),
}

/// One parsed response that borrows the frame it came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResponseMessage<'a> {
    /// The request's header; `None` in v2.
    pub header: Option<Header>,
    /// The request; `None` in v2 and in an error.
    pub request: Option<Request>,
    pub response: Response<'a>,
}

/// Reads one response from a CopyData body.
///
/// # Errors
/// `UnknownResponseTag`, `Truncated`, `TrailingBytes`, `UnknownFork`, `SlruSegmentTooLong`.
pub fn parse_response(version: Version, body: &[u8]) -> Result<ResponseMessage<'_>, ProtoError> {
    let mut take = Take::new(body, "response");
    let tag = take.u8()?;
    let (what, request_tag) = request_of(tag)?;
    take.named(what);
    let (mut header, mut request) = (None, None);
    if version == Version::V3 {
        header = Some(take_header(version, &mut take)?);
        if let Some(request_tag) = request_tag {
            request = Some(take_request(request_tag, &mut take)?);
        }
    }
    let response = match tag {
        response_tag::EXISTS => Response::Exists(take.u8()? != 0),
        response_tag::NBLOCKS => Response::Nblocks(take.u32()?),
        response_tag::GET_PAGE => Response::Page(take.array()?),
        response_tag::DB_SIZE => Response::DbSize(take.u64()? as i64),
        response_tag::GET_SLRU_SEGMENT => take_segment(&mut take)?,
        _ => return Ok(error_message(header, take.rest())),
    };
    take.end()?;
    Ok(ResponseMessage {
        header,
        request,
        response,
    })
}

fn request_of(tag: u8) -> Result<(&'static str, Option<u8>), ProtoError> {
    Ok(match tag {
        response_tag::EXISTS => ("Exists response", Some(request_tag::EXISTS)),
        response_tag::NBLOCKS => ("Nblocks response", Some(request_tag::NBLOCKS)),
        response_tag::GET_PAGE => ("GetPage response", Some(request_tag::GET_PAGE)),
        response_tag::DB_SIZE => ("DbSize response", Some(request_tag::DB_SIZE)),
        response_tag::GET_SLRU_SEGMENT => (
            "GetSlruSegment response",
            Some(request_tag::GET_SLRU_SEGMENT),
        ),
        response_tag::ERROR => ("Error response", None),
        tag => return Err(ProtoError::UnknownResponseTag(tag)),
    })
}

fn take_segment<'a>(take: &mut Take<'a>) -> Result<Response<'a>, ProtoError> {
    let blocks = take.u32()?;
    if blocks > SLRU_SEGMENT_PAGES_MAX {
        return Err(ProtoError::SlruSegmentTooLong { blocks });
    }
    take.bytes(blocks as usize * BLCKSZ)
        .map(Response::SlruSegment)
}

/// A text that lost its NUL is still worth showing.
fn error_message(header: Option<Header>, text: &[u8]) -> ResponseMessage<'_> {
    let end = text.iter().position(|&byte| byte == 0);
    ResponseMessage {
        header,
        request: None,
        response: Response::Error(&text[..end.unwrap_or(text.len())]),
    }
}
