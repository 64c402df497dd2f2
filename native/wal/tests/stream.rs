//! Streams as a server would write them, and streams that no server writes.

#![allow(clippy::unwrap_used)] // A failing helper fails its test.

use offshoot_layout::Lsn;
use offshoot_layout::wal_page::{XLP_FIRST_IS_CONTRECORD, XLP_FIRST_IS_OVERWRITE_CONTRECORD};
use offshoot_wal::generate::{RecordDraft, WalStream};
use offshoot_wal::{Record, WalDecoder, WalError, WalParams};

const MIB: u32 = 1 << 20;
const PARAMS: WalParams = WalParams {
    major: 15,
    system_id: 42,
    seg_size: MIB,
    tli: 3,
};
const SEGMENT: Lsn = Lsn(0x500_0000);
const PAGE: u64 = 8192;
const XLOG_OVERWRITE_CONTRECORD: u8 = 0xD0;

fn draft(main_bytes: usize) -> RecordDraft {
    RecordDraft {
        rmid: 10,
        xid: 9,
        main: vec![0xA5; main_bytes],
        ..RecordDraft::default()
    }
}

fn stream_at(start: Lsn) -> WalStream {
    WalStream::new(PARAMS, start, Lsn(start.0 - 8)).unwrap()
}

fn decoder_at(start: Lsn) -> WalDecoder {
    WalDecoder::new(PARAMS, start, Some(Lsn(start.0 - 8))).unwrap()
}

/// Feeds chunks and takes all records after each.
fn decode(mut decoder: WalDecoder, bytes: &[u8], chunk: usize) -> Result<Vec<Record>, WalError> {
    let mut records = Vec::new();
    for chunk in bytes.chunks(chunk) {
        decoder.feed(chunk);
        while let Some(record) = decoder.next()? {
            records.push(record);
        }
    }
    Ok(records)
}

fn decode_whole(bytes: &[u8]) -> Result<Vec<Record>, WalError> {
    decode(decoder_at(SEGMENT), bytes, usize::MAX)
}

#[test]
fn records_of_any_length_at_any_place_on_the_page() {
    // Lengths around a page's room, so that headers, records and padding meet every boundary.
    let lengths = (8000..8250).chain([16_384, 65_535, 65_536, 3_000_000]);
    let mut stream = stream_at(SEGMENT);
    let mut expected = Vec::new();
    for length in lengths {
        expected.push((stream.append(&draft(length)).unwrap(), length));
    }
    for chunk in [13, 8192, usize::MAX] {
        let records = decode(decoder_at(SEGMENT), stream.bytes(), chunk).unwrap();
        let found: Vec<_> = records.iter().map(|r| (r.start, r.main.len())).collect();
        assert_eq!(found, expected);
        assert!(
            records
                .windows(2)
                .all(|w| w[1].prev == w[0].start && w[1].start >= w[0].end)
        );
    }
}

#[test]
fn record_header_split_over_two_pages() {
    for left_on_page in [8, 16] {
        let start = Lsn(SEGMENT.0 + 2 * PAGE - left_on_page);
        let mut stream = stream_at(start);
        stream.append(&draft(100)).unwrap();
        let records = decode(decoder_at(start), stream.bytes(), 1).unwrap();
        assert_eq!(records.len(), 1);
        // 24 + 2 + 100 bytes, of which the next page has the rest behind its header.
        let rest = (126 - left_on_page + 7) & !7;
        assert_eq!(records[0].end, Lsn(SEGMENT.0 + 2 * PAGE + 24 + rest));
    }
}

#[test]
fn a_record_that_fills_its_page_ends_at_the_boundary() {
    let boundary = Lsn(SEGMENT.0 + PAGE);
    let mut stream = stream_at(SEGMENT);
    stream.append(&draft(8192 - 40 - 24 - 5)).unwrap();
    assert_eq!(stream.end(), boundary);
    let next = stream.append(&draft(10)).unwrap();
    let records = decode_whole(stream.bytes()).unwrap();
    assert_eq!(
        (records[0].end, records[1].start),
        (boundary, Lsn(boundary.0 + 24))
    );
    assert_eq!(records[1].start, next);

    let resumed = WalDecoder::new(PARAMS, boundary, Some(records[0].start)).unwrap();
    let again = decode(resumed, &stream.bytes()[PAGE as usize..], 5).unwrap();
    assert_eq!(again, records[1..]);
}

#[test]
fn a_start_between_a_record_and_its_padding_is_taken() {
    let start = Lsn(SEGMENT.0 + 101);
    let mut stream = stream_at(start);
    let at = stream.append(&draft(3)).unwrap();
    assert_eq!(at, Lsn(SEGMENT.0 + 104));
    assert_eq!(
        decode(decoder_at(start), stream.bytes(), 2).unwrap().len(),
        1
    );
}

#[test]
fn a_switch_ends_with_its_segment() {
    let mut stream = stream_at(SEGMENT);
    stream.append(&draft(100)).unwrap();
    let switch = stream.append_switch().unwrap();
    let after = stream.append(&draft(200)).unwrap();
    let next_segment = Lsn(SEGMENT.0 + u64::from(MIB));
    assert_eq!(after, Lsn(next_segment.0 + 40));
    for chunk in [1000, usize::MAX] {
        let records = decode(decoder_at(SEGMENT), stream.bytes(), chunk).unwrap();
        assert_eq!((records[1].start, records[1].end), (switch, next_segment));
        assert_eq!((records[2].start, records[2].prev), (after, switch));
    }
}

#[test]
fn a_switch_at_the_segments_very_end_skips_nothing() {
    let start = Lsn(SEGMENT.0 + u64::from(MIB) - 24);
    let mut stream = stream_at(start);
    stream.append_switch().unwrap();
    let after = stream.append(&draft(1)).unwrap();
    let records = decode(decoder_at(start), stream.bytes(), usize::MAX).unwrap();
    assert_eq!(records[0].end, Lsn(SEGMENT.0 + u64::from(MIB)));
    assert_eq!(records[1].start, after);
}

fn overwrite_notice(lsn: Lsn) -> RecordDraft {
    let main = [lsn.0.to_le_bytes(), [0; 8]].concat();
    RecordDraft {
        rmid: 0,
        info: XLOG_OVERWRITE_CONTRECORD,
        main,
        ..RecordDraft::default()
    }
}

#[test]
fn an_abandoned_record_is_dropped() {
    let mut stream = stream_at(SEGMENT);
    let before = stream.append(&draft(100)).unwrap();
    let lost = draft(20_000).to_bytes(before, 15).unwrap();
    let abandoned = stream.append_abandoned(&lost);
    let notice = stream.append(&overwrite_notice(abandoned)).unwrap();
    stream.append(&draft(5)).unwrap();
    let records = decode(decoder_at(SEGMENT), stream.bytes(), 100).unwrap();
    let starts: Vec<_> = records.iter().map(|r| (r.start, r.prev)).collect();
    assert_eq!(starts[1], (notice, before));
    assert_eq!(records.len(), 3);
}

#[test]
fn an_abandoned_record_may_have_begun_before_the_stream() {
    let mut stream = stream_at(SEGMENT);
    let abandoned = stream.append_abandoned(&[1; 9000]);
    stream.append(&overwrite_notice(abandoned)).unwrap();
    let page = Lsn(SEGMENT.0 + PAGE);
    let decoder = WalDecoder::new(PARAMS, page, None).unwrap();
    let records = decode(decoder, &stream.bytes()[PAGE as usize..], 9).unwrap();
    assert_eq!(records.len(), 1);
}

#[test]
fn the_record_after_an_abandoned_one_must_name_it() {
    for (wrong, message) in [
        (overwrite_notice(Lsn(0x123)), "abandoned record at 0/123"),
        (draft(16), "does not say so"),
    ] {
        let mut stream = stream_at(SEGMENT);
        let before = stream.append(&draft(100)).unwrap();
        stream.append_abandoned(&draft(20_000).to_bytes(before, 15).unwrap());
        stream.append(&wrong).unwrap();
        let error = decode_whole(stream.bytes()).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
}

/// Two records, the second from the first page into the second.
fn two_pages() -> Vec<u8> {
    let mut stream = stream_at(SEGMENT);
    stream.append(&draft(100)).unwrap();
    stream.append(&draft(9000)).unwrap();
    stream.bytes().to_vec()
}

#[test]
fn pages_that_do_not_belong_are_refused() {
    const SECOND: usize = PAGE as usize;
    let short = |info: u16| info.to_le_bytes().to_vec();
    let abandoned = XLP_FIRST_IS_CONTRECORD | XLP_FIRST_IS_OVERWRITE_CONTRECORD;
    let cases: [(usize, Vec<u8>, &str); 14] = [
        (0, vec![0x13], "magic D113; Postgres 15 has D110"),
        (2, short(0x0000), "without a long header"),
        (2, short(0x0012), "unknown flags 0012"),
        (2, short(0x0003), "did not begin"),
        (4, vec![4], "timeline 4 after 0 in the WAL of timeline 3"),
        (8, vec![8], "the page at 0/5000008"),
        (24, vec![43], "system 43, not 42"),
        (34, vec![0x20], "segment size 2097152, not 1048576"),
        (37, vec![0x40], "WAL block size 16384; supported: 8192"),
        (SECOND + 2, short(0x0000), "does not continue here"),
        (
            SECOND + 2,
            short(0x0003),
            "a long header where no segment begins",
        ),
        (
            SECOND + 2,
            short(abandoned),
            "both continues and was abandoned",
        ),
        (SECOND + 4, vec![2], "timeline 2 after 3"),
        (SECOND + 16, vec![1], "1 bytes continue here"),
    ];
    for (offset, bytes, message) in cases {
        let mut stream = two_pages();
        if offset == SECOND + 16 {
            stream[offset..offset + 4].fill(0);
        }
        stream[offset..offset + bytes.len()].copy_from_slice(&bytes);
        let error = decode_whole(&stream).unwrap_err();
        let page = Lsn(SEGMENT.0 + (offset / SECOND * SECOND) as u64);
        assert!(
            matches!(error, WalError::InvalidPage { lsn, .. } if lsn == page),
            "{error}"
        );
        assert!(error.to_string().contains(message), "{error} / {message}");
    }
}

#[test]
fn older_timelines_may_come_first() {
    let mut stream = two_pages();
    stream[4] = 1;
    assert_eq!(decode_whole(&stream).unwrap().len(), 2);
}

#[test]
fn records_that_do_not_follow_are_refused() {
    let first = SEGMENT.0 + 40;
    let cases = [
        (40, 0x50u8, "CRC"),
        (40, 10, "length 10; the header alone has 24 bytes"),
        (48, 0xF0, "it follows a record at 0/5000000"),
        (40 + 17, 22, "resource manager 22 does not exist"),
        (40 + 60, 0, "CRC"),
    ];
    for (offset, byte, message) in cases {
        let mut stream = two_pages();
        if offset == 48 {
            stream[48..56].copy_from_slice(&SEGMENT.0.to_le_bytes());
        } else {
            stream[offset] = byte;
        }
        let error = decode_whole(&stream).unwrap_err();
        assert_eq!(error.lsn(), Some(Lsn(first)));
        assert!(error.to_string().contains(message), "{error} / {message}");
    }
}

#[test]
fn without_a_known_record_before_the_link_must_lead_backwards() {
    let mut stream = two_pages();
    let decoder = || WalDecoder::new(PARAMS, SEGMENT, None).unwrap();
    assert_eq!(decode(decoder(), &stream, 1).unwrap().len(), 2);
    stream[48..56].copy_from_slice(&(SEGMENT.0 + 40).to_le_bytes());
    let error = decode(decoder(), &stream, 1).unwrap_err().to_string();
    assert!(error.contains("which is not before it"), "{error}");
}

#[test]
fn zeros_end_the_wal() {
    let mut stream = two_pages();
    let end = Lsn(SEGMENT.0 + stream.len() as u64).align_up();
    stream.resize(stream.len() + 64, 0);
    let mut decoder = decoder_at(SEGMENT);
    decoder.feed(&stream);
    assert!(decoder.next().unwrap().is_some());
    assert!(decoder.next().unwrap().is_some());
    for _ in 0..2 {
        assert_eq!(decoder.next(), Err(WalError::EndOfWal { lsn: end }));
        decoder.feed(&[0; 8]);
    }
    assert_eq!(decoder.position(), end);
}

#[test]
fn lengths_above_the_limit_are_refused_before_they_are_gathered() {
    let stream = two_pages();
    let mut limited = decoder_at(SEGMENT);
    limited.set_record_bytes_max(9000);
    let error = decode(limited, &stream, 1).unwrap_err().to_string();
    assert!(
        error.contains("is above the limit of 9000 bytes"),
        "{error}"
    );
    let mut huge = two_pages();
    huge[40..44].copy_from_slice(&u32::MAX.to_le_bytes());
    let error = decode_whole(&huge).unwrap_err().to_string();
    assert!(
        error.contains("length 4294967295 is above the limit"),
        "{error}"
    );
}

#[test]
fn parameters_that_describe_no_wal_are_refused() {
    let start = SEGMENT;
    let cases = [
        (
            WalParams {
                major: 13,
                ..PARAMS
            },
            start,
            "major version 13; supported: 14 to 18",
        ),
        (
            WalParams {
                seg_size: 0,
                ..PARAMS
            },
            start,
            "segment size 0",
        ),
        (
            WalParams {
                seg_size: 3 * MIB,
                ..PARAMS
            },
            start,
            "segment size 3145728",
        ),
        (PARAMS, Lsn(SEGMENT.0 + 24), "inside a page header"),
        (PARAMS, Lsn(SEGMENT.0 + PAGE + 16), "inside a page header"),
        (PARAMS, Lsn::MAX, "beyond any WAL"),
    ];
    for (params, start, message) in cases {
        let Err(error) = WalDecoder::new(params, start, None) else {
            panic!("{message}");
        };
        assert!(error.to_string().contains(message), "{error}");
    }
}
