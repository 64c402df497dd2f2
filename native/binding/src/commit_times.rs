//! Where in a timeline a moment is. Times are microseconds since 1970.

use napi::bindgen_prelude::BigInt;
use napi_derive::napi;
use offshoot_engine::commit_times::{CommitsAround, LsnAtTime, PgTime, to_unix_micros};

use crate::numbers::bigint;
use crate::work::Reply;

/// What commit times say of a moment; without `lsn`: they are known only from `knownFrom` on, or not at all.
#[napi(object, object_from_js = false)]
pub struct TimeAnswer {
    pub lsn: Option<BigInt>,
    /// Of the last commit before `lsn`.
    pub last_commit_time: Option<BigInt>,
    /// No commit is later than the moment.
    pub is_newest: bool,
    pub known_from: Option<BigInt>,
}

/// Times of the commits next to an LSN.
#[napi(object, object_from_js = false)]
pub struct CommitsAnswer {
    pub last: Option<BigInt>,
    pub next: Option<BigInt>,
}

fn time(time: Option<PgTime>) -> Option<BigInt> {
    time.map(|time| BigInt::from(to_unix_micros(time)))
}

impl Reply for LsnAtTime {
    type Js = TimeAnswer;

    fn into_js(self) -> TimeAnswer {
        match self {
            LsnAtTime::Found {
                lsn,
                last_commit,
                is_newest,
            } => TimeAnswer {
                lsn: Some(bigint(lsn)),
                last_commit_time: time(last_commit),
                is_newest,
                known_from: None,
            },
            LsnAtTime::TooEarly { known_from } => TimeAnswer {
                lsn: None,
                last_commit_time: None,
                is_newest: false,
                known_from: time(known_from),
            },
        }
    }
}

impl Reply for CommitsAround {
    type Js = CommitsAnswer;

    fn into_js(self) -> CommitsAnswer {
        CommitsAnswer {
            last: time(self.last),
            next: time(self.next),
        }
    }
}
