//! Pages made from an image and records: SLRUs, implicit changes, fuzzy base images, refusals.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use offshoot_engine::record_group::IMPLICIT_BLOCK;
use offshoot_engine::{Checksums, Durability, EngineError, RecordAt};
use offshoot_layout::{BLCKSZ, Fork, Lsn, Page, SlruKind, page};
use offshoot_redo::PageBase;
use support::{
    CONTEXT, TestTenant, block, commit, full_page_image, heap_delete, heap_insert_init, page_of,
    rel, tenant,
};

const HEAP: u32 = 100;

fn at(tenant: &TestTenant, lsn: u64, key: (Fork, u32)) -> Result<Page, EngineError> {
    let mut made = [0xEE; BLCKSZ];
    let view = tenant.view(1, Lsn(lsn))?;
    view.page(&block(rel(HEAP, key.0), key.1), &mut made)?;
    Ok(made)
}

fn at_lsn(start: u64, end: u64, block_id: u8, base: PageBase) -> RecordAt {
    RecordAt {
        start: Lsn(start),
        end: Lsn(end),
        block_id,
        base,
    }
}

#[test]
fn commits_set_bits_of_a_transaction_status_page() {
    let tenant = tenant(Checksums::On);
    let mut writer = tenant.writer(1).unwrap();
    let kind = SlruKind::Xact;
    writer.slru_image(kind, 0, Lsn(10), &[0; BLCKSZ]).unwrap();
    for (xid, end) in [(8, 20), (9, 30), (11, 40)] {
        let record = commit(xid);
        writer
            .slru_record(kind, 0, Lsn(end), Lsn(end - 8), &record)
            .unwrap();
    }
    writer.drop_slru_segment(kind, 0, Lsn(50)).unwrap();
    writer
        .slru_record(kind, 0, Lsn(60), Lsn(52), &commit(10))
        .unwrap();
    writer.commit(Durability::Later).unwrap();
    let status = |lsn: u64| {
        let mut made = [0xEE; BLCKSZ];
        let view = tenant.view(1, Lsn(lsn)).unwrap();
        view.slru_page(kind, 0, &mut made).map(|()| made[2])
    };
    for (lsn, expected) in [
        (10, 0),
        (20, 0b01),
        (30, 0b0101),
        (45, 0b0100_0101),
        (60, 0b01_0000),
    ] {
        assert_eq!(status(lsn).unwrap(), expected, "{lsn}");
    }
    assert!(matches!(
        status(50),
        Err(EngineError::MissingSlruSegment {
            directory: "pg_xact",
            segno: 0,
            ..
        })
    ));
}

/// However many records: every LSN reads as if each had been applied alone, and images stand between them.
#[test]
fn images_are_written_past_a_number_of_records() {
    const FIRST_XID: u32 = 8;
    const RECORDS: u32 = 100;
    const CHAIN_RECORDS_MAX: u16 = 4;
    for batch in [1, 3, 7, RECORDS] {
        let tenant = tenant(Checksums::Off);
        let kind = SlruKind::Xact;
        let mut writer = tenant.writer(1).unwrap();
        writer.write_images(CONTEXT, CHAIN_RECORDS_MAX);
        writer.slru_image(kind, 0, Lsn(10), &[0; BLCKSZ]).unwrap();
        let end = |xid: u32| u64::from(xid) * 10 + 20;
        for xid in 0..RECORDS {
            let (start, end) = (Lsn(end(xid) - 8), Lsn(end(xid)));
            writer
                .slru_record(kind, 0, end, start, &commit(FIRST_XID + xid))
                .unwrap();
            if (xid + 1) % batch == 0 {
                writer.commit(Durability::Later).unwrap();
            }
        }
        writer.commit(Durability::Later).unwrap();
        for last in 0..RECORDS {
            let mut made = [0xEE; BLCKSZ];
            let view = tenant.view(1, Lsn(end(last))).unwrap();
            view.slru_page(kind, 0, &mut made).unwrap();
            for xid in 0..RECORDS {
                let bits = (FIRST_XID + xid) as usize * 2;
                let status = made[bits / 8] >> (bits % 8) & 3;
                assert_eq!(status, u8::from(xid <= last), "{xid} at {last}, {batch}");
            }
        }
        let [versions, ..] = tenant.stats().unwrap().entries;
        // An image after every fifth record, and what lies between: one group or more.
        let images = u64::from(RECORDS / 5);
        assert!(
            versions >= 2 * images && versions <= 1 + u64::from(RECORDS),
            "{versions}"
        );
        assert!(batch == 1 || versions < u64::from(RECORDS), "{versions}");
    }
}

/// A copy of a database, whose map is then cut off: what the copy held is void for what comes after.
#[test]
fn an_image_is_not_made_of_an_extent_that_was_cut_off_in_its_batch() {
    let tenant = tenant(Checksums::Off);
    let mut writer = tenant.writer(1).unwrap();
    writer.write_images(CONTEXT, 2);
    let map = block(rel(HEAP, Fork::Vm), 0);
    let full = [0xFF; BLCKSZ];
    writer.extent(&map, Lsn(10), [Some(&full)].into_iter());
    writer.extend(&map.rel, Lsn(10), 1).unwrap();
    writer.truncate(&map.rel, Lsn(15), 0).unwrap();
    writer.extend(&map.rel, Lsn(20), 1).unwrap();
    let record = heap_delete(block(rel(HEAP, Fork::Main), 5));
    for end in [20, 30, 40, 50, 60] {
        let at = at_lsn(end - 8, end, IMPLICIT_BLOCK, PageBase::Previous);
        writer.record(&map, at, &record);
    }
    writer.commit(Durability::Later).unwrap();
    for lsn in [20, 40, 60] {
        let made = at(&tenant, lsn, (Fork::Vm, 0)).unwrap();
        assert!(made == [0; BLCKSZ], "at {lsn}");
    }
}

#[test]
fn a_heap_record_clears_bits_of_the_map_it_does_not_name() {
    let tenant = tenant(Checksums::Off);
    let mut writer = tenant.writer(1).unwrap();
    let map = block(rel(HEAP, Fork::Vm), 0);
    writer.image(&map, Lsn(10), &[0xFF; BLCKSZ]);
    writer.extend(&map.rel, Lsn(10), 1).unwrap();
    let record = heap_delete(block(rel(HEAP, Fork::Main), 5));
    writer.record(
        &map,
        at_lsn(12, 20, IMPLICIT_BLOCK, PageBase::Previous),
        &record,
    );
    writer.commit(Durability::Later).unwrap();
    assert!(at(&tenant, 19, (Fork::Vm, 0)).unwrap() == [0xFF; BLCKSZ]);
    let cleared = at(&tenant, 20, (Fork::Vm, 0)).unwrap();
    assert_eq!(cleared[25], 0b1111_0011);
    assert_eq!(cleared.iter().filter(|&&byte| byte != 0xFF).count(), 1);
}

#[test]
fn a_fuzzy_base_image_is_not_changed_by_records_it_has_seen() {
    let tenant = tenant(Checksums::Off);
    let key = block(rel(HEAP, Fork::Main), 0);
    // Filed at the backup's start 10, copied when the page was at 30.
    let mut base = *page_of(7);
    page::set_pd_lsn(&mut base, Lsn(30));
    let mut writer = tenant.writer(1).unwrap();
    writer.image(&key, Lsn(10), &base);
    writer.extend(&key.rel, Lsn(10), 1).unwrap();
    let delete = heap_delete(key);
    writer.record(&key, at_lsn(12, 20, 0, PageBase::Previous), &delete);
    writer.record(&key, at_lsn(22, 30, 0, PageBase::Previous), &delete);
    let image = full_page_image(key, &page_of(8));
    writer.record(&key, at_lsn(32, 40, 0, PageBase::Image), &image);
    writer.record(&key, at_lsn(42, 50, 0, PageBase::Previous), &delete);
    writer.commit(Durability::Later).unwrap();
    assert!(at(&tenant, 30, (Fork::Main, 0)).unwrap() == base);
    let mut image = *page_of(8);
    page::set_pd_lsn(&mut image, Lsn(40));
    assert!(at(&tenant, 49, (Fork::Main, 0)).unwrap() == image);
    let view = tenant.view(1, Lsn(50)).unwrap();
    let made = view.page(&key, &mut [0; BLCKSZ]);
    // Never a page without the change: either redo makes it, or it says why not.
    match made {
        Ok(()) => assert_eq!(
            page::pd_lsn(&at(&tenant, 50, (Fork::Main, 0)).unwrap()),
            Lsn(50)
        ),
        Err(error) => assert!(matches!(error, EngineError::Redo(_)), "{error}"),
    }
}

/// The backup copied it while it was written: the header is newer than the rest.
#[test]
fn a_torn_base_image_does_not_hide_the_record_that_built_the_page() {
    let tenant = tenant(Checksums::Off);
    let key = block(rel(HEAP, Fork::Main), 0);
    let mut torn = *page_of(7);
    page::set_pd_lsn(&mut torn, Lsn(40));
    torn[4096..].fill(0);
    let mut writer = tenant.writer(1).unwrap();
    writer.image(&key, Lsn(10), &torn);
    writer.extend(&key.rel, Lsn(10), 1).unwrap();
    writer.record(
        &key,
        at_lsn(12, 20, 0, PageBase::Init),
        &heap_insert_init(key),
    );
    writer.record(
        &key,
        at_lsn(22, 30, 0, PageBase::Previous),
        &heap_delete(key),
    );
    writer.commit(Durability::Later).unwrap();
    match at(&tenant, 30, (Fork::Main, 0)) {
        Ok(made) => assert_eq!(page::pd_lsn(&made), Lsn(30)),
        Err(error) => assert!(matches!(error, EngineError::Redo(_)), "{error}"),
    }
}

#[test]
fn damaged_versions_are_errors() {
    let tenant = tenant(Checksums::Off);
    let rel = rel(HEAP, Fork::Main);
    let mut writer = tenant.writer(1).unwrap();
    writer.extend(&rel, Lsn(10), 4).unwrap();
    let mut broken = full_page_image(block(rel, 0), &page_of(8));
    broken[100] ^= 1;
    writer.record(
        &block(rel, 0),
        at_lsn(12, 20, 0, PageBase::Previous),
        &broken,
    );
    let image = full_page_image(block(rel, 2), &page_of(8));
    let no_such_block = at_lsn(12, 20, 7, PageBase::Previous);
    writer.record(&block(rel, 2), no_such_block, &image);
    let extent = [2, 0, 0, 0, 5, 9, 0, 0, 0, 0];
    let extents = [(block(rel, 0), extent)];
    let extents = extents.iter().map(|(first, value)| (first, &value[..]));
    writer
        .commit_with_extents(Durability::Later, Lsn(20), extents)
        .unwrap();
    for (number, expected) in [
        (0, "CRC"),
        (1, "damaged page version"),
        (2, "block reference 7"),
    ] {
        let error = at(&tenant, 20, (Fork::Main, number))
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{number}: {error}");
    }
    assert!(at(&tenant, 20, (Fork::Main, 3)).unwrap() == [0; BLCKSZ]);
}
