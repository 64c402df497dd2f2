//! What is removed from a tenant's store.

use napi_derive::napi;
use offshoot_engine::Portion;

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
