//! Records of every form, drafted, written and parsed again; and forms that are none.

#![allow(clippy::unwrap_used)] // A failing helper fails its test.

use offshoot_layout::{BlockKey, Fork, Lsn, RelKey};
use offshoot_wal::generate::{BlockDraft, ImageDraft, RecordDraft};
use offshoot_wal::{Compression, Record};

fn draft(main_bytes: usize) -> RecordDraft {
    RecordDraft {
        rmid: 10,
        xid: 9,
        main: vec![0xA5; main_bytes],
        ..RecordDraft::default()
    }
}

fn block(id: u8, relnode: u32, fork: Fork) -> BlockDraft {
    let rel = RelKey {
        spcnode: 1663,
        dbnode: 5,
        relnode,
        fork,
    };
    let key = BlockKey {
        rel,
        block: u32::from(id) + 7,
    };
    BlockDraft {
        id,
        key,
        will_init: id == 2,
        image: None,
        data: vec![id; usize::from(id)],
    }
}

fn image(compression: Compression, stored: Vec<u8>, hole: (u16, u16)) -> ImageDraft {
    let (hole_offset, hole_length) = hole;
    ImageDraft {
        apply: true,
        compression,
        hole_offset,
        hole_length,
        stored,
    }
}

#[test]
fn every_part_of_a_record_round_trips_in_every_major() {
    for major in 14..=18 {
        let mut draft = draft(300);
        draft.origin = Some(0x1234);
        draft.top_xid = Some(0x5678_9ABC);
        draft.blocks = vec![
            block(0, 100, Fork::Main),
            block(2, 100, Fork::Vm),
            block(7, 101, Fork::Fsm),
            block(32, 101, Fork::Init),
        ];
        draft.blocks[0].image = Some(image(Compression::None, vec![1; 8000], (100, 192)));
        draft.blocks[2].image = Some(image(Compression::Pglz, vec![0xFF; 90], (9, 4)));
        let bytes = draft.to_bytes(Lsn(8), major).unwrap();
        let record = Record::parse(&bytes, Lsn(16), Lsn(16), major).unwrap();
        assert_eq!(record.main_data(), draft.main);
        assert_eq!(
            (record.origin, record.top_xid),
            (draft.origin, draft.top_xid)
        );
        assert_eq!(record.blocks.len(), 4);
        for (parsed, drafted) in record.blocks.iter().zip(&draft.blocks) {
            assert_eq!((parsed.id, parsed.key), (drafted.id, drafted.key));
            assert_eq!(parsed.will_init, drafted.will_init);
            assert_eq!(record.block_data(parsed), drafted.data);
            assert_eq!(parsed.image.is_some(), drafted.image.is_some());
            let images = parsed.image.iter().zip(&drafted.image);
            for (parsed, drafted) in images {
                assert_eq!(record.bytes[parsed.bytes.clone()], drafted.stored);
                let holes = (parsed.hole_offset, parsed.hole_length);
                assert_eq!(holes, (drafted.hole_offset, drafted.hole_length));
                assert_eq!(parsed.compression, drafted.compression);
                assert!(parsed.apply);
            }
        }
    }
}

#[test]
fn images_that_give_no_page_are_refused() {
    let good = vec![3; 8000];
    let lz4 = lz4_flex::block::compress(&good);
    let zstd = zstd::bulk::compress(&good, 1).unwrap();
    let cases = [
        (image(Compression::Lz4, lz4.clone(), (10, 192)), true),
        (image(Compression::Lz4, lz4.clone(), (10, 193)), false),
        (image(Compression::Lz4, lz4.clone(), (10, 191)), false),
        (image(Compression::Zstd, zstd.clone(), (8000, 192)), true),
        (image(Compression::Zstd, zstd.clone(), (10, 100)), false),
        (image(Compression::Zstd, lz4, (10, 192)), false),
        (image(Compression::Pglz, zstd, (10, 192)), false),
    ];
    for (image, restorable) in cases {
        let hole_at = usize::from(image.hole_offset);
        let mut draft = draft(0);
        draft.blocks = vec![block(0, 100, Fork::Main)];
        draft.blocks[0].image = Some(image);
        let bytes = draft.to_bytes(Lsn(8), 15).unwrap();
        let record = Record::parse(&bytes, Lsn(16), Lsn(16), 15).unwrap();
        let mut page = [0xEE; 8192];
        let restored = record.restore_image(&record.blocks[0], &mut page);
        assert_eq!(restored.is_ok(), restorable, "{restored:?}");
        if restorable {
            let mut expected = [3; 8192];
            expected[hole_at..hole_at + 192].fill(0);
            assert_eq!(page, expected);
        }
    }
    let plain = RecordDraft {
        blocks: vec![block(0, 100, Fork::Main)],
        ..draft(0)
    };
    let bytes = plain.to_bytes(Lsn(8), 15).unwrap();
    let record = Record::parse(&bytes, Lsn(16), Lsn(16), 15).unwrap();
    let error = record
        .restore_image(&record.blocks[0], &mut [0; 8192])
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "WAL record at 0/10: image of block reference 0: there is none"
    );
}

#[test]
fn image_headers_that_contradict_themselves_are_refused() {
    let cases = [
        (Compression::None, 8000, (0, 192)),
        (Compression::None, 8191, (0, 0)),
        (Compression::None, 8000, (8100, 192)),
        (Compression::None, 8192, (5, 1)),
        (Compression::Pglz, 8192, (0, 0)),
        (Compression::Pglz, 100, (5, 0)),
        (Compression::Lz4, 100, (0, 5)),
        (Compression::Zstd, 100, (8190, 5)),
    ];
    for (compression, stored_len, hole) in cases {
        let mut draft = draft(0);
        draft.blocks = vec![block(0, 100, Fork::Main)];
        draft.blocks[0].image = Some(image(compression, vec![0; stored_len], hole));
        let bytes = draft.to_bytes(Lsn(8), 15).unwrap();
        let error = Record::parse(&bytes, Lsn(16), Lsn(16), 15)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("is impossible"),
            "{compression:?} {stored_len} {hole:?}: {error}"
        );
    }
}
