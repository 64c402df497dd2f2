//! Timelines that grow: WAL from a walsender into a log or into memory, from there into the engine. See README.md.

mod error;
mod follower;
mod inbox;
mod indexer;
mod log_dir;
mod log_end;
mod log_writer;
mod receiver;
pub mod walsender;

pub use error::FollowError;
pub use follower::{FollowOptions, Follower, Keep};
pub use indexer::{OnProgress, Progress};
pub use log_dir::{Content, LogDir};
pub use log_writer::{LogPosition, LogWriter};
pub use receiver::{Receiver, ReceiverEnd, ReceiverOptions};
