//! From a record to what the ingest must do for it.

use offshoot_layout::{Fork, SlruKind};
use offshoot_wal::{BlockRef, Record};

use crate::context::RedoContext;
use crate::effect::{Effect, PageBase};
use crate::error::RedoError;
use crate::opcode::{BlockRedo, Opcode};
use crate::payload::Malformed;
use crate::rmgr_table;
use crate::slru::SlruBase;
use crate::xid;

/// What must be done for the record, in order.
///
/// # Errors
/// [`RedoError::Unknown`], [`RedoError::Malformed`], [`RedoError::Major`]. A record without
/// redo is no error here: the pages it is filed for will say so when they are asked for.
pub fn effects(record: &Record, context: &RedoContext) -> Result<Vec<Effect>, RedoError> {
    let mut list = Vec::new();
    effects_into(record, context, &mut list)?;
    Ok(list)
}

/// As [`effects`], appended to a list whose memory is used again: with the same one each time there is
/// no allocation per record.
///
/// # Errors
/// As [`effects`]; what is in the list then means nothing.
pub fn effects_into(
    record: &Record,
    context: &RedoContext,
    list: &mut Vec<Effect>,
) -> Result<(), RedoError> {
    let opcode = rmgr_table::lookup(record, context)?;
    collect(opcode, record, context, list)
        .map_err(|malformed| RedoError::malformed(opcode, record, malformed))
}

fn collect(
    opcode: &Opcode,
    record: &Record,
    context: &RedoContext,
    list: &mut Vec<Effect>,
) -> Result<(), Malformed> {
    if xid::is_normal(record.xid) || opcode.check_point.is_some() {
        list.push(Effect::CheckPoint);
    }
    for block in &record.blocks {
        list.push(page_effect(opcode, block)?);
    }
    add_implicit(opcode, record, list)?;
    add_slru(opcode, record, context, list)?;
    opcode
        .effects
        .map_or(Ok(()), |effects| effects(record, context, list))
}

fn page_effect(opcode: &Opcode, block: &BlockRef) -> Result<Effect, Malformed> {
    let base = page_base(block);
    match opcode.blocks {
        BlockRedo::NoBlocks => Err(Malformed("block reference in a record that has none")),
        BlockRedo::Images if base != PageBase::Image => Err(Malformed("block without its image")),
        _ => Ok(Effect::Page {
            block_id: block.id,
            key: block.key,
            base,
        }),
    }
}

/// What redo of this block reference starts from.
pub(crate) fn page_base(block: &BlockRef) -> PageBase {
    match &block.image {
        Some(image) if image.apply => PageBase::Image,
        _ if block.will_init => PageBase::Init,
        _ => PageBase::Previous,
    }
}

fn add_implicit(opcode: &Opcode, record: &Record, list: &mut Vec<Effect>) -> Result<(), Malformed> {
    let Some(implicit) = opcode.implicit else {
        return Ok(());
    };
    for key in implicit.pages(record)? {
        list.push(match key.rel.fork {
            Fork::Fsm => Effect::FsmTruncate { key },
            _ => Effect::VmClear { key },
        });
    }
    Ok(())
}

fn add_slru(
    opcode: &Opcode,
    record: &Record,
    context: &RedoContext,
    list: &mut Vec<Effect>,
) -> Result<(), Malformed> {
    let Some(slru) = opcode.slru else {
        return Ok(());
    };
    for change in (slru.pages)(record)? {
        let (kind, page) = (change.kind, change.page);
        match change.base {
            SlruBase::Zero => list.push(Effect::SlruZero { kind, page }),
            // While the feature is off nobody makes pages for the entries.
            SlruBase::Previous if kind == SlruKind::CommitTs && !context.track_commit_timestamp => {
            }
            SlruBase::Previous => list.push(Effect::Slru { kind, page }),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use offshoot_layout::{Fork, Lsn};
    use offshoot_wal::generate::{BlockDraft, RecordDraft};

    use super::*;
    use crate::effect::OriginAdvance;
    use crate::slru::SlruTruncation;
    use crate::test_record::*;

    const REL: u32 = 16384;

    /// The effects without the `CheckPoint` that every record with an xid has.
    fn effects_of(draft: &RecordDraft) -> Vec<Effect> {
        let mut list = effects(&parse(draft), &CONTEXT).unwrap();
        list.retain(|effect| *effect != Effect::CheckPoint);
        list
    }

    #[test]
    fn effects_outside_pages() {
        let relmap = [&u32s(&[5, 1663, 512])[..], &[9; 512]].concat();
        let tablespace = [&u32s(&[777])[..], b"/mnt/fast\0"].concat();
        let set_origin = [&77u64.to_le_bytes()[..], &[4, 0, 1, 0, 0, 0, 0, 0]].concat();
        let set_no_origin = [&77u64.to_le_bytes()[..], &[0, 0, 0, 0, 0, 0, 0, 0]].concat();
        let cases = [
            (
                "DATABASE COPY",
                4,
                0x00,
                u32s(&[16400, 1663, 1, 777]),
                vec![Effect::DatabaseCopy {
                    spc: 1663,
                    db: 16400,
                    src_spc: 777,
                    src_db: 1,
                }],
            ),
            (
                "DATABASE CREATE",
                4,
                0x10,
                u32s(&[16400, 1663]),
                vec![Effect::DatabaseCreate {
                    spc: 1663,
                    db: 16400,
                }],
            ),
            (
                "DATABASE DROP",
                4,
                0x20,
                u32s(&[16400, 2, 1663, 777]),
                vec![Effect::DatabaseDrop {
                    db: 16400,
                    spcs: vec![1663, 777],
                }],
            ),
            (
                "TABLESPACE CREATE",
                5,
                0x00,
                tablespace,
                vec![Effect::TablespaceCreate {
                    spc: 777,
                    path: b"/mnt/fast".to_vec(),
                }],
            ),
            (
                "TABLESPACE DROP",
                5,
                0x10,
                u32s(&[777]),
                vec![Effect::TablespaceDrop { spc: 777 }],
            ),
            (
                "RELMAP",
                7,
                0x00,
                relmap,
                vec![Effect::RelMap {
                    spc: 1663,
                    db: 5,
                    bytes: vec![9; 512],
                }],
            ),
            (
                "ORIGIN SET",
                19,
                0x00,
                set_origin,
                vec![Effect::Origin {
                    node: 4,
                    remote_lsn: Lsn(77),
                    advance: OriginAdvance::Force,
                }],
            ),
            ("ORIGIN SET of none", 19, 0x00, set_no_origin, vec![]),
            (
                "ORIGIN DROP",
                19,
                0x10,
                vec![4, 0],
                vec![Effect::OriginDrop { node: 4 }],
            ),
            (
                "CLOG ZEROPAGE",
                3,
                0x00,
                u32s(&[7]),
                vec![Effect::SlruZero {
                    kind: SlruKind::Xact,
                    page: 7,
                }],
            ),
            (
                "CLOG TRUNCATE",
                3,
                0x10,
                u32s(&[64, 3_000_000, 5]),
                vec![Effect::SlruTruncate(SlruTruncation::before(
                    SlruKind::Xact,
                    64,
                ))],
            ),
            (
                "COMMIT_TS ZEROPAGE",
                18,
                0x00,
                u32s(&[7]),
                vec![Effect::SlruZero {
                    kind: SlruKind::CommitTs,
                    page: 7,
                }],
            ),
            (
                "COMMIT_TS TRUNCATE",
                18,
                0x10,
                u32s(&[64, 60_000]),
                vec![Effect::SlruTruncate(SlruTruncation::before(
                    SlruKind::CommitTs,
                    64,
                ))],
            ),
            ("STANDBY LOCK", 8, 0x00, u32s(&[1, 700, 5, REL]), vec![]),
            ("LOGICAL MESSAGE", 21, 0x00, vec![0; 24], vec![]),
            ("HEAP2 NEW_CID", 9, 0x70, vec![0; 34], vec![]),
            ("NOOP", 0, 0x20, vec![1, 2, 3], vec![]),
        ];
        for (what, rmid, info, main, expected) in cases {
            assert_eq!(effects_of(&draft(rmid, info, &main)), expected, "{what}");
        }
    }

    #[test]
    fn every_block_reference_gives_a_page() {
        let image = some_page(7, Lsn(8));
        let init = BlockDraft {
            will_init: true,
            ..block(2, 40)
        };
        let mut draft = draft(11, 0x30, &[0; 10]);
        draft.blocks = vec![
            block(0, 3),
            with_image(block(1, 9), &image, true),
            init,
            with_image(block(3, 11), &image, false),
        ];
        let page = |block_id, number, base| Effect::Page {
            block_id,
            key: key(Fork::Main, number),
            base,
        };
        let expected = [
            page(0, 3, PageBase::Previous),
            page(1, 9, PageBase::Image),
            page(2, 40, PageBase::Init),
            page(3, 11, PageBase::Previous),
        ];
        assert_eq!(effects_of(&draft), expected);
    }

    #[test]
    fn check_point_comes_with_an_xid_or_a_record_about_it() {
        let cases = [
            (0, 10, 0x70, vec![0; 2], 0),
            (700, 10, 0x70, vec![0; 2], 1),
            (0, 0, 0x30, u32s(&[20_000]), 1),
            (1, 0, 0x20, vec![1], 0),
        ];
        for (xid, rmid, info, main, count) in cases {
            let mut draft = draft(rmid, info, &main);
            draft.xid = xid;
            let list = effects(&parse(&draft), &CONTEXT).unwrap();
            let found = list.iter().filter(|effect| **effect == Effect::CheckPoint);
            assert_eq!(found.count(), count, "{rmid} {info}");
        }
    }

    #[test]
    fn malformed_payloads_are_named() {
        let cases: Vec<(u8, u8, Vec<u8>, &str)> = vec![
            (1, 0x00, vec![0; 7], "Transaction/COMMIT"),
            (1, 0x30, vec![0; 8], "Transaction/COMMIT_PREPARED"),
            (1, 0x10, vec![0; 72], "Transaction/PREPARE"),
            (2, 0x10, u32s(&[1663, 5, REL, 4]), "Storage/CREATE"),
            (3, 0x00, u32s(&[u32::MAX]), "CLOG/ZEROPAGE"),
            (4, 0x20, u32s(&[5, u32::MAX]), "Database/DROP"),
            (4, 0x20, u32s(&[5, 2, 1663]), "Database/DROP"),
            (
                5,
                0x00,
                [u32s(&[5]), b"/mnt".to_vec()].concat(),
                "Tablespace/CREATE",
            ),
            (
                6,
                0x20,
                u32s(&[9, 1, 0x7FFF_FFFF, 1]),
                "MultiXact/CREATE_ID",
            ),
            (6, 0x20, u32s(&[9, 1, 1, 800, 6]), "MultiXact/CREATE_ID"),
            (
                7,
                0x00,
                [u32s(&[5, 1663, 524]), vec![0; 524]].concat(),
                "RelMap/UPDATE",
            ),
            (10, 0x00, vec![0; 2], "Heap/INSERT"),
            (10, 0x00, vec![1, 0, 1], "Heap/INSERT"),
            (0, 0x60, vec![0; 25], "XLOG/PARAMETER_CHANGE"),
        ];
        for (rmid, info, main, name) in cases {
            let error = effects(&record(rmid, info, &main), &CONTEXT).unwrap_err();
            let text = error.to_string();
            let prefix = format!("malformed record {name} at {START}: ");
            assert!(text.starts_with(&prefix), "{text}");
        }
    }

    #[test]
    fn block_references_where_none_belong_are_malformed() {
        let mut draft = draft(1, 0x00, &[0; 8]);
        draft.blocks = vec![block(0, 3)];
        assert!(effects(&parse(&draft), &CONTEXT).is_err());
    }
}
