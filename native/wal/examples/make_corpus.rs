//! Chooses a record of each kind from WAL that Postgres wrote with
//! `wal_consistency_checking = all`, with the pages they change as they were before.
//!
//! `cargo run --release -p offshoot-wal --example make_corpus -- MAJOR DATA_DIR FROM TO OUT`:
//! see `tests/data/README.md`; OUT is what `tests/fuzz_support/corpus.rs` reads, to be packed
//! with zstd.

#[path = "../tests/fuzz_support/draft.rs"]
mod draft;
mod segments;

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::path::PathBuf;

use offshoot_layout::{BlockKey, Page};
use offshoot_wal::generate::RecordDraft;
use offshoot_wal::{BlockRef, Record, WalDecoder};

use draft::draft_of;
use segments::{params_of, read_segments};

const CHUNK_BYTES: usize = 1 << 20;
const RECORD_BYTES_MAX: usize = 10_000;
/// `info`: the record has images to compare with.
const XLR_CHECK_CONSISTENCY: u8 = 0x02;

/// What makes records different for redo: type, which parts each block has, whether it has main data.
type Kind = (u8, u8, Vec<(u8, bool, bool, bool)>, bool);

#[derive(Default)]
struct Chooser {
    pages: HashMap<BlockKey, Box<Page>>,
    /// Of each kind: how many came by, and the one that is kept.
    kinds: BTreeMap<Kind, (usize, Vec<u8>)>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [major, data_dir, from, to, out] = arguments.as_slice() else {
        return Err("arguments: MAJOR DATA_DIR FROM TO OUT".into());
    };
    let data_dir = PathBuf::from(data_dir);
    let params = params_of(&data_dir, major.parse()?)?;
    let (from, to) = (from.parse()?, to.parse()?);
    let mut decoder = WalDecoder::new(params, from, None)?;
    let mut chooser = Chooser::default();
    let mut record = Record::default();
    for chunk in read_segments(&data_dir, &params, from, to)?.chunks(CHUNK_BYTES) {
        decoder.feed(chunk);
        while decoder.next_into(&mut record)? {
            chooser.consider(&record, params.major)?;
            chooser.remember_pages(&record)?;
        }
    }
    let entries = chooser.kinds.values().flat_map(|(_, kept)| kept);
    std::fs::write(out, entries.copied().collect::<Vec<u8>>())?;
    for ((rmid, opcode, blocks, _), (seen, _)) in &chooser.kinds {
        println!("rmgr {rmid} {opcode:#04x} {blocks:?}: 1 of {seen}");
    }
    Ok(())
}

impl Chooser {
    fn consider(&mut self, record: &Record, major: u32) -> Result<(), Box<dyn Error>> {
        let without_images = without_comparisons(record).to_bytes(record.prev, major)?;
        if without_images.len() > RECORD_BYTES_MAX {
            return Ok(());
        }
        let (seen, kept) = self.kinds.entry(kind_of(record)).or_default();
        *seen += 1;
        // Ever rarer ones, so that they come from all over the WAL. The first is the plainest.
        if !seen.is_power_of_two() {
            return Ok(());
        }
        let entry = entry(record, &without_images, &self.pages);
        let packed_bytes = |entry: &[u8]| zstd::bulk::compress(entry, 1).map_or(0, |p| p.len());
        if *seen <= 2 || packed_bytes(&entry) < packed_bytes(kept) {
            *kept = entry;
        }
        Ok(())
    }

    fn remember_pages(&mut self, record: &Record) -> Result<(), Box<dyn Error>> {
        for block in record.blocks.iter().filter(|block| block.image.is_some()) {
            let page = self
                .pages
                .entry(block.key)
                .or_insert_with(|| Box::new([0; 8192]));
            record.restore_image(block, page)?;
        }
        Ok(())
    }
}

fn applies_image(block: &BlockRef) -> bool {
    block.image.as_ref().is_some_and(|image| image.apply)
}

fn kind_of(record: &Record) -> Kind {
    let block = |block: &BlockRef| {
        let has_data = !block.data.is_empty();
        (block.id, block.will_init, applies_image(block), has_data)
    };
    let blocks = record.blocks.iter().take(4).map(block).collect();
    (
        record.rmid,
        record.opcode(),
        blocks,
        !record.main.is_empty(),
    )
}

/// The record without images that are only there to compare with.
fn without_comparisons(record: &Record) -> RecordDraft {
    RecordDraft {
        info: record.info & !XLR_CHECK_CONSISTENCY,
        ..draft_of(record, applies_image)
    }
}

fn entry(record: &Record, bytes: &[u8], pages: &HashMap<BlockKey, Box<Page>>) -> Vec<u8> {
    let mut out = (bytes.len() as u32).to_le_bytes().to_vec();
    out.extend(bytes);
    let needing = record
        .blocks
        .iter()
        .filter(|b| !b.will_init && !applies_image(b));
    let known: Vec<_> = needing
        .filter_map(|block| Some((block.id, pages.get(&block.key)?)))
        .collect();
    out.push(known.len() as u8);
    for (id, page) in known {
        out.push(id);
        out.extend(page.as_slice());
    }
    out
}
