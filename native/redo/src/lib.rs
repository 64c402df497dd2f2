//! What WAL records mean: page transitions and other effects, without any I/O. See README.md.

mod block_redo;
mod checkpoint_state;
mod context;
mod effect;
mod effects;
mod error;
pub mod free_space_map;
pub mod opcode;
pub mod page_items;
mod payload;
#[cfg(test)]
mod proptests;
mod redo;
pub mod rmgr;
pub mod rmgr_table;
pub mod slru;
mod slru_excerpts;
#[cfg(test)]
mod test_record;
pub mod visibility_map;
pub mod xid;

pub use checkpoint_state::{StateChange, apply_checkpoint_state};
pub use context::RedoContext;
pub use effect::{Effect, OriginAdvance, PageBase};
pub use effects::{effects, effects_into};
pub use error::RedoError;
pub use payload::{Malformed, Payload};
pub use redo::{Outcome, Target, redo};
pub use rmgr::xlog::ParameterChange;
pub use rmgr_table::record_name;
pub use slru::SlruTruncation;
pub use slru_excerpts::{SlruExcerpts, slru_excerpts};
