//! What can be wrong with bytes from the other side.

/// The bytes are not a pagestream message. The connection they came from cannot be trusted any more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProtoError {
    #[error("unknown pagestream request tag {0}")]
    UnknownRequestTag(u8),
    #[error("unknown pagestream response tag {0}")]
    UnknownResponseTag(u8),
    #[error("truncated {what}: {actual_bytes} bytes, {expected_bytes} needed")]
    Truncated {
        what: &'static str,
        expected_bytes: usize,
        actual_bytes: usize,
    },
    #[error("{extra_bytes} bytes follow the end of {what}")]
    TrailingBytes {
        what: &'static str,
        extra_bytes: usize,
    },
    #[error("unknown fork number {0}")]
    UnknownFork(u8),
    #[error("{blocks} pages in an SLRU segment, which holds at most 32")]
    SlruSegmentTooLong { blocks: u32 },
    #[error("message type {0:#04x} where CopyData was expected")]
    NotCopyData(u8),
    #[error("CopyData frame with length {length}, allowed are 4 to {max}")]
    FrameLength { length: u32, max: u32 },
}
