//! Codec of the page service's pagestream (v2 and v3): requests, responses, the CopyData frames that
//! carry them and the entries of a relations listing. No I/O, no state.
//!
//! Every integer on this wire is big-endian and packed without padding.

mod error;
mod frame;
mod relation_entry;
mod request;
mod response;
mod response_writer;
mod tag;
mod take;

pub use error::ProtoError;
pub use frame::{COPY_DATA, FRAME_HEADER_BYTES, Frame, next_frame};
pub use relation_entry::{RELATION_ENTRY_BYTES, RelationEntry, relation_entries};
pub use request::{Header, Request, RequestMessage, Version, parse_request, write_request};
pub use response::{Response, ResponseMessage, parse_response};
pub use response_writer::ResponseWriter;
pub use tag::{request_tag, response_tag};

/// Pages of an SLRU segment; a client's buffer for GetSlruSegment holds this many and no more.
pub const SLRU_SEGMENT_PAGES_MAX: u32 = 32;
