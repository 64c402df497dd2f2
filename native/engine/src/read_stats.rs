//! How pages were made that were asked for, and how long that took.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Where a page came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageSource {
    /// Nothing is stored of it, or nothing that counts.
    Zeros,
    /// An image, as it is stored.
    Image,
    /// Records had to be applied.
    Redo,
    /// Records had been applied for somebody else.
    Cache,
}

impl PageSource {
    pub const ALL: [PageSource; 4] = [
        PageSource::Zeros,
        PageSource::Image,
        PageSource::Redo,
        PageSource::Cache,
    ];

    #[must_use]
    pub fn name(self) -> &'static str {
        ["zeros", "image", "redo", "cache"][self as usize]
    }
}

/// How one page was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageTrace {
    pub source: PageSource,
    /// Timelines that were looked at, from the one that was asked on.
    pub timelines: u32,
    /// Records that were applied.
    pub records: u32,
}

/// Upper bounds, in nanoseconds; what takes longer is in the bucket after the last.
pub const TIME_BOUNDS_NS: [u64; 13] = [
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    10_000_000,
    100_000_000,
];
/// Of timelines that were looked at, as above.
pub const TIMELINE_BOUNDS: [u64; 7] = [1, 2, 4, 8, 16, 32, 64];

const SOURCES: usize = PageSource::ALL.len();
const TIMES: usize = TIME_BOUNDS_NS.len() + 1;
const DEPTHS: usize = TIMELINE_BOUNDS.len() + 1;

/// Counts of pages since the tenant was opened, or of one batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReadCounts {
    /// By `PageSource` and bucket; each page is in one bucket.
    pub times: [[u64; TIMES]; SOURCES],
    /// By `PageSource`.
    pub time_ns: [u64; SOURCES],
    /// By bucket.
    pub timelines: [u64; DEPTHS],
    pub timelines_sum: u64,
    /// Records that were applied.
    pub records: u64,
    /// Pages that could not be made.
    pub errors: u64,
}

impl ReadCounts {
    pub(crate) fn add(&mut self, trace: PageTrace, took: Duration) {
        let ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let source = trace.source as usize;
        self.times[source][TIME_BOUNDS_NS.partition_point(|bound| *bound < ns)] += 1;
        self.time_ns[source] += ns;
        let timelines = u64::from(trace.timelines);
        self.timelines[TIMELINE_BOUNDS.partition_point(|bound| *bound < timelines)] += 1;
        self.timelines_sum += timelines;
        self.records += u64::from(trace.records);
    }
}

/// The counts of a tenant. Each batch adds its own at its end, so that readers on several threads seldom meet.
#[derive(Default)]
pub(crate) struct ReadStats {
    times: [[AtomicU64; TIMES]; SOURCES],
    time_ns: [AtomicU64; SOURCES],
    timelines: [AtomicU64; DEPTHS],
    timelines_sum: AtomicU64,
    records: AtomicU64,
    errors: AtomicU64,
}

impl ReadStats {
    pub(crate) fn add(&self, batch: &ReadCounts) {
        for (cells, counts) in self.times.iter().zip(&batch.times) {
            add_all(cells, counts);
        }
        add_all(&self.time_ns, &batch.time_ns);
        add_all(&self.timelines, &batch.timelines);
        add_all(
            [&self.timelines_sum, &self.records, &self.errors],
            &[batch.timelines_sum, batch.records, batch.errors],
        );
    }

    /// Not of one moment: batches may end while it is read.
    pub(crate) fn counts(&self) -> ReadCounts {
        let value = |cell: &AtomicU64| cell.load(Ordering::Relaxed);
        ReadCounts {
            times: self
                .times
                .each_ref()
                .map(|cells| cells.each_ref().map(value)),
            time_ns: self.time_ns.each_ref().map(value),
            timelines: self.timelines.each_ref().map(value),
            timelines_sum: value(&self.timelines_sum),
            records: value(&self.records),
            errors: value(&self.errors),
        }
    }
}

/// What is 0 is not written.
fn add_all<'c>(cells: impl IntoIterator<Item = &'c AtomicU64>, counts: &[u64]) {
    for (cell, count) in cells.into_iter().zip(counts) {
        if *count > 0 {
            cell.fetch_add(*count, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_in_its_bucket_and_what_is_more_in_the_next() {
        let mut counts = ReadCounts::default();
        let trace = |source, timelines| PageTrace {
            source,
            timelines,
            records: 3,
        };
        counts.add(trace(PageSource::Redo, 1), Duration::from_nanos(1000));
        counts.add(trace(PageSource::Redo, 65), Duration::from_nanos(1001));
        counts.add(trace(PageSource::Image, 3), Duration::from_secs(1));
        let redo = counts.times[PageSource::Redo as usize];
        assert_eq!((redo[0], redo[1]), (1, 1));
        assert_eq!(counts.times[PageSource::Image as usize][TIMES - 1], 1);
        assert_eq!(counts.time_ns[PageSource::Redo as usize], 2001);
        assert_eq!(counts.timelines, [1, 0, 1, 0, 0, 0, 0, 1]);
        assert_eq!((counts.timelines_sum, counts.records), (69, 9));
        let stats = ReadStats::default();
        stats.add(&counts);
        stats.add(&counts);
        assert_eq!(stats.counts().timelines_sum, 138);
        assert_eq!(stats.counts().times[PageSource::Redo as usize][1], 2);
    }
}
