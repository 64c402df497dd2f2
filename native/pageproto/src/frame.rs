//! CopyData frames: `d`, int32 length that counts itself, body.

use crate::ProtoError;

/// Type byte of a CopyData message.
pub const COPY_DATA: u8 = b'd';
/// Type byte and length.
pub const FRAME_HEADER_BYTES: usize = 5;

/// One whole frame at the front of a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    pub body: &'a [u8],
    /// What follows the frame.
    pub rest: &'a [u8],
}

/// The frame at the front of `bytes`; `None` when it is not all there yet.
///
/// # Errors
/// `NotCopyData` for any other message type, `FrameLength` for a length below 4 or a body of more
/// than `body_bytes_max`: found as soon as the header is there, so nobody waits for 2 GB.
pub fn next_frame(bytes: &[u8], body_bytes_max: u32) -> Result<Option<Frame<'_>>, ProtoError> {
    let Some(&kind) = bytes.first() else {
        return Ok(None);
    };
    if kind != COPY_DATA {
        return Err(ProtoError::NotCopyData(kind));
    }
    let Some((header, after)) = bytes.split_first_chunk::<FRAME_HEADER_BYTES>() else {
        return Ok(None);
    };
    let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]);
    let max = body_bytes_max.saturating_add(4);
    if !(4..=max).contains(&length) {
        return Err(ProtoError::FrameLength { length, max });
    }
    let body_bytes = length as usize - 4;
    Ok(after
        .split_at_checked(body_bytes)
        .map(|(body, rest)| Frame { body, rest }))
}

/// Appends a frame's header for a body of `body_bytes`, which must follow.
pub(crate) fn write_frame_header(out: &mut Vec<u8>, body_bytes: usize) {
    debug_assert!(body_bytes < (i32::MAX as usize) - 4);
    out.push(COPY_DATA);
    out.extend_from_slice(&(body_bytes as u32 + 4).to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_found_one_by_one() {
        let mut bytes = Vec::new();
        write_frame_header(&mut bytes, 3);
        bytes.extend_from_slice(b"abc");
        write_frame_header(&mut bytes, 0);
        let first = next_frame(&bytes, 100).unwrap().unwrap();
        assert_eq!(first.body, b"abc");
        let second = next_frame(first.rest, 100).unwrap().unwrap();
        assert_eq!((second.body, second.rest), (&b""[..], &b""[..]));
    }

    #[test]
    fn an_incomplete_frame_is_not_an_error() {
        let bytes = [b'd', 0, 0, 0, 7, 1, 2];
        for end in 0..bytes.len() {
            assert_eq!(next_frame(&bytes[..end], 100), Ok(None), "{end}");
        }
    }

    #[test]
    fn bad_headers_are_refused_at_once() {
        let too_long = ProtoError::FrameLength {
            length: 0x7fff_ffff,
            max: 104,
        };
        let too_short = ProtoError::FrameLength {
            length: 3,
            max: 104,
        };
        assert_eq!(next_frame(&[b'd', 127, 255, 255, 255], 100), Err(too_long));
        assert_eq!(next_frame(&[b'd', 0, 0, 0, 3], 100), Err(too_short));
        assert_eq!(next_frame(b"Q", 100), Err(ProtoError::NotCopyData(b'Q')));
    }
}
