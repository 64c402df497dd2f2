//! What a walsender and its standby say to each other within CopyBoth: pure, no sockets.
//!
//! ```text
//! XLogData          w | start of the WAL u64 | end of the WAL at the server u64 | time i64 | WAL
//! keepalive         k | end of the WAL at the server u64 | time i64 | reply requested u8
//! status update     r | written u64 | flushed u64 | applied u64 | time i64 | reply requested u8
//! ```
//! Positions name the byte after the last one. Times count microseconds from 2000-01-01 UTC.

mod connection;
mod message;

pub use connection::{Connection, Pause};
pub use message::{
    Message, error_text, first_message, write_copy_data, write_query, write_startup,
};

use std::time::{SystemTime, UNIX_EPOCH};

use offshoot_layout::Lsn;

use crate::FollowError;

const DATA_HEADER_BYTES: usize = 25;
const KEEPALIVE_BYTES: usize = 18;
/// Bytes of a status update's body.
pub const STATUS_BYTES: usize = 34;
/// 2000-01-01 UTC in Unix time.
const POSTGRES_EPOCH_UNIX_SECONDS: u64 = 946_684_800;

/// A message from the walsender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WalMessage<'m> {
    Data { start: Lsn, bytes: &'m [u8] },
    Keepalive { end: Lsn, reply_requested: bool },
}

impl WalMessage<'_> {
    /// From the body of a CopyData message.
    ///
    /// # Errors
    /// `Protocol`.
    pub fn parse(body: &[u8]) -> Result<WalMessage<'_>, FollowError> {
        let number = |at: usize| {
            let bytes = body.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
            bytes.map_or(Lsn::INVALID, |bytes| Lsn(u64::from_be_bytes(bytes)))
        };
        match body.first() {
            Some(b'w') if body.len() >= DATA_HEADER_BYTES => Ok(WalMessage::Data {
                start: number(1),
                bytes: &body[DATA_HEADER_BYTES..],
            }),
            Some(b'k') if body.len() == KEEPALIVE_BYTES => Ok(WalMessage::Keepalive {
                end: number(1),
                reply_requested: body[KEEPALIVE_BYTES - 1] != 0,
            }),
            Some(kind) => Err(FollowError::Protocol(format!(
                "a message of kind {} and {} bytes",
                kind.escape_ascii(),
                body.len()
            ))),
            None => Err(FollowError::Protocol("an empty message".to_owned())),
        }
    }
}

/// What the source is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// On disk; written is the same.
    pub flushed: Lsn,
    pub applied: Lsn,
}

impl Status {
    /// The body of a status update.
    #[must_use]
    pub fn to_bytes(self) -> [u8; STATUS_BYTES] {
        let mut body = [0; STATUS_BYTES];
        body[0] = b'r';
        let fields = [
            self.flushed.0,
            self.flushed.0,
            self.applied.0,
            now_microseconds(),
        ];
        for (at, field) in fields.iter().enumerate() {
            body[1 + 8 * at..9 + 8 * at].copy_from_slice(&field.to_be_bytes());
        }
        body
    }
}

/// Only for people who look at pg_stat_replication.
fn now_microseconds() -> u64 {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH);
    let unix = unix.unwrap_or_default().as_micros() as u64;
    unix.saturating_sub(POSTGRES_EPOCH_UNIX_SECONDS * 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_told_apart() {
        let data = [&b"w"[..], &[0, 0, 0, 1, 0, 0, 0, 2], &[0; 16], b"wal"].concat();
        let expected = WalMessage::Data {
            start: Lsn(0x1_0000_0002),
            bytes: b"wal",
        };
        assert_eq!(WalMessage::parse(&data).unwrap(), expected);
        let keepalive = [&b"k"[..], &[0, 0, 0, 0, 0, 0, 1, 0], &[0; 8], &[1]].concat();
        let expected = WalMessage::Keepalive {
            end: Lsn(0x100),
            reply_requested: true,
        };
        assert_eq!(WalMessage::parse(&keepalive).unwrap(), expected);
        for wrong in [&[][..], b"w", &data[..24], &keepalive[..17], b"x", b"kk"] {
            assert!(WalMessage::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn status_names_three_positions() {
        let status = Status {
            flushed: Lsn(0x0102),
            applied: Lsn(0x0304),
        };
        let body = status.to_bytes();
        assert_eq!(body[0], b'r');
        assert_eq!(body[7..9], [1, 2]);
        assert_eq!(body[15..17], [1, 2]);
        assert_eq!(body[23..25], [3, 4]);
        assert_eq!(body[33], 0);
    }
}
