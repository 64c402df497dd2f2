//! Which pages to ask for before they are needed: a file read from one block to the next gets a window
//! that doubles, and is topped up when half of it is left, so that the server never waits for us.

use std::ops::Range;

/// Length of the first window.
const WINDOW_MIN: u32 = 4;

/// How one opening of a file has been read so far.
#[derive(Debug, Default)]
pub struct ReadAhead {
    /// The block behind the last one read.
    next: u32,
    /// Length of the window; 0 while reads are not sequential.
    window: u32,
    /// Blocks below this have been asked for.
    ahead: u32,
}

/// Whether a read found all its blocks in the local file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    Hit,
    Miss,
}

impl ReadAhead {
    /// Notes a read of `blocks` and says which blocks behind it to ask for now: none of them from
    /// `limit` (the file's remote blocks) on, and at most `window_max` beyond the read.
    pub fn note(
        &mut self,
        blocks: &Range<u32>,
        read: Read,
        limit: u32,
        window_max: u32,
    ) -> Range<u32> {
        const NOTHING: Range<u32> = 0..0;
        let sequential = blocks.start == self.next;
        self.next = blocks.end;
        if !sequential {
            self.window = 0;
            return NOTHING;
        }
        if self.window == 0 {
            if read == Read::Hit {
                return NOTHING;
            }
            self.window = WINDOW_MIN.min(window_max);
            self.ahead = blocks.end;
        } else {
            self.ahead = self.ahead.max(blocks.end);
            if self.ahead - blocks.end > self.window / 2 {
                return NOTHING;
            }
            self.window = self.window.saturating_mul(2).min(window_max);
        }
        let start = self.ahead;
        self.ahead = blocks.end.saturating_add(self.window).min(limit).max(start);
        start..self.ahead
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(limit: u32, window_max: u32) -> Vec<(u32, Range<u32>)> {
        let mut read_ahead = ReadAhead::default();
        let mut asked = Vec::new();
        let mut asked_end = 0;
        for block in 0..limit {
            let read = if block < asked_end {
                Read::Hit
            } else {
                Read::Miss
            };
            let range = read_ahead.note(&(block..block + 1), read, limit, window_max);
            if !range.is_empty() {
                asked_end = range.end;
                asked.push((block, range));
            }
        }
        asked
    }

    #[test]
    fn a_scan_doubles_its_window_and_tops_it_up_at_half() {
        let expected = [
            (0, 1..5),
            (2, 5..11),
            (6, 11..23),
            (14, 23..31),
            (22, 31..39),
            (30, 39..40),
        ];
        assert_eq!(scan(40, 16), expected);
    }

    #[test]
    fn every_block_is_asked_for_once_and_none_beyond_the_end() {
        for (limit, window_max) in [(1, 64), (5, 64), (1000, 64), (1000, 1), (77, 3)] {
            let asked = scan(limit, window_max);
            let mut end = 1;
            for (block, range) in &asked {
                assert_eq!(range.start, end);
                assert!(range.end <= limit && range.end - (block + 1) <= window_max);
                end = range.end;
            }
            assert_eq!(end, limit, "{limit} {window_max}");
        }
    }

    #[test]
    fn scattered_reads_and_hits_ask_for_nothing() {
        let mut read_ahead = ReadAhead::default();
        for block in [7, 3, 9, 1] {
            let range = read_ahead.note(&(block..block + 1), Read::Miss, 100, 64);
            assert!(range.is_empty());
        }
        for block in 2..50 {
            let range = read_ahead.note(&(block..block + 1), Read::Hit, 100, 64);
            assert!(range.is_empty());
        }
    }

    #[test]
    fn zero_turns_it_off() {
        assert!(scan(100, 0).is_empty());
    }

    #[test]
    fn reads_of_many_blocks_count_once() {
        let mut read_ahead = ReadAhead::default();
        assert_eq!(read_ahead.note(&(0..16), Read::Miss, 100, 64), 16..20);
        assert_eq!(read_ahead.note(&(16..32), Read::Miss, 100, 64), 32..40);
    }

    #[test]
    fn a_file_cut_short_asks_for_nothing_more() {
        let mut read_ahead = ReadAhead::default();
        assert_eq!(read_ahead.note(&(0..1), Read::Miss, 100, 64), 1..5);
        assert!(read_ahead.note(&(1..2), Read::Hit, 0, 64).is_empty());
        assert!(read_ahead.note(&(2..3), Read::Hit, 0, 64).is_empty());
    }
}
