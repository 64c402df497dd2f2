//! Pages that took redo to make, kept while they are asked for.

use std::sync::Arc;

use offshoot_layout::{BLCKSZ, BlockKey, Lsn, Page};
use quick_cache::Weighter;
use quick_cache::sync::Cache;

/// What an entry takes besides its page: key, pointers and the cache's own bookkeeping.
const OVERHEAD_BYTES: u64 = 128;

/// Which state of a page: that after the record that ends at `end`, on the timeline that the record is filed
/// under. That state never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct PageState {
    pub(crate) timeline: u32,
    pub(crate) key: BlockKey,
    pub(crate) end: Lsn,
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<PageState, Arc<Page>> for ByBytes {
    fn weight(&self, _: &PageState, _: &Arc<Page>) -> u64 {
        BLCKSZ as u64 + OVERHEAD_BYTES
    }
}

/// Bounded by bytes; 0 keeps nothing.
pub(crate) struct PageCache(Option<Cache<PageState, Arc<Page>, ByBytes>>);

impl PageCache {
    pub(crate) fn new(bytes_max: u64) -> PageCache {
        let pages = bytes_max / (BLCKSZ as u64 + OVERHEAD_BYTES);
        let cache = usize::try_from(pages).ok().filter(|pages| *pages > 0);
        PageCache(cache.map(|pages| Cache::with_weighter(pages, bytes_max, ByBytes)))
    }

    pub(crate) fn get(&self, state: &PageState) -> Option<Arc<Page>> {
        self.0.as_ref()?.get(state)
    }

    pub(crate) fn put(&self, state: PageState, page: &Page) {
        if let Some(cache) = &self.0 {
            cache.insert(state, Arc::new(*page));
        }
    }

    /// Bytes in use.
    pub(crate) fn bytes(&self) -> u64 {
        self.0.as_ref().map_or(0, Cache::weight)
    }

    /// For an import, which finds out at its end that pages were not what they seemed.
    pub(crate) fn clear(&self) {
        if let Some(cache) = &self.0 {
            cache.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use offshoot_layout::{Fork, RelKey};

    fn state(block: u32) -> PageState {
        let rel = RelKey {
            spcnode: 1663,
            dbnode: 5,
            relnode: 7,
            fork: Fork::Main,
        };
        PageState {
            timeline: 1,
            key: BlockKey { rel, block },
            end: Lsn(8),
        }
    }

    #[test]
    fn it_keeps_no_more_than_its_bytes() {
        for pages_max in [0, 1, 100] {
            let cache = PageCache::new(pages_max * (BLCKSZ as u64 + OVERHEAD_BYTES));
            for block in 0..1000 {
                cache.put(state(block), &[block as u8; BLCKSZ]);
            }
            let kept = (0..1000).filter_map(|block| Some((block, cache.get(&state(block))?)));
            let kept: Vec<_> = kept.collect();
            assert!(
                kept.len() as u64 <= pages_max,
                "{} of {pages_max}",
                kept.len()
            );
            assert!(pages_max < 100 || !kept.is_empty());
            assert!(kept.iter().all(|(block, page)| page[0] == *block as u8));
        }
    }
}
