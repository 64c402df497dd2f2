//! The cases in `test/vectors/pagestream.json`, which the TypeScript codec reads too.

// Clippy lets #[test] functions unwrap, but not the functions that they share.
#![allow(clippy::unwrap_used, clippy::panic)]

use offshoot_layout::{BlockKey, Fork, Lsn, RelKey};
use offshoot_pageproto::{
    FRAME_HEADER_BYTES, Header, ProtoError, RelationEntry, Request, RequestMessage, Response,
    ResponseWriter, Version, next_frame, parse_request, parse_response, relation_entries,
    write_request,
};
use serde_json::Value;

fn vectors() -> Value {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../test/vectors/pagestream.json"
    );
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

fn repeated(part: &Value) -> Vec<u8> {
    hex(part["hex"].as_str().unwrap()).repeat(part["times"].as_u64().unwrap() as usize)
}

fn joined(parts: &Value) -> Vec<u8> {
    parts
        .as_array()
        .unwrap()
        .iter()
        .flat_map(repeated)
        .collect()
}

fn number(value: &Value) -> u32 {
    u32::try_from(value.as_u64().unwrap()).unwrap()
}

fn version(case: &Value) -> Version {
    Version::from_number(case["version"].as_u64().unwrap() as u8).unwrap()
}

fn header(case: &Value) -> Header {
    let lsn = |name: &str| {
        case["header"][name]
            .as_str()
            .unwrap()
            .parse::<Lsn>()
            .unwrap()
    };
    Header {
        request_id: case["header"]["requestId"]
            .as_str()
            .map_or(0, |id| id.parse().unwrap()),
        request_lsn: lsn("requestLsn"),
        not_modified_since: lsn("notModifiedSince"),
    }
}

fn request(case: &Value) -> Request {
    let p = &case["parameters"];
    let rel = || RelKey {
        spcnode: number(&p["rel"]["spcnode"]),
        dbnode: number(&p["rel"]["dbnode"]),
        relnode: number(&p["rel"]["relnode"]),
        fork: Fork::from_number(number(&p["rel"]["fork"]) as u8).unwrap(),
    };
    match case["name"].as_str().unwrap() {
        "Exists" => Request::Exists { rel: rel() },
        "Nblocks" => Request::Nblocks { rel: rel() },
        "GetPage" => Request::GetPage {
            key: BlockKey {
                rel: rel(),
                block: number(&p["block"]),
            },
        },
        "DbSize" => Request::DbSize {
            dbnode: number(&p["dbnode"]),
        },
        "GetSlruSegment" => Request::GetSlruSegment {
            kind: number(&p["kind"]) as u8,
            segno: number(&p["segno"]),
        },
        other => panic!("unknown case {other}"),
    }
}

#[test]
fn requests_are_read_and_written() {
    for case in vectors()["cases"].as_array().unwrap() {
        let body = hex(case["request"].as_str().unwrap());
        let parsed = parse_request(version(case), &body).unwrap();
        assert_eq!(
            (parsed.header, parsed.request),
            (header(case), request(case))
        );
        assert_eq!(parsed.echo, &body[1..]);

        let mut out = Vec::new();
        write_request(&mut out, version(case), &header(case), &request(case));
        let frame = next_frame(&out, 1000).unwrap().unwrap();
        assert_eq!((frame.body, frame.rest), (&body[..], &b""[..]));

        let mut longer = body.clone();
        longer.extend_from_slice(b"trailing");
        assert_eq!(parse_request(version(case), &longer).unwrap(), parsed);
    }
}

fn write(out: &mut Vec<u8>, request: &RequestMessage<'_>, response: &Value) {
    let mut writer = ResponseWriter::new(out);
    let value = &response["value"];
    match response["kind"].as_str().unwrap() {
        "Exists" => writer.exists(request, value.as_bool().unwrap()),
        "Nblocks" => writer.nblocks(request, number(value)),
        "GetPage" => writer.page(request).copy_from_slice(&repeated(value)),
        "DbSize" => writer.db_size(request, value.as_str().unwrap().parse().unwrap()),
        "GetSlruSegment" => writer
            .slru_segment(request, 2)
            .copy_from_slice(&repeated(value)),
        "Error" => writer.error(request, value.as_str().unwrap()),
        other => panic!("unknown response {other}"),
    }
}

fn assert_result(response: Response<'_>, value: &Value) {
    match response {
        Response::Exists(exists) => assert_eq!(exists, value.as_bool().unwrap()),
        Response::Nblocks(blocks) => assert_eq!(blocks, number(value)),
        Response::Page(page) => assert_eq!(page[..], repeated(value)),
        Response::DbSize(bytes) => assert_eq!(bytes.to_string(), value.as_str().unwrap()),
        Response::SlruSegment(pages) => assert_eq!(pages, repeated(value)),
        Response::Error(text) => assert_eq!(text, value.as_str().unwrap().as_bytes()),
    }
}

#[test]
fn responses_are_read_and_written() {
    for case in vectors()["cases"].as_array().unwrap() {
        let body = hex(case["request"].as_str().unwrap());
        let asked = parse_request(version(case), &body).unwrap();
        for response in case["responses"].as_array().unwrap() {
            let expected = joined(&response["body"]);
            let mut out = b"before".to_vec();
            write(&mut out, &asked, response);
            assert_eq!(out[6 + FRAME_HEADER_BYTES..], expected);
            let frame = next_frame(&out[6..], 1 << 20).unwrap().unwrap();
            assert_eq!((frame.body, frame.rest), (&expected[..], &b""[..]));

            let parsed = parse_response(version(case), &expected).unwrap();
            assert_result(parsed.response, &response["value"]);
            let is_error = response["kind"] == "Error";
            let v3 = version(case) == Version::V3;
            assert_eq!(parsed.header, v3.then_some(asked.header));
            assert_eq!(parsed.request, (v3 && !is_error).then_some(asked.request));
        }
    }
}

#[test]
fn malformed_requests_are_typed_errors() {
    for case in vectors()["malformed"].as_array().unwrap() {
        let body = hex(case["request"].as_str().unwrap());
        let error = parse_request(version(case), &body).unwrap_err();
        let reason = match error {
            ProtoError::Truncated { .. } => "truncated",
            ProtoError::UnknownRequestTag(_) => "unknown-tag",
            ProtoError::UnknownFork(_) => "unknown-fork",
            other => panic!("{other}"),
        };
        assert_eq!(reason, case["reason"], "{}", case["request"]);
    }
}

#[test]
fn a_response_of_any_wrong_length_is_refused() {
    for case in vectors()["cases"].as_array().unwrap() {
        for response in case["responses"].as_array().unwrap() {
            if response["kind"] == "Error" {
                continue;
            }
            let mut body = joined(&response["body"]);
            body.push(0);
            let longer = parse_response(version(case), &body);
            assert!(matches!(longer, Err(ProtoError::TrailingBytes { .. })));
            body.truncate(body.len() - 2);
            let shorter = parse_response(version(case), &body);
            assert!(matches!(shorter, Err(ProtoError::Truncated { .. })));
        }
    }
}

#[test]
fn a_page_that_cannot_be_made_makes_way_for_an_error() {
    let cases = vectors();
    let case = &cases["cases"][5];
    let body = hex(case["request"].as_str().unwrap());
    let asked = parse_request(version(case), &body).unwrap();
    let mut out = Vec::new();
    let mut writer = ResponseWriter::new(&mut out);
    let mark = writer.mark();
    writer.page(&asked)[0] = 1;
    writer.rewind(mark);
    writer.error(&asked, "un\0supported");
    let frame = next_frame(&out, 1 << 20).unwrap().unwrap();
    let parsed = parse_response(asked.version, frame.body).unwrap();
    assert_eq!(parsed.response, Response::Error(b"un supported"));
}

#[test]
fn relations_listing_is_read_and_written() {
    let cases = vectors();
    let relations = &cases["relations"];
    let listing = hex(relations["listing"].as_str().unwrap());
    let parsed: Vec<_> = relation_entries(&listing).map(Result::unwrap).collect();
    let expected: Vec<_> = relations["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| RelationEntry {
            relnode: number(&entry["relnode"]),
            fork: Fork::from_number(number(&entry["fork"]) as u8).unwrap(),
            blocks: number(&entry["blocks"]),
        })
        .collect();
    assert_eq!(parsed, expected);
    let mut out = Vec::new();
    for entry in &parsed {
        entry.write(&mut out);
    }
    assert_eq!(out, listing);
    let cut = relation_entries(&listing[..20]).nth(1).unwrap();
    assert!(matches!(cut, Err(ProtoError::Truncated { .. })));
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_a_parser_panic(bytes: Vec<u8>) {
        for version in [Version::V2, Version::V3] {
            let _ = parse_request(version, &bytes);
            let _ = parse_response(version, &bytes);
        }
        let _ = next_frame(&bytes, 100);
        relation_entries(&bytes).for_each(drop);
    }
}
