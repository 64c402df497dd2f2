//! A map by relation that is asked for each block of each record.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use offshoot_layout::RelKey;

/// Keys come from WAL that is trusted: nobody picks them to collide.
pub(crate) type RelMap<V> = HashMap<RelKey, V, BuildHasherDefault<RelHasher>>;

/// Multiplies and rotates, a word at a time.
#[derive(Default)]
pub(crate) struct RelHasher(u64);

/// The fractional part of the golden ratio: odd, and without a pattern in its bits.
const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;

impl RelHasher {
    fn add(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(23) ^ word).wrapping_mul(MULTIPLIER);
    }
}

impl Hasher for RelHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.add(u64::from(*byte));
        }
    }

    fn write_u8(&mut self, number: u8) {
        self.add(u64::from(number));
    }

    fn write_u32(&mut self, number: u32) {
        self.add(u64::from(number));
    }

    fn write_u64(&mut self, number: u64) {
        self.add(number);
    }

    fn write_isize(&mut self, number: isize) {
        self.add(number as u64);
    }

    /// The map takes its place from the low bits and its tag from the high ones.
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }
}
