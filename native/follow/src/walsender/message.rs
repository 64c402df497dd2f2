//! The Postgres messages around it: kind u8, length u32 that counts itself, body.

use crate::FollowError;

/// Longest message: a walsender's data comes in pieces of 128 KiB.
const MESSAGE_BYTES_MAX: usize = 1 << 20;
const PROTOCOL_3_0: u32 = 196_608;

/// One whole message at the front of a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    pub kind: u8,
    pub body: &'a [u8],
    /// Bytes of all of it.
    pub bytes: usize,
}

/// The message at the front of `bytes`; `None` while it is not all there.
///
/// # Errors
/// `Protocol` for a length that no walsender's message has.
pub fn first_message(bytes: &[u8]) -> Result<Option<Message<'_>>, FollowError> {
    let Some((header, rest)) = bytes.split_first_chunk::<5>() else {
        return Ok(None);
    };
    let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]) as usize;
    if !(4..=MESSAGE_BYTES_MAX).contains(&length) {
        let kind = header[0].escape_ascii();
        let text = format!("a message of kind {kind} and length {length}");
        return Err(FollowError::Protocol(text));
    }
    Ok(rest.get(..length - 4).map(|body| Message {
        kind: header[0],
        body,
        bytes: length + 1,
    }))
}

/// The field of an ErrorResponse that begins with `field`: `M` its words, `C` its SQLSTATE.
#[must_use]
pub fn error_text(body: &[u8], field: u8) -> String {
    let mut fields = body.split(|&byte| byte == 0);
    let found = fields.find_map(|text| text.strip_prefix(&[field]));
    String::from_utf8_lossy(found.unwrap_or_default()).into_owned()
}

/// Appends a StartupMessage.
pub fn write_startup(out: &mut Vec<u8>, parameters: &[(&str, &str)]) {
    let mut body = PROTOCOL_3_0.to_be_bytes().to_vec();
    for text in parameters.iter().flat_map(|(name, value)| [name, value]) {
        body.extend_from_slice(text.as_bytes());
        body.push(0);
    }
    body.push(0);
    out.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
    out.extend_from_slice(&body);
}

/// Appends a Query.
pub fn write_query(out: &mut Vec<u8>, text: &str) {
    write(out, b'Q', &[text.as_bytes(), &[0]]);
}

/// Appends a CopyData.
pub fn write_copy_data(out: &mut Vec<u8>, body: &[u8]) {
    write(out, b'd', &[body]);
}

fn write(out: &mut Vec<u8>, kind: u8, parts: &[&[u8]]) {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    out.push(kind);
    out.extend_from_slice(&(length as u32 + 4).to_be_bytes());
    for part in parts {
        out.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_found_whole_or_not_at_all() {
        let mut bytes = Vec::new();
        write_query(&mut bytes, "select");
        for end in 0..bytes.len() {
            assert_eq!(first_message(&bytes[..end]).unwrap(), None, "{end}");
        }
        write_copy_data(&mut bytes, b"more");
        let query = first_message(&bytes).unwrap().unwrap();
        assert_eq!((query.kind, query.body), (b'Q', &b"select\0"[..]));
        let copied = first_message(&bytes[query.bytes..]).unwrap().unwrap();
        assert_eq!((copied.kind, copied.body), (b'd', &b"more"[..]));
    }

    #[test]
    fn senseless_lengths_are_refused() {
        for length in [0u32, 3, (1 << 20) + 1, u32::MAX] {
            let bytes = [&b"d"[..], &length.to_be_bytes()].concat();
            assert!(first_message(&bytes).is_err(), "{length}");
        }
    }

    #[test]
    fn fields_of_an_error_are_found() {
        let body = b"SERROR\0C42710\0Mit exists\0\0";
        assert_eq!(error_text(body, b'M'), "it exists");
        assert_eq!(error_text(body, b'C'), "42710");
        assert_eq!(error_text(body, b'H'), "");
    }
}
