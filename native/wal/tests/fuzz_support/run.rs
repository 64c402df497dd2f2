//! The long run: cases as long as time is left.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant, SystemTime};

use super::Choices;

/// A name and what a case does; it fails by a panic.
pub type Target = (&'static str, fn(&mut Choices<'_>));

const SECONDS_DEFAULT: u64 = 60;
/// No case should take a noticeable time; one that takes this long hangs, even in a debug
/// build on a busy machine.
const CASE_SECONDS_MAX: u64 = 20;
const CHOICE_BYTES_MAX: usize = 4000;

/// Runs random cases of the targets in turn for `OFFSHOOT_FUZZ_SECONDS`, or only the one in
/// `OFFSHOOT_FUZZ_CASE`, as a failing run printed it.
pub fn run_for_seconds(targets: &[Target]) {
    if let Ok(case) = std::env::var("OFFSHOOT_FUZZ_CASE") {
        return run_again(targets, &case);
    }
    let seconds = std::env::var("OFFSHOOT_FUZZ_SECONDS").map_or(SECONDS_DEFAULT, |seconds| {
        seconds.parse().expect("OFFSHOOT_FUZZ_SECONDS")
    });
    let began = Instant::now();
    let mut random = Random::seeded_by_time();
    let mut cases = 0u64;
    while began.elapsed() < Duration::from_secs(seconds) {
        for (name, target) in targets {
            run_case(name, *target, &random.bytes());
            cases += 1;
        }
    }
    println!("{cases} cases in {seconds} s");
}

fn run_case(name: &str, target: fn(&mut Choices<'_>), bytes: &[u8]) {
    let began = Instant::now();
    let result = catch_unwind(AssertUnwindSafe(|| target(&mut Choices::new(bytes))));
    let hangs = began.elapsed() > Duration::from_secs(CASE_SECONDS_MAX);
    if result.is_err() || hangs {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        eprintln!("run it again with OFFSHOOT_FUZZ_CASE={name}:{hex}");
    }
    assert!(!hangs, "{name} takes longer than {CASE_SECONDS_MAX} s");
    if let Err(panic) = result {
        std::panic::resume_unwind(panic);
    }
}

fn run_again(targets: &[Target], case: &str) {
    let (name, hex) = case.split_once(':').expect("OFFSHOOT_FUZZ_CASE=NAME:HEX");
    let digits: Vec<u8> = hex
        .chars()
        .filter_map(|c| c.to_digit(16))
        .map(|d| d as u8)
        .collect();
    let bytes: Vec<u8> = digits
        .chunks(2)
        .map(|pair| pair.iter().fold(0, |b, d| b << 4 | d))
        .collect();
    let (_, target) = targets
        .iter()
        .find(|(target, _)| *target == name)
        .expect("OFFSHOOT_FUZZ_CASE names no target");
    target(&mut Choices::new(&bytes));
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn seeded_by_time() -> Random {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Random(since.map_or(0, |since| since.as_nanos() as u64))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    /// A case's bytes; short ones are as likely as long ones.
    fn bytes(&mut self) -> Vec<u8> {
        let scale = 1 << (self.next() % 12);
        let count = (self.next() % (16 + scale)) as usize;
        (0..count.min(CHOICE_BYTES_MAX))
            .map(|_| self.next() as u8)
            .collect()
    }
}
