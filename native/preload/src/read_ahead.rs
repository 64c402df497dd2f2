//! Which pages to ask for before they are needed: a file read from one block to the next gets a window
//! that doubles, and is topped up when half of it is left, so that the server never waits for us.
//!
//! The workers of a parallel scan take turns at chunks, of a power of two of blocks each. Where a run of
//! such a length has ended with a jump over whole chunks, the next run is asked for at once and no farther
//! than the chunk goes: what lies behind it another process will read. In a small table the chunks are
//! single blocks: reads that step over a few blocks go on with their window, and the map says which of the
//! blocks in it another process has asked for.

use std::ops::Range;

/// Length of the first window.
const WINDOW_MIN: u32 = 4;
/// Shorter runs are no chunks.
const CHUNK_MIN: u32 = 4;
/// Most blocks that a step goes over.
const STEP_MAX: u32 = 4;

/// How one opening of a file has been read so far.
#[derive(Debug, Default)]
pub struct ReadAhead {
    /// The block behind the last one read.
    next: u32,
    /// Length of the window; 0 while reads are not sequential.
    window: u32,
    /// Blocks below this have been asked for.
    ahead: u32,
    /// Where the reads began to follow each other.
    run_start: u32,
    /// Length of the chunk that this run is; 0 if it is none.
    chunk: u32,
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
        if self.is_step(blocks.start) {
            self.run_start = blocks.start;
        } else if blocks.start != self.next {
            self.start_run(blocks.start);
            self.next = blocks.end;
            if self.chunk == 0 {
                return NOTHING;
            }
        }
        self.next = blocks.end;
        let limit = limit.min(self.run_end(blocks));
        if self.window == 0 {
            if read == Read::Hit {
                return NOTHING;
            }
            self.window = WINDOW_MIN.max(self.chunk).min(window_max);
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

    /// A jump forward over a few blocks, from a run that is too short for a chunk.
    fn is_step(&self, block: u32) -> bool {
        let over = block.wrapping_sub(self.next);
        (1..=STEP_MAX).contains(&over) && self.next - self.run_start < CHUNK_MIN && self.chunk == 0
    }

    /// A jump to `block`.
    fn start_run(&mut self, block: u32) {
        let run = self.next - self.run_start;
        let is_chunk = run >= CHUNK_MIN
            && run.is_power_of_two()
            && block > self.next
            && (block - self.run_start).is_multiple_of(run);
        self.chunk = if is_chunk { run } else { 0 };
        self.run_start = block;
        self.window = 0;
    }

    /// The end of the chunk; a read beyond it shows that it was none.
    fn run_end(&mut self, blocks: &Range<u32>) -> u32 {
        let end = self.run_start.saturating_add(self.chunk);
        if self.chunk > 0 && blocks.end > end {
            self.chunk = 0;
        }
        if self.chunk == 0 { u32::MAX } else { end }
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

    /// One worker's reads of the chunks that begin at `starts`, block by block, none of them local.
    fn chunks(read_ahead: &mut ReadAhead, starts: &[u32], chunk: u32) -> Vec<Range<u32>> {
        let mut asked: Vec<Range<u32>> = Vec::new();
        for block in starts.iter().flat_map(|start| *start..start + chunk) {
            let is_asked = asked.iter().any(|range| range.contains(&block));
            let read = if is_asked { Read::Hit } else { Read::Miss };
            let range = read_ahead.note(&(block..block + 1), read, 10_000, 64);
            if !range.is_empty() {
                asked.push(range);
            }
        }
        asked
    }

    #[test]
    fn a_chunk_is_asked_for_at_once_and_nothing_behind_it() {
        let mut read_ahead = ReadAhead::default();
        chunks(&mut read_ahead, &[32], 32);
        let asked = chunks(&mut read_ahead, &[128, 192, 320], 32);
        assert_eq!(asked, [129..160, 193..224, 321..352]);
        // Towards the end of a scan chunks get smaller.
        chunks(&mut read_ahead, &[416], 16);
        let asked = chunks(&mut read_ahead, &[448, 480], 16);
        assert_eq!(asked, [449..464, 481..496]);
    }

    #[test]
    fn a_chunk_longer_than_the_window_is_topped_up_to_its_end() {
        let mut read_ahead = ReadAhead::default();
        chunks(&mut read_ahead, &[0], 256);
        let asked = chunks(&mut read_ahead, &[512], 256);
        assert_eq!(asked.first(), Some(&(513..577)));
        assert_eq!(asked.last().map(|range| range.end), Some(768));
    }

    #[test]
    fn a_scan_goes_on_behind_what_seemed_a_chunk() {
        let mut read_ahead = ReadAhead::default();
        chunks(&mut read_ahead, &[0], 16);
        let asked = chunks(&mut read_ahead, &[32], 1000);
        assert_eq!(asked.first(), Some(&(33..48)));
        // One block is asked for when it is needed; all others before.
        assert_eq!(asked.get(1).map(|range| range.start), Some(49));
        let gaps = asked.windows(2).filter(|pair| pair[0].end != pair[1].start);
        assert_eq!(gaps.count(), 1);
    }

    #[test]
    fn jumps_that_no_chunks_make_ask_for_nothing() {
        for (run, to) in [(16, 40), (12, 24), (2, 8), (16, 3), (4, 6)] {
            let mut read_ahead = ReadAhead::default();
            chunks(&mut read_ahead, &[100], run);
            let range = read_ahead.note(&(100 + to..101 + to), Read::Miss, 10_000, 64);
            assert!(range.is_empty(), "{run} {to}");
        }
        let mut read_ahead = ReadAhead::default();
        chunks(&mut read_ahead, &[100], 16);
        assert!(read_ahead.note(&(4..5), Read::Miss, 10_000, 64).is_empty());
    }

    #[test]
    fn steps_over_a_few_blocks_go_on_with_the_window() {
        let mut read_ahead = ReadAhead::default();
        let mut end = 1;
        for block in (0..200).step_by(2) {
            let read = if block < end { Read::Hit } else { Read::Miss };
            let range = read_ahead.note(&(block..block + 1), read, 200, 64);
            if !range.is_empty() {
                assert!(range.start >= end && range.end - block <= 65);
                end = range.end;
            }
        }
        assert_eq!(end, 200);
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
