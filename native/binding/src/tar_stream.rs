//! An archive that is made while it is read.

use std::sync::Arc;

use napi::bindgen_prelude::{AsyncTask, Buffer};
use napi_derive::napi;
use offshoot_engine::base_backup::BaseBackup;
use parking_lot::Mutex;

use crate::work::{Reply, Work, promise};

/// See `Tenant.baseBackup`.
#[napi]
pub struct TarStream {
    backup: Arc<Mutex<BaseBackup>>,
}

/// The next part of an archive, if there is one.
pub struct Chunk(Option<Vec<u8>>);

impl TarStream {
    pub fn new(backup: BaseBackup) -> TarStream {
        TarStream {
            backup: Arc::new(Mutex::new(backup)),
        }
    }
}

#[napi]
impl TarStream {
    /// The next chunk, at most 1 MiB; null at the end. Await it before the next call.
    #[napi(ts_return_type = "Promise<Buffer | null>")]
    pub fn next(&self) -> AsyncTask<Work<Chunk>> {
        let backup = Arc::clone(&self.backup);
        promise(move || Ok(Chunk(backup.lock().next_chunk()?)))
    }
}

impl Reply for Chunk {
    type Js = Option<Buffer>;

    fn into_js(self) -> Option<Buffer> {
        self.0.map(Buffer::from)
    }
}

impl Reply for TarStream {
    type Js = TarStream;

    fn into_js(self) -> TarStream {
        self
    }
}
