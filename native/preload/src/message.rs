//! The few Postgres protocol messages around a pagestream: type byte, int32 length that counts itself,
//! body.

use crate::error::PreloadError;

/// Longest message of the server's own words, which are short.
const WORDS_BYTES_MAX: usize = 65_536;
/// Longest CopyData outside a pagestream; the server cuts what it sends into smaller ones.
const COPY_DATA_BYTES_MAX: usize = 240 * 1024;
const PROTOCOL_3_0: u32 = 196_608;

pub const AUTHENTICATION: u8 = b'R';
pub const COMMAND_COMPLETE: u8 = b'C';
pub const COPY_BOTH: u8 = b'W';
pub const COPY_DATA: u8 = b'd';
pub const COPY_OUT: u8 = b'H';
pub const ERROR: u8 = b'E';

/// One whole message at the front of a buffer.
pub struct Message<'a> {
    pub kind: u8,
    pub body: &'a [u8],
    /// Bytes of all of it.
    pub bytes: usize,
}

/// The message at the front of `bytes`; `None` while it is not all there.
pub fn first_message(bytes: &[u8]) -> Result<Option<Message<'_>>, PreloadError> {
    let Some((header, rest)) = bytes.split_first_chunk::<5>() else {
        return Ok(None);
    };
    let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]) as usize;
    let length_max = match header[0] {
        COPY_DATA => COPY_DATA_BYTES_MAX,
        _ => WORDS_BYTES_MAX,
    };
    if !(4..=length_max).contains(&length) {
        let kind = header[0].escape_ascii();
        let reason = format!("a message of type {kind} and length {length} makes no sense here");
        return Err(PreloadError::Lost(reason));
    }
    Ok(rest.get(..length - 4).map(|body| Message {
        kind: header[0],
        body,
        bytes: length + 1,
    }))
}

/// The code of an authentication message.
pub fn authentication_code(body: &[u8]) -> Option<u32> {
    body.first_chunk().map(|code| u32::from_be_bytes(*code))
}

/// The text of an ErrorResponse.
pub fn error_text(body: &[u8]) -> String {
    let text = body
        .split(|&byte| byte == 0)
        .find_map(|field| field.strip_prefix(b"M"));
    text.map_or("it reported an error without a text".to_owned(), |text| {
        String::from_utf8_lossy(text).into_owned()
    })
}

/// Appends a StartupMessage; the process id goes along for the server's log.
pub fn write_startup(out: &mut Vec<u8>, pid: libc::pid_t) {
    let pid = pid.to_string();
    let parameters = [
        ("user", "offshoot"),
        ("database", "offshoot"),
        ("application_name", pid.as_str()),
    ];
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&PROTOCOL_3_0.to_be_bytes());
    for (name, value) in parameters {
        for text in [name, value] {
            out.extend_from_slice(text.as_bytes());
            out.push(0);
        }
    }
    out.push(0);
    let length = (out.len() - start) as u32;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

/// Appends a message whose body is one NUL-terminated text: `Q` a query, `p` a password.
pub fn write_text(out: &mut Vec<u8>, kind: u8, text: &[u8]) {
    out.push(kind);
    out.extend_from_slice(&(text.len() as u32 + 5).to_be_bytes());
    out.extend_from_slice(text);
    out.push(0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_found_whole_or_not_at_all() {
        let mut bytes = Vec::new();
        write_text(&mut bytes, b'Q', b"set x");
        for end in 0..bytes.len() {
            assert!(first_message(&bytes[..end]).unwrap().is_none(), "{end}");
        }
        bytes.extend_from_slice(b"more");
        let message = first_message(&bytes).unwrap().unwrap();
        assert_eq!((message.kind, message.body), (b'Q', &b"set x\0"[..]));
        assert_eq!(message.bytes, bytes.len() - 4);
    }

    #[test]
    fn senseless_lengths_are_refused() {
        for (kind, length) in [
            (ERROR, 0u32),
            (ERROR, 3),
            (ERROR, 65_537),
            (ERROR, u32::MAX),
            (COPY_DATA, 3),
            (COPY_DATA, 245_761),
            (COPY_DATA, u32::MAX),
        ] {
            let mut bytes = vec![kind];
            bytes.extend_from_slice(&length.to_be_bytes());
            assert!(first_message(&bytes).is_err(), "{kind} {length}");
        }
    }

    #[test]
    fn a_list_comes_in_messages_longer_than_words() {
        let mut bytes = vec![COPY_DATA];
        bytes.extend_from_slice(&131_072u32.to_be_bytes());
        bytes.resize(131_073, 7);
        assert_eq!(first_message(&bytes).unwrap().unwrap().bytes, 131_073);
    }

    #[test]
    fn error_texts() {
        let cases: [(&[u8], &str); 3] = [
            (b"SERROR\0C58P01\0Mnot found\0\0", "not found"),
            (b"\0", "it reported an error without a text"),
            (b"Mcut", "cut"),
        ];
        for (body, text) in cases {
            assert_eq!(error_text(body), text);
        }
    }

    #[test]
    fn startup_packet_counts_itself() {
        let mut out = vec![9];
        write_startup(&mut out, 4711);
        assert_eq!(out[1..5], (out.len() as u32 - 1).to_be_bytes());
        assert!(out.ends_with(b"application_name\x004711\0\0"));
    }
}
