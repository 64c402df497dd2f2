//! What is removed from a tenant's store.

use std::time::Duration;

use napi::bindgen_prelude::{BigInt, Buffer};
use napi_derive::napi;
use offshoot_engine::{Holders, Look, Portion};

use crate::failure::Failure;
use crate::numbers::lsn;
use crate::work::Reply;

/// How much one call removes at most.
#[napi(object)]
pub struct PortionOptions {
    pub entries_max: u32,
    pub bytes_max: f64,
}

/// What one call has removed of a timeline that is gone.
#[napi(object, object_from_js = false)]
pub struct Reclaimed {
    pub entries: f64,
    /// Keys and values.
    pub bytes: f64,
    /// Nothing of it is left.
    pub done: bool,
}

/// How much one call looks at, and removes in one transaction.
#[napi(object)]
pub struct LookOptions {
    pub entries_max: u32,
    pub time_max_ms: u32,
    pub portion: PortionOptions,
}

/// Whose the single LSNs of a window are. Holders are numbered from 1 on, each after the one that it comes of.
#[napi(object)]
pub struct HoldersOptions {
    /// Of each holder, the one that it comes of; 0: none.
    pub parents: Vec<u32>,
    pub lsns: Vec<BigInt>,
    /// Of each LSN; 0: nobody.
    pub holders: Vec<u32>,
}

/// Versions of pages that stay for the LSNs of one holder, and of those that come of it, alone.
#[napi(object, object_from_js = false)]
pub struct KeptVersions {
    pub holder: u32,
    pub versions: f64,
    /// Keys and values.
    pub bytes: f64,
}

/// What one call has removed of what cannot be read.
#[napi(object, object_from_js = false)]
pub struct Collected {
    /// Where the next call goes on; absent at the end.
    pub next: Option<Buffer>,
    /// Entries.
    pub looked_at: f64,
    pub removed: f64,
    /// Keys and values of those.
    pub removed_bytes: f64,
    /// What makes no sense, and was left.
    pub damaged: f64,
    pub kept: Vec<KeptVersions>,
}

/// A part of what a timeline has.
#[napi(object, object_from_js = false)]
pub struct Measured {
    /// Where the next call goes on; absent at the end.
    pub next: Option<Buffer>,
    pub entries: f64,
    /// Keys and values.
    pub bytes: f64,
    /// Pages of relations that there are versions of.
    pub pages: f64,
}

impl TryFrom<HoldersOptions> for Holders {
    type Error = Failure;

    fn try_from(options: HoldersOptions) -> Result<Holders, Failure> {
        if options.lsns.len() != options.holders.len() {
            return Err(Failure::argument("lsns and holders belong together"));
        }
        let lsns = options.lsns.iter().map(|found| lsn("lsns", found));
        let lsns = lsns.collect::<Result<Vec<_>, _>>()?;
        let held = lsns.into_iter().zip(options.holders);
        Ok(Holders::new(options.parents, held)?)
    }
}

impl From<LookOptions> for Look {
    fn from(options: LookOptions) -> Look {
        Look {
            entries_max: options.entries_max as usize,
            time_max: Duration::from_millis(u64::from(options.time_max_ms)),
            portion: options.portion.into(),
        }
    }
}

impl Reply for offshoot_engine::Collected {
    type Js = Collected;

    fn into_js(self) -> Collected {
        Collected {
            next: self.next.map(Buffer::from),
            looked_at: self.looked_at as f64,
            removed: self.removed as f64,
            removed_bytes: self.removed_bytes as f64,
            damaged: self.damaged as f64,
            kept: self.kept.into_iter().map(KeptVersions::from).collect(),
        }
    }
}

impl From<offshoot_engine::Kept> for KeptVersions {
    fn from(kept: offshoot_engine::Kept) -> KeptVersions {
        KeptVersions {
            holder: kept.holder,
            versions: kept.versions as f64,
            bytes: kept.bytes as f64,
        }
    }
}

impl Reply for offshoot_engine::Measured {
    type Js = Measured;

    fn into_js(self) -> Measured {
        Measured {
            next: self.next.map(Buffer::from),
            entries: self.entries as f64,
            bytes: self.bytes as f64,
            pages: self.pages as f64,
        }
    }
}

impl From<PortionOptions> for Portion {
    fn from(options: PortionOptions) -> Portion {
        Portion {
            entries_max: options.entries_max as usize,
            bytes_max: options.bytes_max as usize,
        }
    }
}

impl Reply for offshoot_engine::Reclaimed {
    type Js = Reclaimed;

    fn into_js(self) -> Reclaimed {
        Reclaimed {
            entries: self.entries as f64,
            bytes: self.bytes as f64,
            done: self.done,
        }
    }
}

impl Reply for Vec<u32> {
    type Js = Vec<u32>;

    fn into_js(self) -> Vec<u32> {
        self
    }
}
