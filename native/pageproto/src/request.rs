//! What a client asks: one request is the body of one CopyData frame.
//!
//! ```text
//! tag u8 | [v3: request_id u64] request_lsn u64 | not_modified_since u64 | parameters
//! relation = spcnode u32, dbnode u32, relnode u32, fork u8
//! ```

use crate::frame::write_frame_header;
use crate::take::Take;
use crate::{ProtoError, request_tag};
use offshoot_layout::{BlockKey, Fork, Lsn, RelKey};

/// The pagestream protocol's version, named by the command that opened the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// No request id; a response carries the result alone.
    V2,
    /// With request id; a response repeats its request first.
    V3,
}

impl Version {
    #[must_use]
    pub fn from_number(number: u8) -> Option<Version> {
        match number {
            2 => Some(Version::V2),
            3 => Some(Version::V3),
            _ => None,
        }
    }

    /// Bytes of a request's header, its tag not counted.
    #[must_use]
    pub fn header_bytes(self) -> usize {
        match self {
            Version::V2 => 16,
            Version::V3 => 24,
        }
    }
}

/// What every request starts with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Header {
    /// Opaque to the server; 0 in v2, which has none.
    pub request_id: u64,
    /// The version wanted; `Lsn::MAX` is the newest.
    pub request_lsn: Lsn,
    /// Promise: unchanged between here and `request_lsn`.
    pub not_modified_since: Lsn,
}

/// A request's parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    Exists {
        rel: RelKey,
    },
    Nblocks {
        rel: RelKey,
    },
    GetPage {
        key: BlockKey,
    },
    DbSize {
        dbnode: u32,
    },
    /// `kind` is as it came: 0 pg_xact, 1 multixact members, 2 multixact offsets.
    GetSlruSegment {
        kind: u8,
        segno: u32,
    },
}

/// One parsed request that borrows the frame it came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestMessage<'a> {
    pub version: Version,
    pub header: Header,
    pub request: Request,
    /// Header and parameters exactly as they came: what a v3 response repeats behind its tag.
    pub echo: &'a [u8],
}

impl Request {
    #[must_use]
    pub fn tag(&self) -> u8 {
        match self {
            Request::Exists { .. } => request_tag::EXISTS,
            Request::Nblocks { .. } => request_tag::NBLOCKS,
            Request::GetPage { .. } => request_tag::GET_PAGE,
            Request::DbSize { .. } => request_tag::DB_SIZE,
            Request::GetSlruSegment { .. } => request_tag::GET_SLRU_SEGMENT,
        }
    }

    /// Bytes of the parameters that follow the header.
    #[must_use]
    pub fn parameter_bytes(&self) -> usize {
        parameter_bytes(self.tag())
    }
}

const REL_BYTES: usize = 13;

fn parameter_bytes(tag: u8) -> usize {
    match tag {
        request_tag::GET_PAGE => REL_BYTES + 4,
        request_tag::DB_SIZE => 4,
        request_tag::GET_SLRU_SEGMENT => 5,
        _ => REL_BYTES,
    }
}

/// Reads one request from a CopyData body. Bytes behind its end are ignored, as Neon's server does.
///
/// # Errors
/// `UnknownRequestTag`, `Truncated`, `UnknownFork`.
pub fn parse_request(version: Version, body: &[u8]) -> Result<RequestMessage<'_>, ProtoError> {
    let mut take = Take::new(body, "request");
    let tag = take.u8()?;
    take.named(request_name(tag)?);
    let echo = take.bytes(version.header_bytes() + parameter_bytes(tag))?;
    let mut take = Take::new(echo, "request");
    let header = take_header(version, &mut take)?;
    let request = take_request(tag, &mut take)?;
    Ok(RequestMessage {
        version,
        header,
        request,
        echo,
    })
}

/// Appends `request` as one whole CopyData frame.
pub fn write_request(out: &mut Vec<u8>, version: Version, header: &Header, request: &Request) {
    let body_bytes = 1 + version.header_bytes() + request.parameter_bytes();
    out.reserve(crate::FRAME_HEADER_BYTES + body_bytes);
    write_frame_header(out, body_bytes);
    out.push(request.tag());
    if version == Version::V3 {
        out.extend_from_slice(&header.request_id.to_be_bytes());
    }
    out.extend_from_slice(&header.request_lsn.0.to_be_bytes());
    out.extend_from_slice(&header.not_modified_since.0.to_be_bytes());
    match *request {
        Request::Exists { rel } | Request::Nblocks { rel } => write_rel(out, rel),
        Request::GetPage { key } => {
            write_rel(out, key.rel);
            out.extend_from_slice(&key.block.to_be_bytes());
        }
        Request::DbSize { dbnode } => out.extend_from_slice(&dbnode.to_be_bytes()),
        Request::GetSlruSegment { kind, segno } => {
            out.push(kind);
            out.extend_from_slice(&segno.to_be_bytes());
        }
    }
}

pub(crate) fn take_header(version: Version, take: &mut Take<'_>) -> Result<Header, ProtoError> {
    Ok(Header {
        request_id: match version {
            Version::V2 => 0,
            Version::V3 => take.u64()?,
        },
        request_lsn: take.lsn()?,
        not_modified_since: take.lsn()?,
    })
}

pub(crate) fn take_request(tag: u8, take: &mut Take<'_>) -> Result<Request, ProtoError> {
    Ok(match tag {
        request_tag::EXISTS => Request::Exists {
            rel: take_rel(take)?,
        },
        request_tag::NBLOCKS => Request::Nblocks {
            rel: take_rel(take)?,
        },
        request_tag::GET_PAGE => Request::GetPage {
            key: BlockKey {
                rel: take_rel(take)?,
                block: take.u32()?,
            },
        },
        request_tag::DB_SIZE => Request::DbSize {
            dbnode: take.u32()?,
        },
        request_tag::GET_SLRU_SEGMENT => Request::GetSlruSegment {
            kind: take.u8()?,
            segno: take.u32()?,
        },
        tag => return Err(ProtoError::UnknownRequestTag(tag)),
    })
}

fn request_name(tag: u8) -> Result<&'static str, ProtoError> {
    Ok(match tag {
        request_tag::EXISTS => "Exists request",
        request_tag::NBLOCKS => "Nblocks request",
        request_tag::GET_PAGE => "GetPage request",
        request_tag::DB_SIZE => "DbSize request",
        request_tag::GET_SLRU_SEGMENT => "GetSlruSegment request",
        tag => return Err(ProtoError::UnknownRequestTag(tag)),
    })
}

fn take_rel(take: &mut Take<'_>) -> Result<RelKey, ProtoError> {
    let (spcnode, dbnode, relnode) = (take.u32()?, take.u32()?, take.u32()?);
    let fork = take.u8()?;
    Ok(RelKey {
        spcnode,
        dbnode,
        relnode,
        fork: Fork::from_number(fork).ok_or(ProtoError::UnknownFork(fork))?,
    })
}

fn write_rel(out: &mut Vec<u8>, rel: RelKey) {
    out.extend_from_slice(&rel.spcnode.to_be_bytes());
    out.extend_from_slice(&rel.dbnode.to_be_bytes());
    out.extend_from_slice(&rel.relnode.to_be_bytes());
    out.push(rel.fork as u8);
}
