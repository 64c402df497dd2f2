//! A made-up cluster goes in; what is read is what was there, or what WAL made of it.

#![allow(clippy::unwrap_used, clippy::panic)]

mod source;

use offshoot_engine::{EngineError, FileKey, FileKind, Tenant, TimelineSpec};
use offshoot_layout::{BLCKSZ, BlockKey, Fork, Lsn, Page, RelKey, SlruKind, page};
use offshoot_wal::generate::{RecordDraft, WalStream};
use source::*;

fn read(tenant: &Tenant, relnode: u32, block: u32) -> Result<Page, EngineError> {
    let mut made = [0xEE; BLCKSZ];
    let view = tenant.readable_view(INDEX, None)?;
    view.page(
        &BlockKey {
            rel: rel(relnode, Fork::Main),
            block,
        },
        &mut made,
    )?;
    Ok(made)
}

fn size(tenant: &Tenant, relnode: u32, fork: Fork) -> Option<u32> {
    tenant
        .readable_view(INDEX, None)
        .unwrap()
        .size(&rel(relnode, fork))
        .unwrap()
}

fn file(tenant: &Tenant, kind: FileKind, a: u32, b: u32) -> Option<Vec<u8>> {
    let view = tenant.readable_view(INDEX, None).unwrap();
    view.file(&FileKey::new(kind, a, b))
        .unwrap()
        .map(<[u8]>::to_vec)
}

fn wal_of(records: &[RecordDraft]) -> WalStream {
    let mut stream = wal();
    for record in records {
        stream.append(record).unwrap();
    }
    stream
}

#[test]
fn files_of_the_backup_are_read_back() {
    let (tenant, _dir) = imported(&wal_of(&[next_oid(1)]));
    let before = Lsn(0x0200_0000);
    assert_eq!(read(&tenant, 16384, 1).unwrap(), page_of(2, before));
    assert_eq!(read(&tenant, 16384, 2).unwrap(), [0; BLCKSZ]);
    for (relnode, fork, blocks) in [
        (16384, Fork::Main, Some(3)),
        (16384, Fork::Vm, None),
        (16386, Fork::Main, Some(0)),
        (16390, Fork::Init, Some(1)),
        // Unlogged: only the init fork is kept.
        (16390, Fork::Main, None),
        (16390, Fork::Fsm, None),
        (16400, Fork::Main, None),
    ] {
        assert_eq!(size(&tenant, relnode, fork), blocks, "{relnode} {fork:?}");
    }
    let view = tenant.readable_view(INDEX, None).unwrap();
    assert_eq!(view.relations(16_500, 5).unwrap().len(), 1);
    assert_eq!(view.slru_segments(SlruKind::Xact).unwrap(), [(0, 1)]);
    drop(view);
    assert_eq!(file(&tenant, FileKind::RelMap, 1664, 0), Some(vec![6; 512]));
    assert_eq!(
        file(&tenant, FileKind::Database, 1663, 5),
        Some(b"15\n".to_vec())
    );
    assert_eq!(
        file(&tenant, FileKind::TwoPhase, 0x3E0, 0),
        Some(b"prepared".to_vec())
    );
    assert_eq!(
        file(&tenant, FileKind::TableSpace, 16_500, 0),
        Some(Vec::new())
    );
}

/// More than one batch of pages, and files of every length against extents of 16 blocks.
#[test]
fn files_of_any_length_are_read_back() {
    let before = Lsn(0x0200_0000);
    let lengths = [5, 1030, 17, 16, 1, 513, 32, 15];
    let lengths = lengths.into_iter().chain(std::iter::repeat_n(1, 600));
    let tables: Vec<(u32, u32)> = (17_000..).zip(lengths).collect();
    let mut files = backup_files();
    for &(relnode, blocks) in &tables {
        let table: Vec<_> = (0..blocks)
            .map(|block| page_of(relnode + block, before))
            .collect();
        files.push((format!("base/5/{relnode}"), pages(&table)));
    }
    let (tenant, _dir) = imported_files(&files, &wal_of(&[next_oid(1)]));
    for (relnode, blocks) in tables {
        assert_eq!(size(&tenant, relnode, Fork::Main), Some(blocks));
        for block in 0..blocks {
            let expected = page_of(relnode + block, before);
            let made = read(&tenant, relnode, block).unwrap();
            assert!(made == expected, "{relnode} block {block}");
        }
    }
    let (small, _dir) = imported_files(&backup_files(), &wal_of(&[next_oid(1)]));
    let [[versions, .., more], [.., few]] = [&tenant, &small].map(|it| it.stats().unwrap().entries);
    assert_eq!(versions, 0);
    assert_eq!(more - few, 1 + 65 + 2 + 1 + 1 + 33 + 2 + 1 + 600);
}

#[test]
fn every_chunking_gives_the_same() {
    for chunk_bytes in [1000, 8191, 1 << 20] {
        let (tenant, _dir) = tenant();
        let mut session = tenant.begin_import(options()).unwrap();
        write_backup(&mut session, chunk_bytes);
        let summary = session.finish_backup().unwrap();
        assert_eq!((summary.pages, summary.forks), (12, 6), "{chunk_bytes}");
        assert_eq!((summary.databases, summary.tablespaces), (1, 1));
        assert_eq!(summary.unknown_names, ["odd_directory/odd_file"]);
        assert_eq!(summary.ignored_files, 2);
    }
}

#[test]
fn wal_changes_what_was_there() {
    let older = page_of(20, Lsn(1));
    let mut copied = page_of(21, Lsn(1));
    let stream = wal_of(&[
        image(16384, 0, &older),
        image(16384, 5, &copied),
        truncate(16384, 1),
        create(16410),
        relation_map(9),
        copy_database(6),
        copy_database(8),
        drop_database(8),
        image(16384, 3, &copied),
        commit(1003),
    ]);
    let (tenant, _dir) = imported(&stream);
    let made = read(&tenant, 16384, 0).unwrap();
    assert_eq!(made[24..], older[24..]);
    assert!(page::pd_lsn(&made) > START, "stamped with the record's end");
    assert_eq!(
        read(&tenant, 16384, 1).unwrap(),
        [0; BLCKSZ],
        "cut off, never to come back"
    );
    assert_eq!(size(&tenant, 16384, Fork::Main), Some(4));
    assert_eq!(size(&tenant, 16410, Fork::Main), Some(0));
    assert_eq!(file(&tenant, FileKind::RelMap, 1663, 6), Some(vec![9; 512]));
    assert_eq!(
        file(&tenant, FileKind::Database, 1663, 6),
        Some(b"15\n".to_vec())
    );
    assert_eq!(file(&tenant, FileKind::Database, 1663, 8), None);
    let view = tenant.readable_view(INDEX, None).unwrap();
    let copies = view.relations(1663, 6).unwrap();
    assert_eq!(copies.len(), 5);
    assert_eq!((copies[0].0.relnode, copies[0].1), (16384, 1));
    assert_eq!(view.relations(1663, 8).unwrap(), []);
    view.page(
        &BlockKey {
            rel: copies[0].0,
            block: 0,
        },
        &mut copied,
    )
    .unwrap();
    assert_eq!(copied, made);
    let mut xact: Page = [0; BLCKSZ];
    view.slru_page(SlruKind::Xact, 0, &mut xact).unwrap();
    assert_eq!(xact[249], 0b0101_0101, "as in the backup");
    assert_eq!(xact[250], 0b0100_0000, "1003 is committed");
}

/// Copying and dropping a database commits on the way, and the store's map grows with it.
#[test]
fn the_store_grows_while_a_database_is_copied() {
    let noise = |seed: u64| -> Vec<u8> {
        let words = (0..600 * BLCKSZ as u64 / 8)
            .map(|at| (seed << 32 | at).wrapping_mul(0x9E37_79B9_7F4A_7C15))
            .map(|mixed| (mixed ^ mixed >> 29).wrapping_mul(0xBF58_476D_1CE4_E5B9));
        let mut bytes: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
        // An LSN before the backup.
        bytes.chunks_mut(BLCKSZ).for_each(|page| page[..8].fill(0));
        bytes
    };
    let mut files = backup_files();
    for number in 0..6_u32 {
        files.push((
            format!("base/5/{}", 20_000 + number),
            noise(u64::from(number)),
        ));
    }
    let stream = wal_of(&[copy_database(6), copy_database(7), drop_database(6)]);
    let (tenant, _dir) = imported_files(&files, &stream);
    let view = tenant.readable_view(INDEX, None).unwrap();
    assert_eq!(view.relations(1663, 6).unwrap(), []);
    let copies = view.relations(1663, 7).unwrap();
    let found = copies.iter().filter(|(_, blocks)| *blocks == 600);
    assert_eq!(found.count(), 6);
}

/// 16384's second page changed between the copy and the backup's end: whatever its LSN says, it may have
/// been written while it was read.
#[test]
fn pages_that_changed_after_their_database_was_copied_are_refused() {
    let records = [
        image(16384, 0, &page_of(6, START)),
        copy_database(6),
        image(16384, 0, &page_of(7, START)),
        image(16384, 1, &page_of(8, START)),
        copy_database(8),
        commit(1003),
    ];
    let wal = wal_of(&records);
    let before_change = wal_of(&records[..2]).end();
    for (backup_end, known) in [(wal.end(), false), (before_change, true)] {
        let (tenant, _dir) = imported_until(&wal, backup_end);
        let page = |dbnode, relnode, block| {
            let rel = rel(relnode, Fork::Main);
            let rel = RelKey { dbnode, ..rel };
            let mut made = [0xEE; BLCKSZ];
            let view = tenant.readable_view(INDEX, None).unwrap();
            view.page(&BlockKey { rel, block }, &mut made)
                .map(|()| made[24])
        };
        let refused = "unsupported record Database/CREATE_FILE_COPY at 0/3002";
        // Of the first page the WAL has what was copied.
        assert_eq!(page(6, 16384, 0).unwrap(), 6);
        assert_eq!(page(8, 16384, 0).unwrap(), 7);
        assert_eq!(page(8, 16384, 1).unwrap(), 8);
        let second = page(6, 16384, 1);
        match known {
            true => assert_eq!(second.unwrap(), 2),
            false => assert!(second.unwrap_err().to_string().starts_with(refused)),
        }
    }
}

/// 16385 was read by the backup when it was newer than the copy.
#[test]
fn pages_of_a_copied_database_that_are_not_known_are_refused_and_counted() {
    let stream = wal_of(&[copy_database(6)]);
    let (tenant, _dir) = tenant();
    let mut session = tenant.begin_import(options()).unwrap();
    write_backup(&mut session, 1 << 20);
    session.finish_backup().unwrap();
    session.wal(stream.bytes()).unwrap();
    let imported = session.finish(stream.end()).unwrap();
    let spec = TimelineSpec {
        index: INDEX,
        parent: None,
        last_record_lsn: imported.last_record_lsn,
        readable_from: imported.last_record_lsn,
    };
    tenant.attach(&spec).unwrap();
    let [unsupported] = &imported.unsupported[..] else {
        panic!("{:?}", imported.unsupported);
    };
    let expected = ("Database/CREATE_FILE_COPY", 1);
    assert_eq!((unsupported.name.as_str(), unsupported.count), expected);
    let rel = RelKey {
        dbnode: 6,
        ..rel(16385, Fork::Main)
    };
    let view = tenant.readable_view(INDEX, None).unwrap();
    let refused = view.page(&BlockKey { rel, block: 0 }, &mut [0; BLCKSZ]);
    let error = refused.unwrap_err().to_string();
    let expected = "unsupported record Database/CREATE_FILE_COPY at 0/3000028";
    assert_eq!(error, expected);
    assert_eq!(read(&tenant, 16385, 0).unwrap()[24], 9);
}

/// What is not known of a database is not known of a copy of it either, until its own WAL makes it.
#[test]
fn what_is_not_known_of_a_copied_database_stays_so_in_its_copies() {
    let mut remade = image(16384, 1, &page_of(9, START));
    remade.blocks[0].key.rel.dbnode = 6;
    let wal = wal_of(&[
        copy_database(6),
        copy_database_from(6, 8),
        remade,
        image(16384, 1, &page_of(8, START)),
        image(16384, 0, &page_of(8, START)),
        copy_database_from(6, 9),
    ]);
    let (tenant, _dir) = imported(&wal);
    let view = tenant.readable_view(INDEX, None).unwrap();
    let mut made = [0xEE; BLCKSZ];
    for (dbnode, block, expected) in [
        (6, 0, None),
        (6, 1, Some(9)),
        (8, 0, None),
        (8, 1, None),
        (9, 0, None),
        (9, 1, Some(9)),
    ] {
        let rel = rel(16384, Fork::Main);
        let rel = RelKey { dbnode, ..rel };
        let found = view.page(&BlockKey { rel, block }, &mut made);
        assert_eq!(found.ok().map(|()| made[24]), expected, "{dbnode} {block}");
    }
}

#[test]
fn a_source_of_a_copied_database_that_shrinks_during_the_backup_is_refused() {
    for (name, record) in [
        ("truncate", truncate(16384, 1)),
        ("drop", drop_database(5)),
        ("relation map", relation_map(7)),
    ] {
        let copied = wal_of(&[copy_database(6)]);
        let stream = wal_of(&[copy_database(6), record, next_oid(1)]);
        let finish = |end| {
            let (tenant, _dir) = tenant();
            let mut session = tenant.begin_import(options()).unwrap();
            write_backup(&mut session, 1 << 20);
            session.finish_backup().unwrap();
            session.wal(stream.bytes()).unwrap();
            session.finish(end).map(|_| ())
        };
        let error = finish(stream.end()).unwrap_err();
        assert!(matches!(error, EngineError::BadSource(_)), "{name}");
        assert!(
            error.to_string().contains("import again"),
            "{name}: {error}"
        );
        // Behind the backup's end every file is known.
        finish(copied.end()).unwrap();
    }
}

/// The backup saw the main fork of an unlogged table that was being made, and not its init fork.
#[test]
fn forks_that_are_not_logged_go_when_the_init_fork_comes() {
    let (tenant, _dir) = imported(&wal_of(&[create_init(16385)]));
    assert_eq!(size(&tenant, 16385, Fork::Init), Some(0));
    assert_eq!(size(&tenant, 16385, Fork::Main), None);
}

/// The backup looked while a page was being added.
#[test]
fn a_part_of_a_page_at_the_end_of_a_file_is_not_there() {
    let mut longer = page_of(1, Lsn(8)).to_vec();
    longer.extend([7; 4096]);
    let mut files = replaced("base/5/16384", &longer);
    files.push(("pg_xact/0001".to_owned(), vec![0; 4096]));
    let (tenant, _dir) = imported_files(&files, &wal_of(&[next_oid(1)]));
    assert_eq!(size(&tenant, 16384, Fork::Main), Some(1));
    assert_eq!(read(&tenant, 16384, 0).unwrap()[24], 1);
    assert_eq!(read(&tenant, 16384, 1).unwrap(), [0; BLCKSZ]);
}

#[test]
fn nothing_is_readable_before_the_catalog_says_so() {
    let stream = wal_of(&[next_oid(1)]);
    let (tenant, _dir) = tenant();
    let mut session = tenant.begin_import(options()).unwrap();
    write_backup(&mut session, 1 << 20);
    assert!(matches!(
        read(&tenant, 16384, 0),
        Err(EngineError::NotReadable { .. })
    ));
    session.finish_backup().unwrap();
    session.wal(stream.bytes()).unwrap();
    session.finish(stream.end()).unwrap();
    assert!(matches!(
        read(&tenant, 16384, 0),
        Err(EngineError::NotReadable { .. })
    ));
    session.abort().unwrap();
    assert!(
        tenant.timeline(INDEX).is_ok(),
        "a finished import is not aborted"
    );
}

#[test]
fn an_import_that_was_given_up_leaves_nothing_and_can_be_repeated() {
    let (tenant, _dir) = tenant();
    for end in ["drop", "abort", "fail"] {
        let mut session = tenant.begin_import(options()).unwrap();
        assert!(tenant.begin_import(options()).is_err(), "one at a time");
        write_backup(&mut session, 1 << 20);
        match end {
            "drop" => drop(session),
            "abort" => session.abort().unwrap(),
            _ => {
                session.begin_archive(0).unwrap();
                session.write(&[1; 512]).unwrap_err();
                session.write(&[0; 512]).unwrap_err();
                session.abort().unwrap();
            }
        }
        let gone = read(&tenant, 16384, 0);
        assert!(
            matches!(gone, Err(EngineError::UnknownTimeline(INDEX))),
            "{end}"
        );
        if end != "drop" {
            assert_eq!(tenant.stats().unwrap().entries, [0, 0, 1, 0], "{end}");
        }
    }
}

#[test]
fn broken_backups_are_refused() {
    let mut damaged = control().to_bytes();
    damaged[60] ^= 1;
    let mut other_cluster = control();
    other_cluster.system_identifier += 1;
    let mut minimal = control();
    minimal.wal_level = 0;
    let mut blocks = control();
    blocks.blcksz = 32_768;
    let cases = [
        (
            "slru",
            replaced("pg_xact/0001", &[0; 33 * BLCKSZ]),
            "pg_xact/0001",
        ),
        (
            "no control",
            without("global/pg_control"),
            "pg_control is missing",
        ),
        ("control", replaced("global/pg_control", &damaged), "CRC"),
        (
            "zeros",
            replaced("global/pg_control", &no_control()),
            "pg_control_version",
        ),
        (
            "cluster",
            replaced("global/pg_control", &other_cluster.to_bytes()),
            "system identifier",
        ),
        (
            "minimal",
            replaced("global/pg_control", &minimal.to_bytes()),
            "wal_level",
        ),
        (
            "blcksz",
            replaced("global/pg_control", &blocks.to_bytes()),
            "blcksz",
        ),
        (
            "no label",
            without("backup_label"),
            "backup_label is missing",
        ),
        (
            "label",
            replaced("backup_label", b"START TIMELINE: 3\n"),
            "backup_label is malformed",
        ),
        (
            "start",
            replaced(
                "backup_label",
                b"START WAL LOCATION: 0/3000060 (x)\nSTART TIMELINE: 3\n",
            ),
            "START WAL LOCATION",
        ),
        (
            "timeline",
            replaced(
                "backup_label",
                b"START WAL LOCATION: 0/3000028 (x)\nSTART TIMELINE: 1\n",
            ),
            "START TIMELINE",
        ),
        (
            "version",
            replaced("PG_VERSION", b"14\n"),
            "PG_VERSION says 14",
        ),
        (
            "map",
            without("global/pg_filenode.map"),
            "pg_filenode.map is missing",
        ),
        (
            "databases",
            without("base/5/PG_VERSION"),
            "a database is missing",
        ),
        (
            "origins",
            replaced("pg_logical/replorigin_checkpoint", b"?"),
            "replorigin_checkpoint",
        ),
    ];
    let (tenant, _dir) = tenant();
    for (name, files, expected) in cases {
        let mut session = tenant.begin_import(options()).unwrap();
        session.begin_archive(0).unwrap();
        let written = session.write(&archive(&files)).map(|_| ());
        let error = written
            .and_then(|()| session.finish_backup().map(|_| ()))
            .unwrap_err();
        assert!(error.to_string().contains(expected), "{name}: {error}");
        assert!(session.wal(b"").is_err(), "{name}: it is over");
    }
}

#[test]
fn archives_must_be_complete_and_calls_in_turn() {
    let (tenant, _dir) = tenant();
    let whole = archive(&backup_files());
    let begin = || {
        let mut session = tenant.begin_import(options()).unwrap();
        session.begin_archive(0).unwrap();
        session
    };
    let mut session = begin();
    session.write(&whole[..whole.len() / 2]).unwrap();
    assert!(matches!(
        session.begin_archive(1),
        Err(EngineError::Archive { .. })
    ));
    drop(session);
    let mut session = begin();
    session.write(&whole[..whole.len() - 1024]).unwrap();
    assert!(matches!(
        session.finish_backup(),
        Err(EngineError::Archive { .. })
    ));
    drop(session);
    let mut session = begin();
    assert!(matches!(session.wal(&[0]), Err(EngineError::BadRequest(_))));
    assert!(matches!(
        session.finish(START),
        Err(EngineError::BadRequest(_))
    ));
}

#[test]
fn wal_that_ends_early_or_is_damaged_is_refused() {
    let stream = wal_of(&[next_oid(1), commit(1000), commit(1001)]);
    let (tenant, _dir) = tenant();
    let begin = || {
        let mut session = tenant.begin_import(options()).unwrap();
        write_backup(&mut session, 1 << 20);
        session.finish_backup().unwrap();
        session
    };
    let mut session = begin();
    let progress = session
        .wal(&stream.bytes()[..stream.bytes().len() - 8])
        .unwrap();
    assert!((progress.lsn, progress.records) < (stream.end(), 3));
    let error = session.finish(stream.end()).unwrap_err().to_string();
    assert!(error.contains("before the backup's end"), "{error}");
    drop(session);
    let mut session = begin();
    let mut damaged = stream.bytes().to_vec();
    damaged[60] ^= 1;
    assert!(matches!(session.wal(&damaged), Err(EngineError::Wal(_))));
    assert!(session.finish(START).is_err());
}

#[test]
fn clusters_that_redo_does_not_know_are_refused_at_once() {
    let (tenant, _dir) = tenant();
    for (major, seg_size, expected) in [(14, 1 << 24, "Postgres 14"), (15, 5, "5 bytes")] {
        let mut options = options();
        options.wal.major = major;
        options.wal.seg_size = seg_size;
        let error = tenant.begin_import(options).err().unwrap();
        assert!(matches!(error, EngineError::UnsupportedSource(_)));
        assert!(error.to_string().contains(expected), "{error}");
    }
}
