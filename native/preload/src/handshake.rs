//! From nothing to a connection that has taken a command.

use crate::env::Settings;
use crate::error::{Errno, PreloadError};
use crate::inbox::Inbox;
use crate::message;
use crate::stream::{Deadline, Stream};
use crate::sys;

const TOKEN_BYTES_MAX: usize = 16 * 1024;
const AUTHENTICATION_OK: u32 = 0;
const AUTHENTICATION_CLEARTEXT: u32 = 3;

/// Connects, authenticates and gives `command`; returns when a message of kind `ready` has come.
pub fn start(
    settings: &Settings,
    command: &str,
    ready: u8,
    deadline: Deadline,
) -> Result<(Stream, Inbox), PreloadError> {
    let stream = Stream::connect(&settings.address, deadline)?;
    let mut inbox = Inbox::default();
    let mut query = Vec::new();
    message::write_text(&mut query, b'Q', command.as_bytes());
    let mut out = Vec::new();
    message::write_startup(&mut out, sys::pid());
    if settings.token_file.is_none() {
        // Nothing will be asked of us, so the command need not wait for the server's welcome.
        out.append(&mut query);
    }
    loop {
        if !out.is_empty() {
            stream.send_all(&out, deadline)?;
            out.clear();
        }
        let Some(message) = message::first_message(inbox.unread())? else {
            inbox.fill(&stream, deadline)?;
            continue;
        };
        let (kind, bytes) = (message.kind, message.bytes);
        match kind {
            message::ERROR => return Err(PreloadError::Lost(message::error_text(message.body))),
            message::AUTHENTICATION => match message::authentication_code(message.body) {
                Some(AUTHENTICATION_OK) => out.append(&mut query),
                Some(AUTHENTICATION_CLEARTEXT) => {
                    message::write_text(&mut out, b'p', &token(settings)?);
                    out.append(&mut query);
                }
                _ => {
                    let reason = "it wants an authentication that is not supported";
                    return Err(PreloadError::Lost(reason.to_owned()));
                }
            },
            _ => {}
        }
        inbox.consume(bytes);
        if kind == ready {
            return Ok((stream, inbox));
        }
    }
}

/// The token file's content without the line's end; read each time, for it may be replaced.
fn token(settings: &Settings) -> Result<Vec<u8>, PreloadError> {
    let path = settings.token_file.as_ref().ok_or_else(|| {
        PreloadError::Lost("it wants a token and OFFSHOOT_TOKEN_FILE is not set".to_owned())
    })?;
    let read = || {
        let fd = sys::open(path, libc::O_RDONLY, 0)?;
        let mut token = vec![0; TOKEN_BYTES_MAX];
        let bytes = sys::read_start(fd.raw(), &mut token)?;
        token.truncate(bytes);
        token.truncate(token.trim_ascii_end().len());
        Ok(token)
    };
    read().map_err(|errno: Errno| PreloadError::Lost(format!("cannot read {path:?}: {errno}")))
}
