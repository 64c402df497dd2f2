//! Records of a real Postgres 15, a few of each kind, and the pages they were written for.

use std::sync::OnceLock;

/// One record. See `data/README.md` for how it was chosen.
pub struct Entry {
    /// As logged, but without the images that are only there to compare with.
    pub record: Vec<u8>,
    /// The pages before it, as far as they are known, by block id.
    pub pages: Vec<(u8, Vec<u8>)>,
}

/// All entries; never empty.
pub fn corpus() -> &'static [Entry] {
    static CORPUS: OnceLock<Vec<Entry>> = OnceLock::new();
    CORPUS.get_or_init(|| {
        let packed = include_bytes!("../data/corpus.zst");
        let bytes = zstd::stream::decode_all(packed.as_slice()).unwrap();
        let mut rest = bytes.as_slice();
        let mut entries = Vec::new();
        while !rest.is_empty() {
            entries.push(read_entry(&mut rest));
        }
        entries
    })
}

/// Length of the record (4 bytes), the record, how many pages (1 byte); then each page's block
/// id (1 byte) and 8192 bytes.
fn read_entry(rest: &mut &[u8]) -> Entry {
    let length = u32::from_le_bytes(take(rest, 4).try_into().unwrap());
    let record = take(rest, length as usize).to_vec();
    let count = take(rest, 1)[0];
    let pages = (0..count).map(|_| (take(rest, 1)[0], take(rest, 8192).to_vec()));
    Entry {
        record,
        pages: pages.collect(),
    }
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, after) = rest.split_at(count);
    *rest = after;
    taken
}
