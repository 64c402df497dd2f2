//! When what was committed or rolled back: a search by time answers an LSN. See `chunk.rs` for what is stored.

mod chunk;
mod log;
mod search;

pub use chunk::Ending;
pub(crate) use chunk::{Chunk, chunk_key};
pub(crate) use log::CommitLog;
pub use search::{CommitsAround, LsnAtTime};

/// Microseconds since 2000, as Postgres' TimestampTz.
pub type PgTime = i64;

/// 2000-01-01 in Unix seconds.
const PG_EPOCH_UNIX_SECONDS: i64 = 946_684_800;

/// A time of `pg_time_t`, seconds since 1970; those that are too far away are as far as can be.
fn from_unix_seconds(seconds: i64) -> PgTime {
    seconds
        .saturating_sub(PG_EPOCH_UNIX_SECONDS)
        .saturating_mul(1_000_000)
}

/// A time of Unix in microseconds; those that are too far away are as far as can be.
#[must_use]
pub fn from_unix_micros(micros: i64) -> PgTime {
    micros.saturating_sub(PG_EPOCH_UNIX_SECONDS * 1_000_000)
}

/// The same back.
#[must_use]
pub fn to_unix_micros(time: PgTime) -> i64 {
    time.saturating_add(PG_EPOCH_UNIX_SECONDS * 1_000_000)
}
