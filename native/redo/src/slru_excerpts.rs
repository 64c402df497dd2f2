//! What single SLRU pages need of a record with long lists.

use offshoot_layout::SlruKind;
use offshoot_wal::Record;

use crate::context::RedoContext;
use crate::error::RedoError;
use crate::rmgr_table;

/// One record, ready to be cut down to what a page needs of it: a transaction's end lists all its
/// subtransactions, of which each page has a few.
pub trait SlruExcerpts {
    /// Main data with which the record, all else of it unchanged, does to this page what it does as it is.
    /// `None`: the page needs all of it.
    fn main_data(&self, kind: SlruKind, page: u32) -> Option<Vec<u8>>;
}

/// Takes the record's lists apart once, for all its pages; `None` when its type has no lists.
///
/// # Errors
/// As [`crate::effects`].
pub fn slru_excerpts<'r>(
    record: &'r Record,
    context: &RedoContext,
) -> Result<Option<Box<dyn SlruExcerpts + 'r>>, RedoError> {
    let opcode = rmgr_table::lookup(record, context)?;
    let Some(excerpts) = opcode.slru.and_then(|slru| slru.excerpts) else {
        return Ok(None);
    };
    let excerpts = excerpts(record);
    excerpts
        .map(Some)
        .map_err(|malformed| RedoError::malformed(opcode, record, malformed))
}

#[cfg(test)]
mod tests {
    use offshoot_layout::BLCKSZ;
    use offshoot_wal::generate::RecordDraft;

    use super::*;
    use crate::effect::Effect;
    use crate::test_record::{CONTEXT, draft, parse, u32s};
    use crate::{Target, effects, redo};

    /// The transaction 700 or, where that is prepared, 690; subtransactions around the end of all xids; relations
    /// dropped, statistics, an invalidation message and an origin.
    fn transaction_end(info: u8, xinfo: u32) -> RecordDraft {
        let subxids: Vec<u32> = (0..3000)
            .map(|at| (u32::MAX - 1700).wrapping_add(at))
            .collect();
        let subxids: Vec<u32> = subxids.into_iter().filter(|xid| *xid > 2).collect();
        let parts = [
            (0, 77_i64.to_le_bytes().to_vec()),
            (0, u32s(&[xinfo])),
            (0x001, u32s(&[5, 1663])),
            (
                0x002,
                u32s(&[&[subxids.len() as u32][..], &subxids].concat()),
            ),
            (0x004, u32s(&[1, 1663, 5, 16_384])),
            (0x100, u32s(&[1, 2, 5, 16_384])),
            (0x008, u32s(&[1, 0, 0, 0, 0])),
            (0x010, u32s(&[690])),
            (0x080, b"gid\0".to_vec()),
            (
                0x020,
                [0xABCD_u64.to_le_bytes(), 88_u64.to_le_bytes()].concat(),
            ),
        ];
        let there = parts.into_iter().filter(|(flag, _)| xinfo & flag == *flag);
        let main: Vec<u8> = there.flat_map(|(_, part)| part).collect();
        let mut draft = draft(1, info | 0x80, &main);
        draft.origin = (xinfo & 0x020 != 0).then_some(3);
        draft
    }

    fn create_id(mid: u32, moff: u32, count: u32) -> RecordDraft {
        let members = (0..count).flat_map(|index| [800 + index, index % 6]);
        let main: Vec<u32> = [mid, moff, count].into_iter().chain(members).collect();
        draft(6, 0x20, &u32s(&main))
    }

    fn drafts() -> Vec<RecordDraft> {
        let mut drafts = vec![
            draft(1, 0x00, &[9; 8]),
            draft(1, 0x20, &[9; 8]),
            create_id(2047, 1600, 5000),
            create_id(u32::MAX, u32::MAX - 2500, 5000),
            create_id(9, 0, 1636),
            create_id(9, 3, 0),
        ];
        for info in [0x00, 0x20, 0x30, 0x40] {
            for xinfo in [0x1FF, 0x012, 0x014, 0x010] {
                drafts.push(transaction_end(info, xinfo));
            }
        }
        for xinfo in [0x000, 0x002, 0x022, 0x0C5] {
            drafts.push(transaction_end(0x00, xinfo));
        }
        drafts
    }

    #[test]
    fn excerpts_do_to_their_page_what_the_record_does() {
        let mut cut = 0;
        for draft in drafts() {
            let record = parse(&draft);
            let excerpts = slru_excerpts(&record, &CONTEXT).unwrap().unwrap();
            for effect in effects(&record, &CONTEXT).unwrap() {
                let Effect::Slru { kind, page: number } = effect else {
                    continue;
                };
                let Some(main) = excerpts.main_data(kind, number) else {
                    assert_eq!(kind, SlruKind::MultiXactOffsets);
                    continue;
                };
                let short = RecordDraft {
                    main,
                    ..draft.clone()
                };
                let target = Target::Slru { kind, page: number };
                let [one, other] = [&record, &parse(&short)].map(|record| {
                    let mut page = [0x33; BLCKSZ];
                    redo(record, target, &mut page, &CONTEXT).unwrap();
                    page
                });
                assert!(one == other, "{kind:?} {number} by {:02X}", record.info);
                assert!(short.main.len() <= draft.main.len());
                cut += u32::from(short.main.len() < draft.main.len());
            }
        }
        assert!(cut > 40, "{cut}");
    }

    #[test]
    fn records_without_lists_have_none() {
        for (rmid, info) in [(0, 0x20), (3, 0x00), (18, 0x00), (6, 0x00), (6, 0x10)] {
            let record = parse(&draft(rmid, info, &[0; 4]));
            assert!(slru_excerpts(&record, &CONTEXT).unwrap().is_none());
        }
        assert!(slru_excerpts(&parse(&draft(1, 0, &[0; 7])), &CONTEXT).is_err());
    }
}
