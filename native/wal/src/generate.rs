//! WAL that we write ourselves: the checkpoint a fabricated cluster starts from, and streams
//! of records for tests.

mod checkpoint;
mod draft;
mod stream;

pub use checkpoint::{
    SHUTDOWN_CHECKPOINT_BYTES, first_segment_page, record_page, shutdown_checkpoint_record,
    start_lsn_after,
};
pub use draft::{BlockDraft, ImageDraft, RecordDraft};
pub use stream::WalStream;
