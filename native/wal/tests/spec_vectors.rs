//! Records and a checkpoint whose bytes are known from a stock Postgres 15.18.

#![allow(clippy::unwrap_used)] // A failing helper fails its test.

use offshoot_layout::wal_page::WalPageHeader;
use offshoot_layout::{BlockKey, CheckPoint, Fork, Lsn, RelKey};
use offshoot_wal::{Record, WalDecoder, WalError, WalParams, generate};

const HEAP_INSERT: &str = "
    3c000000 d6020000 e0b77401 00000000 000a0000 fe446c7c
    00200b00 7f060000 05000000 00400000 00000000
    ff03 01000208 18000b61 622020 020008";
const HEAP2_VISIBLE: &str = "
    3b000000 00000000 e0f57901 00000000 40090000 8cabc015
    00020000 7f060000 05000000 1a400000 00000000 01800000 01000000
    ff05 e6020000 01";
const BTREE_INSERT_LEAF: &str = "
    40000000 d5020000 68527401 00000000 000b0000 ae948fec
    00201000 7f060000 05000000 8f0a0000 02000000
    ff02 00000e00 0b001000 01400000 00000000 f600";
const SHUTDOWN_CHECKPOINT: &str = "
    72000000 00000000 3045a301 00000000 00000000 e59b99cc ff58
    6845a301 00000000 01000000 01000000 01000000 00000000
    e8030000 00000000 204e0000 01000000 00000000 d2020000
    01000000 01000000 01000000 00000000 00f15365 00000000
    00000000 00000000 00000000 00000000";

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(16)).collect();
    digits
        .chunks(2)
        .map(|pair| (pair[0] << 4 | pair[1]) as u8)
        .collect()
}

fn parse(text: &str, start: u64, end: u64) -> Record {
    Record::parse(&hex(text), Lsn(start), Lsn(end), 15).unwrap()
}

fn key(relnode: u32, fork: Fork, block: u32) -> BlockKey {
    let rel = RelKey {
        spcnode: 1663,
        dbnode: 5,
        relnode,
        fork,
    };
    BlockKey { rel, block }
}

#[test]
fn heap_insert() {
    let record = parse(HEAP_INSERT, 0x174_B820, 0x174_B860);
    assert_eq!((record.rmid, record.opcode(), record.xid), (10, 0x00, 726));
    assert_eq!(
        (record.prev, record.end),
        (Lsn(0x174_B7E0), Lsn(0x174_B860))
    );
    assert_eq!(record.main_data(), hex("020008"));
    let [block] = record.blocks.as_slice() else {
        panic!("{:?}", record.blocks)
    };
    assert_eq!(block.key, key(16384, Fork::Main, 0));
    assert_eq!(record.block_data(block), hex("01000208 18000b61 622020"));
    assert!(block.image.is_none() && !block.will_init);
}

#[test]
fn heap2_visible_names_the_relation_once() {
    let record = parse(HEAP2_VISIBLE, 0x179_F698, 0x179_F6D8);
    assert_eq!((record.rmid, record.opcode(), record.xid), (9, 0x40, 0));
    let keys: Vec<_> = record
        .blocks
        .iter()
        .map(|block| (block.id, block.key))
        .collect();
    assert_eq!(
        keys,
        [(0, key(16410, Fork::Vm, 0)), (1, key(16410, Fork::Main, 1))]
    );
    assert_eq!(record.main_data(), hex("e602000001"));
}

#[test]
fn btree_insert_leaf() {
    let record = parse(BTREE_INSERT_LEAF, 0x174_5340, 0x174_5380);
    let block = record.block(0).unwrap();
    assert_eq!(block.key, key(2703, Fork::Main, 2));
    assert_eq!(record.block_data(block).len(), 16);
    assert_eq!(record.main_data(), [246, 0]);
}

#[test]
fn any_changed_byte_is_noticed() {
    let good = hex(HEAP_INSERT);
    for index in 0..good.len() {
        let mut bad = good.clone();
        bad[index] ^= 0x10;
        let parsed = Record::parse(&bad, Lsn(0x174_B820), Lsn(0x174_B860), 15);
        assert!(
            matches!(parsed, Err(WalError::InvalidRecord { .. })),
            "byte {index}"
        );
    }
}

fn check_point() -> CheckPoint {
    CheckPoint {
        this_timeline_id: 1,
        prev_timeline_id: 1,
        full_page_writes: true,
        next_xid: 1000,
        next_oid: 20_000,
        next_multi: 1,
        oldest_xid: 722,
        oldest_xid_db: 1,
        oldest_multi: 1,
        oldest_multi_db: 1,
        time: 1_700_000_000,
        ..CheckPoint::default()
    }
}

const X: Lsn = Lsn(0x1A3_4568);
const PARAMS: WalParams = WalParams {
    major: 15,
    system_id: 77,
    seg_size: 1 << 24,
    tli: 1,
};

#[test]
fn shutdown_checkpoint() {
    let record = generate::shutdown_checkpoint_record(X, Lsn(0x1A3_4530), &check_point());
    assert_eq!(record.as_slice(), hex(SHUTDOWN_CHECKPOINT));
}

#[test]
fn page_of_a_checkpoint_leads_readers_to_it() {
    let record = hex(SHUTDOWN_CHECKPOINT);
    let page = generate::record_page(&PARAMS, X, &record).unwrap();
    let header = WalPageHeader::parse(&page).unwrap();
    assert_eq!((header.info, header.rem_len), (0x0001, 1360));
    assert_eq!(header.pageaddr, Lsn(0x1A3_4000));
    assert_eq!(page[0x568..0x568 + 114], record);
    assert!(generate::first_segment_page(&PARAMS, X, &record).is_err());
}

#[test]
fn fabricated_segment_decodes() {
    let x = generate::start_lsn_after(Lsn(0x1A3_4568), PARAMS.seg_size).unwrap();
    assert_eq!(x, Lsn(0x200_0028));
    let record = generate::shutdown_checkpoint_record(x, X, &check_point());
    let page = generate::first_segment_page(&PARAMS, x, &record).unwrap();
    let mut decoder = WalDecoder::new(PARAMS, Lsn(0x200_0000), Some(X)).unwrap();
    decoder.feed(&page);
    let decoded = decoder.next().unwrap().unwrap();
    assert_eq!((decoded.start, decoded.end), (x, Lsn(x.0 + 120)));
    let copy = CheckPoint::parse(decoded.main_data(), 15).unwrap();
    assert_eq!(
        copy,
        CheckPoint {
            redo: x,
            ..check_point()
        }
    );
    let after = Lsn(x.0 + 120);
    assert_eq!(decoder.next(), Err(WalError::EndOfWal { lsn: after }));
}

#[test]
fn starts_are_in_the_first_segment_nothing_was_written_to() {
    let cases = [
        (0x100_0000, 0x100_0028),
        (0x100_0028, 0x100_0028),
        (0x100_0029, 0x200_0028),
        (0x1FF_FFFF, 0x200_0028),
        (0x200_0000, 0x200_0028),
    ];
    for (lsn, x) in cases {
        assert_eq!(generate::start_lsn_after(Lsn(lsn), 1 << 24), Some(Lsn(x)));
    }
    assert_eq!(generate::start_lsn_after(Lsn::MAX, 1 << 24), None);
}

#[test]
fn places_for_a_record_are_checked() {
    let record = hex(SHUTDOWN_CHECKPOINT);
    for x in [0x200_0000, 0x200_0018, 0x200_0029, 0x200_1FF8, !7] {
        let page = generate::record_page(&PARAMS, Lsn(x), &record);
        assert!(matches!(page, Err(WalError::InvalidParams { .. })), "{x:X}");
    }
    let unknown = WalParams {
        major: 13,
        ..PARAMS
    };
    assert!(generate::record_page(&unknown, Lsn(0x200_0028), &record).is_err());
}
