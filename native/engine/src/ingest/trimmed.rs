//! Records as they are filed: without the images in them, since whoever needs an image has it as a version of
//! its own, and without what in long lists concerns other pages.

use std::borrow::Cow;

use offshoot_layout::SlruKind;
use offshoot_redo::{RedoContext, SlruExcerpts, slru_excerpts};
use offshoot_wal::generate::{BlockDraft, RecordDraft};
use offshoot_wal::{Record, WalError};

use crate::EngineError;

/// A record up to this long is filed whole for each SLRU page: there is little to save.
const WHOLE_BYTES_MAX: usize = 1024;

/// A record's bytes for the SLRU pages that it changes. One that ends a million subtransactions is on more than
/// a thousand of them, and each has what concerns itself.
pub(super) struct ForSlru<'r> {
    record: &'r Record,
    major: u32,
    excerpts: Option<Box<dyn SlruExcerpts + 'r>>,
}

impl<'r> ForSlru<'r> {
    pub(super) fn of(
        record: &'r Record,
        context: &RedoContext,
    ) -> Result<ForSlru<'r>, EngineError> {
        let excerpts = match record.bytes.len() > WHOLE_BYTES_MAX {
            true => slru_excerpts(record, context)?,
            false => None,
        };
        Ok(ForSlru {
            record,
            major: context.major,
            excerpts,
        })
    }

    pub(super) fn bytes(&self, kind: SlruKind, page: u32) -> Result<Cow<'r, [u8]>, WalError> {
        let record = self.record;
        let excerpts = self.excerpts.as_ref();
        let Some(main) = excerpts.and_then(|excerpts| excerpts.main_data(kind, page)) else {
            return Ok(Cow::Borrowed(&record.bytes));
        };
        let draft = RecordDraft {
            rmid: record.rmid,
            info: record.info,
            xid: record.xid,
            origin: record.origin,
            top_xid: record.top_xid,
            blocks: Vec::new(),
            main,
        };
        draft.to_bytes(record.prev, self.major).map(Cow::Owned)
    }
}

/// The record's bytes as they are filed for a page that needs none of its images. Longer records than the
/// pages they change are rare without images, and common with them.
pub(super) fn without_images(record: &Record, major: u32) -> Result<Cow<'_, [u8]>, WalError> {
    if record.blocks.iter().all(|block| block.image.is_none()) {
        return Ok(Cow::Borrowed(&record.bytes));
    }
    let blocks = record.blocks.iter().map(|block| BlockDraft {
        id: block.id,
        key: block.key,
        will_init: block.will_init,
        image: None,
        data: record.block_data(block).to_vec(),
    });
    let draft = RecordDraft {
        rmid: record.rmid,
        info: record.info,
        xid: record.xid,
        origin: record.origin,
        top_xid: record.top_xid,
        blocks: blocks.collect(),
        main: record.main_data().to_vec(),
    };
    draft.to_bytes(record.prev, major).map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use offshoot_layout::{BLCKSZ, BlockKey, Fork, Lsn, RelKey};
    use offshoot_wal::Compression;
    use offshoot_wal::generate::ImageDraft;

    use super::*;

    fn block(id: u8, image: bool, data: &[u8]) -> BlockDraft {
        let rel = RelKey {
            spcnode: 1663,
            dbnode: 5,
            relnode: 7,
            fork: Fork::Main,
        };
        BlockDraft {
            id,
            key: BlockKey {
                rel,
                block: u32::from(id),
            },
            will_init: id == 1,
            image: image.then(|| ImageDraft {
                apply: true,
                compression: Compression::None,
                hole_offset: 0,
                hole_length: 0,
                stored: vec![7; BLCKSZ],
            }),
            data: data.to_vec(),
        }
    }

    #[test]
    fn all_but_the_images_stays() {
        for images in [[false; 3], [true, false, true], [true; 3]] {
            let blocks = [&b"one"[..], b"", b"three"].into_iter().enumerate();
            let draft = RecordDraft {
                rmid: 10,
                info: 0x20,
                xid: 700,
                origin: Some(3),
                top_xid: Some(699),
                blocks: blocks
                    .map(|(id, data)| block(id as u8, images[id], data))
                    .collect(),
                main: b"main".to_vec(),
            };
            let bytes = draft.to_bytes(Lsn(8), 15).unwrap();
            let record = Record::parse(&bytes, Lsn(16), Lsn(9999), 15).unwrap();
            let trimmed = without_images(&record, 15).unwrap();
            assert!(trimmed.len() < 200);
            let trimmed = Record::parse(&trimmed, Lsn(16), Lsn(9999), 15).unwrap();
            let expected = RecordDraft {
                blocks: draft
                    .blocks
                    .iter()
                    .map(|block| BlockDraft {
                        image: None,
                        ..block.clone()
                    })
                    .collect(),
                ..draft
            };
            assert_eq!(*trimmed.bytes, expected.to_bytes(Lsn(8), 15).unwrap());
            assert_eq!(trimmed.prev, record.prev);
        }
    }
}
