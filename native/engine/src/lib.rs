//! Every version of every page: timelines, sizes, files, and reading them at any LSN. See the README
//! of this folder.

pub mod base_backup;
mod checkpoint_state;
mod cluster;
mod commit_behind;
pub mod commit_times;
mod error;
pub mod extent;
mod files;
pub mod format;
pub mod import;
mod ingest;
pub mod keys;
mod origins_file;
mod page_cache;
mod page_changes;
mod page_history;
mod page_writer;
mod pages;
mod pending_batch;
mod read_page;
pub mod record_group;
mod redo_record;
mod rel_map;
mod relations;
mod sizes;
mod tenant;
mod timeline;
pub mod value;
mod view;
mod whole_version;

pub use checkpoint_state::CheckPointState;
pub use cluster::{Checksums, Cluster};
pub use error::EngineError;
pub use ingest::{Ingest, UnsupportedCount};
pub use keys::{FileKey, FileKind};
pub use offshoot_store::{Durability, StoreError, StoreOptions, Usage};
pub use page_changes::RecordAt;
pub use page_writer::PageWriter;
pub use pages::{PagesReply, REPLY_BYTES_MAX, REQUEST_BYTES_MAX};
pub use relations::PG_DEFAULT_TABLESPACE;
pub use sizes::SizeHistory;
pub use tenant::{Tenant, TenantOptions};
pub use timeline::{Link, Timeline, TimelineSpec};
pub use view::View;
