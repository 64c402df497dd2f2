//! The built library, preloaded into programs that do what Postgres does with its files.
//!
//! Each test has two halves: one in this process, which runs the page server, and a `scenario` that
//! runs in a process of its own with the library loaded, in the data directory.

// Clippy lets #[test] functions unwrap, but not the functions that they share.
#![allow(clippy::unwrap_used, clippy::panic)]

mod coming_and_going;
mod directories;
mod limits;
mod outage;
mod page_server;
mod parallel;
mod reading;
mod removal;
mod session_catalogs;
mod stress;
mod truncation;
mod world;
mod writing;

/// Not a test of its own: the half of a test that runs with the library.
#[test]
#[ignore = "run by the other tests, in a process with the library"]
fn child() {
    let name = std::env::var("SCENARIO").unwrap();
    let scenarios = [
        coming_and_going::SCENARIOS,
        directories::SCENARIOS,
        limits::SCENARIOS,
        outage::SCENARIOS,
        parallel::SCENARIOS,
        reading::SCENARIOS,
        removal::SCENARIOS,
        session_catalogs::SCENARIOS,
        stress::SCENARIOS,
        truncation::SCENARIOS,
        writing::SCENARIOS,
    ];
    let found = scenarios
        .iter()
        .flat_map(|topic| topic.iter())
        .find(|(own, _)| *own == name);
    let (_, scenario) = found.unwrap();
    scenario();
    println!("scenario done");
}

/// A scenario's name and what it does.
type Scenario = (&'static str, fn());
