//! Redo of a block reference, the same for every resource manager: restore an image, or build
//! the page, or change it unless its LSN says that this was done; then stamp it.

use offshoot_layout::page::{is_new, pd_lsn, set_pd_lsn};
use offshoot_layout::{BLCKSZ, Fork, Page};
use offshoot_wal::{BlockRef, Record};

use crate::context::RedoContext;
use crate::effect::PageBase;
use crate::effects::page_base;
use crate::error::RedoError;
use crate::opcode::{BlockChange, BlockRedo, Opcode, Stamp};
use crate::payload::Malformed;
use crate::redo::Outcome;

pub(crate) fn redo_block(
    opcode: &Opcode,
    record: &Record,
    block_id: u8,
    page: &mut Page,
    context: &RedoContext,
) -> Result<Outcome, RedoError> {
    let block = record.block(block_id).ok_or(RedoError::NoSuchBlock {
        name: opcode.name,
        lsn: record.start,
        block_id,
    })?;
    let base = page_base(block);
    match base {
        PageBase::Image => {
            restore_image(opcode, record, block, page)?;
            if !opcode.changed_after_image.contains(&block_id) {
                return Ok(Outcome::Applied);
            }
        }
        // Whatever LSN the page has: a base backup copies pages while they are written, and such
        // a page can have a newer header than contents. All behind this record is applied anew.
        PageBase::Init => *page = [0; BLCKSZ],
        // Base backups copy pages while they change; the first change after a backup's start
        // brings an image or builds the page anew, so that this page is whole.
        PageBase::Previous if !is_new(page) && pd_lsn(page) >= record.end => {
            return Ok(Outcome::AlreadyThere);
        }
        PageBase::Previous => check_base(opcode, record, block, page)?,
    }
    let change = BlockChange {
        record,
        block,
        context,
        base,
    };
    apply(opcode, &change, page)?;
    Ok(Outcome::Applied)
}

/// No record changes a page of zeros without building it, but for maps, which come into being as
/// zeros: older versions are missing here.
fn check_base(
    opcode: &Opcode,
    record: &Record,
    block: &BlockRef,
    page: &Page,
) -> Result<(), RedoError> {
    let redone = matches!(opcode.blocks, BlockRedo::Apply(_));
    let map = matches!(block.key.rel.fork, Fork::Fsm | Fork::Vm);
    if redone && !map && is_new(page) {
        return Err(RedoError::NoBase {
            name: opcode.name,
            lsn: record.start,
            key: block.key,
        });
    }
    Ok(())
}

fn restore_image(
    opcode: &Opcode,
    record: &Record,
    block: &BlockRef,
    page: &mut Page,
) -> Result<(), RedoError> {
    record
        .restore_image(block, page)
        .map_err(|source| RedoError::Image {
            name: opcode.name,
            source,
        })?;
    // The image of a page that was never initialised stays as it is, without an LSN.
    if !is_new(page) {
        set_pd_lsn(page, record.end);
    }
    Ok(())
}

fn apply(opcode: &Opcode, change: &BlockChange<'_>, page: &mut Page) -> Result<(), RedoError> {
    let malformed = |malformed| RedoError::malformed(opcode, change.record, malformed);
    match opcode.blocks {
        BlockRedo::Apply(apply) => {
            if apply(change, page).map_err(malformed)? == Stamp::EndLsn {
                set_pd_lsn(page, change.record.end);
            }
            Ok(())
        }
        BlockRedo::Images => Err(malformed(Malformed("block without its image"))),
        BlockRedo::NoBlocks => Err(malformed(Malformed(
            "block reference in a record that has none",
        ))),
    }
}

#[cfg(test)]
mod tests {
    use offshoot_layout::Lsn;
    use offshoot_wal::generate::BlockDraft;

    use super::*;
    use crate::test_record::{CONTEXT, END, START, block, draft, parse, some_page, with_image};
    use crate::{Target, redo};

    const OLD: Lsn = Lsn(0x1000);
    const NEWER: Lsn = Lsn(END.0 + 8);
    const HEAP_INSERT: (u8, u8) = (10, 0x00);
    const FPI: (u8, u8) = (0, 0xB0);
    const FPI_FOR_HINT: (u8, u8) = (0, 0xA0);
    const BTREE_INSERT_LEAF: (u8, u8) = (11, 0x00);
    const HASH_SPLIT_ALLOCATE_PAGE: (u8, u8) = (12, 0x40);
    const GIST_PAGE_UPDATE: (u8, u8) = (14, 0x00);
    const GIST_PAGE_SPLIT: (u8, u8) = (14, 0x30);

    fn redo_one(
        (rmid, info): (u8, u8),
        reference: BlockDraft,
        page: &mut Page,
    ) -> Result<Outcome, String> {
        let mut draft = draft(rmid, info, &[0; 32]);
        let target = Target::Block(reference.id);
        draft.blocks = vec![reference];
        redo(&parse(&draft), target, page, &CONTEXT).map_err(|error| error.to_string())
    }

    #[test]
    fn image_to_apply_is_restored_and_stamped_for_any_resource_manager() {
        // However new the image says it is: records after this one have to change it.
        let image = some_page(7, NEWER);
        let mut expected = image;
        set_pd_lsn(&mut expected, END);
        for kind in [
            FPI,
            FPI_FOR_HINT,
            HEAP_INSERT,
            BTREE_INSERT_LEAF,
            (20, 0x00),
        ] {
            // The page's own LSN does not matter, even a later one.
            for before in [[0; BLCKSZ], some_page(1, OLD), some_page(1, NEWER)] {
                let mut page = before;
                let reference = with_image(block(0, 3), &image, true);
                assert_eq!(redo_one(kind, reference, &mut page), Ok(Outcome::Applied));
                assert!(page == expected, "{kind:?}");
            }
        }
    }

    #[test]
    fn image_of_a_new_page_stays_all_zero() {
        let mut page = some_page(1, OLD);
        let reference = with_image(block(0, 3), &[0; BLCKSZ], true);
        assert_eq!(redo_one(FPI, reference, &mut page), Ok(Outcome::Applied));
        assert!(page == [0; BLCKSZ]);
    }

    #[test]
    fn blocks_that_their_record_does_not_change_further_are_their_images() {
        let image = some_page(7, OLD);
        for kind in [GIST_PAGE_UPDATE, GIST_PAGE_SPLIT, HASH_SPLIT_ALLOCATE_PAGE] {
            let id = if kind == GIST_PAGE_UPDATE { 0 } else { 2 };
            let mut page = [0; BLCKSZ];
            let reference = with_image(block(id, 3), &image, true);
            assert_eq!(redo_one(kind, reference, &mut page), Ok(Outcome::Applied));
        }
    }

    #[test]
    fn page_that_is_not_older_is_left_alone() {
        for lsn in [END, NEWER] {
            let before = some_page(1, lsn);
            let mut page = before;
            let outcome = redo_one(HEAP_INSERT, block(0, 3), &mut page);
            assert_eq!(outcome, Ok(Outcome::AlreadyThere));
            assert!(page == before);
        }
    }

    #[test]
    fn hint_without_its_image_changes_nothing() {
        let mut map = block(0, 3);
        map.key.rel.fork = Fork::Fsm;
        for (reference, before) in [
            (block(0, 3), some_page(1, OLD)),
            (map.clone(), some_page(1, OLD)),
            (map, [0; BLCKSZ]),
        ] {
            let mut page = before;
            let outcome = redo_one(FPI_FOR_HINT, reference, &mut page);
            assert_eq!(outcome, Ok(Outcome::Applied));
            assert!(page == before);
        }
    }

    #[test]
    fn change_of_a_page_that_never_was_is_refused() {
        let error = redo_one(FPI_FOR_HINT, block(0, 3), &mut [0; BLCKSZ]).unwrap_err();
        let expected = format!(
            "record XLOG/FPI_FOR_HINT at {START} changes {}, of which no version is known",
            block(0, 3).key
        );
        assert_eq!(error, expected);
    }

    #[test]
    fn records_that_are_their_images_must_have_them() {
        let mut page = [0; BLCKSZ];
        for kind in [FPI, (12, 0x50), (13, 0x40)] {
            let error = redo_one(kind, block(0, 3), &mut page).unwrap_err();
            assert!(error.contains("block without its image"), "{error}");
        }
    }

    #[test]
    fn block_reference_that_is_not_there_is_an_error() {
        let mut draft = draft(10, 0, &[0; 3]);
        draft.blocks = vec![block(0, 3)];
        let mut page = [0; BLCKSZ];
        let error = redo(&parse(&draft), Target::Block(1), &mut page, &CONTEXT).unwrap_err();
        assert!(
            error.to_string().contains("no block reference 1"),
            "{error}"
        );
    }

    /// What a resource manager's redo gets to see and decides.
    #[test]
    fn apply_functions_get_the_base_and_decide_on_the_stamp() {
        fn note_base(change: &BlockChange<'_>, page: &mut Page) -> Result<Stamp, Malformed> {
            offshoot_layout::page::set_pd_upper(page, 8192);
            page[100] = match change.base {
                PageBase::Image => b'i',
                PageBase::Init => b'n',
                PageBase::Previous => b'p',
            };
            Ok(match change.block.id {
                0 => Stamp::EndLsn,
                _ => Stamp::Unchanged,
            })
        }
        let opcode = Opcode::new(10, 0, 0xF0, "Heap/INSERT", "a test's")
            .blocks(BlockRedo::Apply(note_base))
            .changed_after_image(&[2]);
        let init = BlockDraft {
            will_init: true,
            ..block(0, 3)
        };
        let image = some_page(7, OLD);
        let cases = [
            (init.clone(), OLD, b'n', END, 0),
            // The header of a page that was copied while it was written may be newer than the rest.
            (init, NEWER, b'n', END, 0),
            (block(0, 3), OLD, b'p', END, 1),
            (block(1, 3), OLD, b'p', OLD, 1),
            (with_image(block(0, 3), &image, true), OLD, 7, END, 7),
            (with_image(block(2, 3), &image, true), OLD, b'i', END, 7),
            // An image to compare with is none to apply.
            (with_image(block(0, 3), &image, false), OLD, b'p', END, 1),
        ];
        for (reference, before, base, lsn, rest) in cases {
            let id = reference.id;
            let mut draft = draft(10, 0, &[0; 3]);
            draft.blocks = vec![reference];
            let mut page = some_page(1, before);
            redo_block(&opcode, &parse(&draft), id, &mut page, &CONTEXT).unwrap();
            assert_eq!((page[100], page[200]), (base, rest));
            assert_eq!(pd_lsn(&page), lsn);
        }
    }
}
