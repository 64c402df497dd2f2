//! Passes bytes between pairs of connected sockets, on threads of its own. See the README of this folder.

mod connection;
mod end;
mod flow;
mod mailbox;
mod poll;
mod pump;
mod side;
mod socket;
mod totals;
mod worker;

pub use end::{By, End, Event, How};
pub use pump::{Pair, Pump, PumpOptions};
pub use totals::Sums;
