//! The decisions of one case.

/// Bytes that decide everything a case does; behind their end all are zero, the tamest choice.
/// So a case gets smaller with its bytes, and any fuzzer that makes bytes can drive a target.
#[derive(Clone)]
pub struct Choices<'a> {
    bytes: &'a [u8],
}

impl<'a> Choices<'a> {
    pub fn new(bytes: &'a [u8]) -> Choices<'a> {
        Choices { bytes }
    }

    pub fn is_spent(&self) -> bool {
        self.bytes.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        self.little_endian(1) as u8
    }

    pub fn number(&mut self) -> u32 {
        self.little_endian(4)
    }

    /// A number less than `limit`; 0 if that is 0.
    pub fn below(&mut self, limit: usize) -> usize {
        let width = if limit <= 0x100 { 1 } else { 4 };
        (self.little_endian(width) as usize)
            .checked_rem(limit)
            .unwrap_or(0)
    }

    pub fn one_in(&mut self, count: usize) -> bool {
        self.below(count) + 1 == count
    }

    /// One of these, of which there must be one.
    pub fn of<'b, T>(&mut self, all: &'b [T]) -> &'b T {
        &all[self.below(all.len())]
    }

    /// Up to `max` bytes.
    pub fn some_bytes(&mut self, max: usize) -> Vec<u8> {
        let count = self.below(max + 1);
        let mut bytes = self.take(count).to_vec();
        bytes.resize(count, 0);
        bytes
    }

    /// A number of the kind that programs get wrong.
    pub fn edge(&mut self) -> u32 {
        const EDGES: [u32; 20] = [
            0,
            1,
            2,
            3,
            7,
            8,
            23,
            24,
            25,
            127,
            128,
            255,
            256,
            8191,
            8192,
            8193,
            0x7FFF,
            0xFFFF,
            0x7FFF_FFFF,
            0xFFFF_FFFF,
        ];
        *self.of(&EDGES)
    }

    fn little_endian(&mut self, width: usize) -> u32 {
        let bytes = self.take(width).iter().rev();
        bytes.fold(0, |number, byte| number << 8 | u32::from(*byte))
    }

    fn take(&mut self, max: usize) -> &'a [u8] {
        let (taken, rest) = self.bytes.split_at(max.min(self.bytes.len()));
        self.bytes = rest;
        taken
    }
}
