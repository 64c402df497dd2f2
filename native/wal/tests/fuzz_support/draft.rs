//! A record as it could have been drafted.

use offshoot_wal::generate::{BlockDraft, ImageDraft, RecordDraft};
use offshoot_wal::{BlockRef, Record};

/// The record again; of its images those that `keeps` says.
pub fn draft_of(record: &Record, keeps: impl Fn(&BlockRef) -> bool) -> RecordDraft {
    let image_of = |block: &BlockRef| {
        let image = block.image.as_ref().filter(|_| keeps(block))?;
        Some(ImageDraft {
            apply: image.apply,
            compression: image.compression,
            hole_offset: image.hole_offset,
            hole_length: image.hole_length,
            stored: record.bytes[image.bytes.clone()].to_vec(),
        })
    };
    let block = |block: &BlockRef| BlockDraft {
        id: block.id,
        key: block.key,
        will_init: block.will_init,
        image: image_of(block),
        data: record.block_data(block).to_vec(),
    };
    RecordDraft {
        rmid: record.rmid,
        info: record.info,
        xid: record.xid,
        origin: record.origin,
        top_xid: record.top_xid,
        blocks: record.blocks.iter().map(block).collect(),
        main: record.main_data().to_vec(),
    }
}
