//! Pagestream batches: LSN rules, echo, order, errors in place.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use offshoot_engine::{
    Checksums, Durability, EngineError, PageSource, REPLY_BYTES_MAX, TimelineSpec,
};
use offshoot_layout::{BLCKSZ, Fork, Lsn, SlruKind, page};
use offshoot_pageproto::{
    Header, ProtoError, Request, Response, ResponseMessage, Version, next_frame, parse_response,
    write_request,
};
use support::{TestTenant, block, page_of, rel, tenant};

const LATEST: u64 = u64::MAX;

fn header(request_lsn: u64, not_modified_since: u64) -> Header {
    Header {
        request_id: 4711 << 32,
        request_lsn: Lsn(request_lsn),
        not_modified_since: Lsn(not_modified_since),
    }
}

/// Relation 100: 3 blocks at 0x20 (block 1 never written), 1 from 0x30 on; relation 101 dropped at
/// 0x30. pg_xact segment 1 has pages 32 and 33. Readable are 0x18 to 0x40.
fn filled(checksums: Checksums) -> TestTenant {
    let tenant = tenant(checksums);
    let mut writer = tenant.writer(1).unwrap();
    let (kept, dropped) = (rel(100, Fork::Main), rel(101, Fork::Main));
    writer.image(&block(kept, 0), Lsn(0x10), &page_of(7));
    writer.image(&block(kept, 2), Lsn(0x20), &page_of(9));
    writer.extend(&kept, Lsn(0x20), 3).unwrap();
    writer.truncate(&kept, Lsn(0x30), 1).unwrap();
    writer.extend(&dropped, Lsn(0x20), 0).unwrap();
    writer.drop_relation(&dropped, Lsn(0x30)).unwrap();
    for page in [32, 33] {
        let (kind, content) = (SlruKind::Xact, page_of(page));
        writer.slru_image(kind, page, Lsn(0x20), &content).unwrap();
    }
    writer.commit(Durability::Later).unwrap();
    let spec = TimelineSpec {
        last_record_lsn: Lsn(0x40),
        readable_from: Lsn(0x18),
        ..support::root()
    };
    tenant.attach(&spec).unwrap();
    tenant
}

/// What a single request is answered, and whether the reply was one frame with a true echo.
fn ask(tenant: &TestTenant, version: Version, header: Header, request: Request) -> String {
    let mut frames = Vec::new();
    write_request(&mut frames, version, &header, &request);
    let answered = tenant.pages(1, version, &frames).unwrap();
    assert_eq!(answered.failure, None);
    if let Some(lsn) = answered.wait_for {
        assert_eq!((answered.handled, answered.reply.len()), (0, 0));
        return format!("wait for {lsn}");
    }
    assert_eq!(answered.handled, 1);
    let frame = next_frame(&answered.reply, u32::MAX >> 1).unwrap().unwrap();
    assert!(frame.rest.is_empty());
    let message = parse_response(version, frame.body).unwrap();
    if version == Version::V3 {
        assert_eq!(message.header, Some(header));
        let is_error = matches!(message.response, Response::Error(_));
        assert_eq!(message.request, (!is_error).then_some(request));
    }
    describe(&message)
}

fn describe(message: &ResponseMessage<'_>) -> String {
    match message.response {
        Response::Exists(exists) => format!("exists {exists}"),
        Response::Nblocks(blocks) => format!("{blocks} blocks"),
        Response::Page(page) => format!("page {}", u32::from(page[0])),
        Response::DbSize(bytes) => format!("{bytes} bytes"),
        Response::SlruSegment(pages) => {
            let firsts = pages.chunks(BLCKSZ).map(|page| page[0].to_string());
            format!("segment {}", firsts.collect::<Vec<_>>().join(" "))
        }
        Response::Error(text) => format!("error: {}", String::from_utf8_lossy(text)),
    }
}

fn get_page(relnode: u32, fork: Fork, number: u32) -> Request {
    let key = block(rel(relnode, fork), number);
    Request::GetPage { key }
}

#[test]
fn results() {
    use Request::{DbSize, Exists, GetSlruSegment, Nblocks};
    let tenant = filled(Checksums::Off);
    let kept = rel(100, Fork::Main);
    let dropped = rel(101, Fork::Main);
    let vm = rel(101, Fork::Vm);
    let nobody = rel(0, Fork::Main);
    let segment = |kind, segno| GetSlruSegment { kind, segno };
    for (lsn, request, expected) in [
        (LATEST, get_page(100, Fork::Main, 0), "page 7"),
        (LATEST, get_page(100, Fork::Main, 2), "page 0"),
        (0x20, get_page(100, Fork::Main, 2), "page 9"),
        (0x20, get_page(100, Fork::Main, 1), "page 0"),
        (0x1F, get_page(100, Fork::Vm, 3), "page 0"),
        (0x20, get_page(100, Fork::Fsm, 3), "page 0"),
        (
            LATEST,
            get_page(9, Fork::Main, 0),
            "error: relation 1663/5/9 does not exist at 0/40",
        ),
        (
            LATEST,
            get_page(9, Fork::Init, 0),
            "error: relation 1663/5/9_init does not exist at 0/40",
        ),
        (
            LATEST,
            get_page(0, Fork::Main, 0),
            "error: 1663/5/0 is no relation",
        ),
        (0x20, Exists { rel: dropped }, "exists true"),
        (0x30, Exists { rel: dropped }, "exists false"),
        (LATEST, Exists { rel: vm }, "exists false"),
        (
            LATEST,
            Exists { rel: nobody },
            "error: 1663/5/0 is no relation",
        ),
        (0x2F, Nblocks { rel: kept }, "3 blocks"),
        (0x30, Nblocks { rel: kept }, "1 blocks"),
        (0x20, Nblocks { rel: dropped }, "0 blocks"),
        (LATEST, Nblocks { rel: vm }, "0 blocks"),
        (
            LATEST,
            Nblocks { rel: dropped },
            "error: relation 1663/5/101 does not exist at 0/40",
        ),
        (0x20, DbSize { dbnode: 5 }, "24576 bytes"),
        (LATEST, DbSize { dbnode: 5 }, "8192 bytes"),
        (LATEST, DbSize { dbnode: 6 }, "0 bytes"),
        (LATEST, segment(0, 1), "segment 32 33"),
        (
            LATEST,
            segment(0, 0),
            "error: segment 0000 of pg_xact does not exist at 0/40",
        ),
        (
            LATEST,
            segment(0, u32::MAX),
            "error: segment FFFFFFFF of pg_xact does not exist at 0/40",
        ),
        (LATEST, segment(3, 0), "error: unknown SLRU kind 3"),
        (LATEST, segment(9, 0), "error: unknown SLRU kind 9"),
    ] {
        for version in [Version::V2, Version::V3] {
            let header = match version {
                Version::V2 => Header {
                    request_id: 0,
                    ..header(lsn, 0x18)
                },
                Version::V3 => header(lsn, 0x18),
            };
            let answer = ask(&tenant, version, header, request);
            assert_eq!(answer, expected, "{request:?} at {lsn:X}");
        }
    }
}

#[test]
fn which_lsn_is_read() {
    let tenant = filled(Checksums::Off);
    let nblocks = Request::Nblocks {
        rel: rel(100, Fork::Main),
    };
    for (request_lsn, not_modified_since, expected) in [
        (LATEST, 0, "1 blocks"),
        (LATEST, 0x40, "1 blocks"),
        (0x20, 0x20, "3 blocks"),
        (0x20, 0, "3 blocks"),
        (
            0x18,
            0x10,
            "error: relation 1663/5/100 does not exist at 0/18",
        ),
        (0x1000, 0x30, "1 blocks"),
        (LATEST, 0x41, "wait for 0/41"),
        (0x1000, 0x1000, "wait for 0/1000"),
        (0, 0, "error: request LSN is 0/0"),
        (
            0x20,
            0x28,
            "error: request LSN 0/20 is before not-modified-since LSN 0/28",
        ),
        (
            0x17,
            0x10,
            "error: LSN 0/17 is not kept; readable are 0/18 to 0/40",
        ),
    ] {
        let header = header(request_lsn, not_modified_since);
        let answer = ask(&tenant, Version::V3, header, nblocks);
        assert_eq!(answer, expected, "{request_lsn:X} {not_modified_since:X}");
    }
}

#[test]
fn a_timeline_that_is_still_filled_answers_nothing() {
    let tenant = tenant(Checksums::Off);
    let filling = TimelineSpec {
        readable_from: Lsn::MAX,
        ..support::root()
    };
    tenant.attach(&filling).unwrap();
    let exists = Request::Exists {
        rel: rel(1, Fork::Main),
    };
    let answer = ask(&tenant, Version::V3, header(LATEST, 0), exists);
    assert_eq!(answer, "error: the timeline is not complete yet");
    assert!(matches!(
        tenant.readable_view(1, None).err(),
        Some(EngineError::NotReadable { .. })
    ));
}

#[test]
fn a_batch_keeps_order_and_ends_at_the_first_that_waits() {
    let tenant = filled(Checksums::Off);
    let mut frames = Vec::new();
    let asked = [
        (LATEST, 0x10, 0),
        (0x20, 0x20, 2),
        (0, 0, 0),
        (LATEST, 0x50, 0),
        (LATEST, 0, 0),
    ];
    for (request_lsn, not_modified_since, number) in asked {
        let header = header(request_lsn, not_modified_since);
        write_request(
            &mut frames,
            Version::V3,
            &header,
            &get_page(100, Fork::Main, number),
        );
    }
    let answered = tenant.pages(1, Version::V3, &frames).unwrap();
    assert_eq!((answered.handled, answered.wait_for), (3, Some(Lsn(0x50))));
    let mut rest = &answered.reply[..];
    let mut seen = Vec::new();
    while let Some(frame) = next_frame(rest, 1 << 20).unwrap() {
        seen.push(describe(&parse_response(Version::V3, frame.body).unwrap()));
        rest = frame.rest;
    }
    assert_eq!(seen, ["page 7", "page 9", "error: request LSN is 0/0"]);
}

#[test]
fn malformed_frames_end_the_batch() {
    let tenant = filled(Checksums::Off);
    let mut good = Vec::new();
    write_request(
        &mut good,
        Version::V3,
        &header(LATEST, 0),
        &get_page(100, Fork::Main, 0),
    );
    let unknown_fork = {
        let mut frame = good.clone();
        frame[5 + 1 + 24 + 12] = 9;
        frame
    };
    for (bad, failure) in [
        (&b"d\0\0\0\x05\xc8"[..], ProtoError::UnknownRequestTag(200)),
        (b"Q\0\0\0\x04", ProtoError::NotCopyData(b'Q')),
        (&unknown_fork, ProtoError::UnknownFork(9)),
    ] {
        let frames = [&good, bad, &good].concat();
        let answered = tenant.pages(1, Version::V3, &frames).unwrap();
        assert_eq!((answered.handled, answered.failure), (1, Some(failure)));
    }
    for cut in 1..good.len() {
        let answered = tenant.pages(1, Version::V3, &good[..cut]).unwrap();
        assert!(answered.failure.is_some() && answered.handled == 0, "{cut}");
    }
}

#[test]
fn a_reply_has_a_limit() {
    let tenant = filled(Checksums::Off);
    let mut frames = Vec::new();
    let asked = 2 * REPLY_BYTES_MAX / BLCKSZ;
    for _ in 0..asked {
        write_request(
            &mut frames,
            Version::V3,
            &header(LATEST, 0),
            &get_page(100, Fork::Main, 0),
        );
    }
    let answered = tenant.pages(1, Version::V3, &frames).unwrap();
    assert!(answered.reply.len() < REPLY_BYTES_MAX + 9000);
    assert!((1..asked).contains(&answered.handled));
    assert_eq!((answered.wait_for, answered.failure), (None, None));
}

#[test]
fn checksums_are_made_for_the_block_where_the_cluster_has_them() {
    for (checksums, changed) in [(Checksums::On, true), (Checksums::Off, false)] {
        let tenant = filled(checksums);
        let view = tenant.view(1, Lsn(0x20)).unwrap();
        let mut served = [0; BLCKSZ];
        view.page(&block(rel(100, Fork::Main), 2), &mut served)
            .unwrap();
        assert_eq!(page::checksum_matches(&served, 2), changed);
        page::set_pd_checksum(&mut served, 0);
        let mut original = page_of(9);
        page::set_pd_checksum(&mut original, 0);
        assert!(served == *original);
        view.page(&block(rel(100, Fork::Main), 1), &mut served)
            .unwrap();
        assert!(served == [0; BLCKSZ], "a new page has none");
        view.slru_page(SlruKind::Xact, 33, &mut served).unwrap();
        assert!(served == *page_of(33), "an SLRU has none");
    }
}

#[test]
fn unknown_timelines_and_closed_tenants_are_errors_of_the_batch() {
    let tenant = filled(Checksums::Off);
    let unknown = tenant.pages(9, Version::V3, &[]);
    assert!(matches!(unknown, Err(EngineError::UnknownTimeline(9))));
    tenant.close().unwrap();
    assert!(tenant.pages(1, Version::V3, &[]).is_err());
}

/// Each page that is asked for is counted once, by where it came from and how many timelines were looked at.
#[test]
fn pages_are_counted_by_where_they_came_from() {
    let tenant = filled(Checksums::Off);
    let spec = TimelineSpec {
        index: 2,
        parent: Some((1, Lsn(0x20))),
        last_record_lsn: Lsn(0x20),
        readable_from: Lsn(0x20),
    };
    tenant.attach(&spec).unwrap();
    let mut branch = tenant.writer(2).unwrap();
    let kept = rel(100, Fork::Main);
    branch.image(&block(kept, 0), Lsn(0x28), &page_of(8));
    branch.extend(&kept, Lsn(0x28), 3).unwrap();
    branch.commit(Durability::Later).unwrap();
    branch.timeline().advance_last_record_lsn(Lsn(0x28));
    let before = tenant.read_counts();
    assert_eq!(before.times, [[0; 14]; 4]);
    let ask = |number| {
        let mut frames = Vec::new();
        let request = get_page(100, Fork::Main, number);
        write_request(&mut frames, Version::V3, &header(LATEST, 0x28), &request);
        frames
    };
    // Its own, one of the parent's, one that nobody has written, one behind the end.
    let frames: Vec<u8> = (0..4)
        .map(|block| [0, 2, 1, 9][block])
        .flat_map(ask)
        .collect();
    assert_eq!(tenant.pages(2, Version::V3, &frames).unwrap().handled, 4);
    let counts = tenant.read_counts();
    let of = |source: PageSource| counts.times[source as usize].iter().sum::<u64>();
    assert_eq!(PageSource::ALL.map(of), [2, 2, 0, 0]);
    assert!(counts.time_ns[PageSource::Image as usize] > 0);
    // The last needs none: its relation's size says enough.
    assert!(counts.timelines[0] >= 2 && counts.timelines.iter().sum::<u64>() == 4);
    assert_eq!((counts.records, counts.errors), (0, 0));
    let mut missing = Vec::new();
    let request = get_page(9, Fork::Main, 0);
    write_request(&mut missing, Version::V3, &header(LATEST, 0x28), &request);
    tenant.pages(2, Version::V3, &missing).unwrap();
    assert_eq!(tenant.read_counts().errors, 1);
}
