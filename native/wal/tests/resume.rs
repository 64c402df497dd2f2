//! Beginning at any LSN of streams that a server would write, and of some that none writes.

#![allow(clippy::unwrap_used)] // A failing helper fails its test.

use offshoot_layout::Lsn;
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

fn draft(main_bytes: usize) -> RecordDraft {
    RecordDraft {
        rmid: 10,
        main: vec![0xA5; main_bytes],
        ..RecordDraft::default()
    }
}

fn stream() -> WalStream {
    WalStream::new(PARAMS, SEGMENT, Lsn(SEGMENT.0 - 8)).unwrap()
}

/// A switch as Postgres leaves it: the pages behind it have no header either.
fn stream_with_switch() -> WalStream {
    let mut stream = stream();
    for length in [100, 9000, 40] {
        stream.append(&draft(length)).unwrap();
    }
    stream.append_switch().unwrap();
    for length in [10, 20_000, 10] {
        stream.append(&draft(length)).unwrap();
    }
    stream
}

fn overwrite_notice(lsn: Lsn) -> RecordDraft {
    let main = [lsn.0.to_le_bytes(), [0; 8]].concat();
    RecordDraft {
        rmid: 0,
        info: 0xD0,
        main,
        ..RecordDraft::default()
    }
}

fn decode_all(mut decoder: WalDecoder, bytes: &[u8]) -> Vec<Record> {
    decoder.feed(bytes);
    std::iter::from_fn(|| decoder.next().unwrap()).collect()
}

/// The decoder for `lsn`, and the bytes it wants first.
fn resumed(lsn: Lsn, bytes: &[u8]) -> (WalDecoder, &[u8]) {
    let decoder = WalDecoder::find_next_record(PARAMS, lsn).unwrap();
    assert_eq!(decoder.position(), lsn);
    let page = decoder.feed_position();
    assert_eq!(page, Lsn(lsn.0 - lsn.0 % PAGE));
    (decoder, &bytes[(page.0 - SEGMENT.0) as usize..])
}

/// From every byte of the stream the first record is the one that begins there or next.
fn check_every_lsn(stream: &WalStream, step: usize) {
    let bytes = stream.bytes();
    let decoder = WalDecoder::new(PARAMS, SEGMENT, None).unwrap();
    let records = decode_all(decoder, bytes);
    for lsn in (SEGMENT.0..stream.end().0).step_by(step).map(Lsn) {
        let next = records.iter().position(|record| record.start >= lsn);
        let (mut decoder, rest) = resumed(lsn, bytes);
        decoder.feed(rest);
        assert_eq!(decoder.feed_position(), stream.end());
        let found = decoder.next().unwrap();
        assert_eq!(found.as_ref(), next.map(|at| &records[at]), "{lsn}");
        if let Some(record) = found {
            assert_eq!(
                (decoder.position(), decoder.prev()),
                (record.end, Some(record.start))
            );
        }
    }
}

#[test]
fn every_lsn_of_records_of_all_lengths() {
    let mut stream = stream();
    let lengths = [100, 8000, 8170, 30_000, 1, 1, 8120, 8128, 8136, 60, 25_000];
    for length in lengths {
        stream.append(&draft(length)).unwrap();
    }
    check_every_lsn(&stream, 5);
}

#[test]
fn every_lsn_around_a_switch() {
    check_every_lsn(&stream_with_switch(), 1999);
}

#[test]
fn every_lsn_of_a_switch_split_over_two_pages() {
    for left_on_page in [8, 16] {
        let mut stream = stream();
        // Behind it, so much is left on the first page.
        let length = 8192 - 40 - 24 - 5 - left_on_page;
        stream.append(&draft(length)).unwrap();
        stream.append_switch().unwrap();
        stream.append(&draft(9)).unwrap();
        check_every_lsn(&stream, 3001);
    }
}

#[test]
fn every_lsn_of_an_abandoned_record() {
    let mut stream = stream();
    let before = stream.append(&draft(100)).unwrap();
    let lost = draft(20_000).to_bytes(before, 15).unwrap();
    let abandoned = stream.append_abandoned(&lost);
    stream.append(&overwrite_notice(abandoned)).unwrap();
    stream.append(&draft(5)).unwrap();
    check_every_lsn(&stream, 1);
}

/// A record over three pages, given up on the fourth: `append_abandoned` gives up on the second.
#[test]
fn an_abandoned_record_of_several_pages_is_passed() {
    let mut long = stream();
    let start = long.append(&draft(30_000)).unwrap();
    let mut bytes = long.bytes()[..3 * PAGE as usize].to_vec();
    let mut after = WalStream::new(PARAMS, Lsn(SEGMENT.0 + 3 * PAGE), Lsn(SEGMENT.0 - 8)).unwrap();
    after.append(&overwrite_notice(start)).unwrap();
    bytes.extend(after.bytes());
    // FIRST_IS_OVERWRITE_CONTRECORD
    bytes[3 * PAGE as usize + 2] |= 8;
    for page in 0..4 {
        let (decoder, rest) = resumed(Lsn(SEGMENT.0 + page * PAGE + 50), &bytes);
        let records = decode_all(decoder, rest);
        let starts: Vec<_> = records.iter().map(|record| record.start).collect();
        // At 24 of its page; the page's byte 50 is within the notice.
        let notice = Lsn(SEGMENT.0 + 3 * PAGE + 24);
        assert_eq!(starts, if page < 3 { vec![notice] } else { vec![] });
    }
}

#[test]
fn chunks_do_not_matter() {
    let stream = stream_with_switch();
    for page in 0..3 {
        let (whole, rest) = resumed(Lsn(SEGMENT.0 + page * PAGE + 500), stream.bytes());
        let expected = decode_all(whole, rest);
        for chunk in [1000, 1] {
            let (mut decoder, rest) = resumed(Lsn(SEGMENT.0 + page * PAGE + 500), stream.bytes());
            let mut records = Vec::new();
            let mut record = Record::default();
            for bytes in rest.chunks(chunk) {
                decoder.feed(bytes);
                while decoder.next_into(&mut record).unwrap() {
                    records.push(record.clone());
                }
            }
            assert_eq!(records, expected);
        }
    }
}

#[test]
fn the_position_before_a_first_record_can_be_resumed_from() {
    let stream = stream_with_switch();
    // Within the record of 9000 bytes, of which only the first page is there.
    let lsn = Lsn(SEGMENT.0 + 1000);
    let (mut decoder, rest) = resumed(lsn, stream.bytes());
    decoder.feed(&rest[..PAGE as usize]);
    assert_eq!(decoder.next(), Ok(None));
    assert_eq!((decoder.position(), decoder.prev()), (lsn, None));
    decoder.feed(&rest[PAGE as usize..]);
    let next = decoder.next().unwrap().unwrap();
    assert!(next.start > lsn && next.main.len() == 40);
}

/// The error of resuming on the second page, after `change` to its bytes.
fn error_on_second_page(change: impl Fn(&mut [u8])) -> WalError {
    let mut stream = stream();
    stream.append(&draft(100)).unwrap();
    stream.append(&draft(20_000)).unwrap();
    let mut bytes = stream.bytes().to_vec();
    change(&mut bytes[PAGE as usize..]);
    let (mut decoder, rest) = resumed(Lsn(SEGMENT.0 + PAGE + 77), &bytes);
    decoder.feed(rest);
    // The damage comes before the only record.
    let error = decoder.next().unwrap_err();
    assert_eq!(decoder.next(), Err(error.clone()));
    error
}

#[test]
fn what_continues_must_be_plausible_and_agree_from_page_to_page() {
    const NEXT: usize = PAGE as usize;
    let rem_len = |at: usize, value: u32| {
        move |pages: &mut [u8]| pages[at + 16..at + 20].copy_from_slice(&value.to_le_bytes())
    };
    let cases: [(WalError, &str); 6] = [
        (error_on_second_page(rem_len(0, 0)), "0 bytes of a record"),
        (
            error_on_second_page(rem_len(0, u32::MAX)),
            "4294967295 bytes of a record continue here; the limit",
        ),
        (
            error_on_second_page(rem_len(NEXT, 55)),
            "55 bytes of a record continue here, but",
        ),
        (
            error_on_second_page(|pages| pages[NEXT + 2] = 0),
            "does not continue here",
        ),
        (
            error_on_second_page(|pages| pages[2] = 9),
            "both continues and was abandoned",
        ),
        (error_on_second_page(|pages| pages[0] = 1), "magic"),
    ];
    for (error, message) in cases {
        assert!(matches!(error, WalError::InvalidPage { .. }), "{error}");
        assert!(error.to_string().contains(message), "{error} / {message}");
    }
}

#[test]
fn zeros_are_the_end_if_anything_but_a_segment_follows() {
    let mut stream = stream();
    stream.append(&draft(100)).unwrap();
    let mut bytes = stream.bytes().to_vec();
    bytes.resize(MIB as usize, 0);
    let second = Lsn(SEGMENT.0 + PAGE);
    let (mut decoder, rest) = resumed(Lsn(second.0 + 5), &bytes);
    decoder.feed(rest);
    assert_eq!(decoder.next(), Ok(None));

    bytes[300_000] = 1;
    let (mut decoder, rest) = resumed(Lsn(second.0 + 5), &bytes);
    decoder.feed(rest);
    assert_eq!(decoder.next(), Err(WalError::EndOfWal { lsn: second }));
}

#[test]
fn damage_on_the_way_to_the_lsn_is_an_error() {
    let mut stream = stream();
    let damaged = stream.append(&draft(100)).unwrap();
    stream.append(&draft(100)).unwrap();
    let mut bytes = stream.bytes().to_vec();
    bytes[80] ^= 1;
    let (mut decoder, rest) = resumed(Lsn(SEGMENT.0 + 100), &bytes);
    decoder.feed(rest);
    assert_eq!(decoder.next().unwrap_err().lsn(), Some(damaged));
}

#[test]
fn parameters_are_checked() {
    let beyond = WalDecoder::find_next_record(PARAMS, Lsn::MAX);
    assert!(matches!(beyond, Err(WalError::InvalidParams { .. })));
    let unknown = WalParams {
        major: 13,
        ..PARAMS
    };
    assert!(WalDecoder::find_next_record(unknown, SEGMENT).is_err());
}
