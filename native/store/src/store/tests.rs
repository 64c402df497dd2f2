use super::*;
use std::ops::Bound;
use tempfile::TempDir;

fn small() -> StoreOptions {
    StoreOptions {
        map_size_initial_bytes: 1 << 20,
        ..StoreOptions::default()
    }
}

fn opened(options: StoreOptions) -> (TempDir, Store) {
    let dir = TempDir::new().unwrap();
    let store = Store::open(&dir.path().join("store"), options).unwrap();
    (dir, store)
}

fn put(store: &Store, keys: &[&[u8]]) {
    store
        .write(Durability::Commit, |txn| {
            keys.iter()
                .try_for_each(|key| txn.put(Table::Versions, key, &[key.len() as u8]))
        })
        .unwrap();
}

#[test]
fn seeks_and_ranges() {
    let (_dir, store) = opened(small());
    put(&store, &[b"a1", b"a2", b"b1", b"b\xff", b"c"]);
    let snapshot = store.read().unwrap();
    let at_most = |key: &[u8]| snapshot.seek_le(Table::Versions, key).unwrap().map(|e| e.0);
    let at_least = |key: &[u8]| snapshot.seek_ge(Table::Versions, key).unwrap().map(|e| e.0);
    for (key, le, ge) in [
        (&b"a"[..], None, Some(&b"a1"[..])),
        (b"a1", Some(&b"a1"[..]), Some(b"a1")),
        (b"a3", Some(b"a2"), Some(b"b1")),
        (b"z", Some(b"c"), None),
    ] {
        assert_eq!((at_most(key), at_least(key)), (le, ge), "{key:?}");
    }
    let keys = |entries: &mut dyn Iterator<Item = Result<crate::Entry<'_>, StoreError>>| {
        entries.map(|e| e.unwrap().0.to_vec()).collect::<Vec<_>>()
    };
    let mut b = keys(&mut snapshot.prefix(Table::Versions, b"b").unwrap());
    assert_eq!(b, [&b"b1"[..], b"b\xff"]);
    b.reverse();
    assert_eq!(
        keys(&mut snapshot.prefix_back(Table::Versions, b"b").unwrap()),
        b
    );
    let bounds = (Bound::Included(&b"a2"[..]), Bound::Excluded(&b"b\xff"[..]));
    let middle = keys(&mut snapshot.range(Table::Versions, bounds.0, bounds.1).unwrap());
    assert_eq!(middle, [b"a2", b"b1"]);
    assert!(snapshot.get(Table::Sizes, b"a1").unwrap().is_none());
}

#[test]
fn a_snapshot_does_not_change_and_moves_between_threads() {
    let (_dir, store) = opened(small());
    put(&store, &[b"a"]);
    let snapshot = store.read().unwrap();
    put(&store, &[b"b"]);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            assert!(snapshot.get(Table::Versions, b"b").unwrap().is_none());
            assert!(snapshot.get(Table::Versions, b"a").unwrap().is_some());
        });
    });
    assert!(
        store
            .read()
            .unwrap()
            .get(Table::Versions, b"b")
            .unwrap()
            .is_some()
    );
}

#[test]
fn a_failed_batch_leaves_nothing() {
    let (_dir, store) = opened(small());
    let result: Result<(), StoreError> = store.write(Durability::Commit, |txn| {
        txn.put(Table::Files, b"half", b"done")?;
        assert!(txn.get(Table::Files, b"half")?.is_some());
        Err(StoreError::Closed)
    });
    assert!(matches!(result, Err(StoreError::Closed)));
    assert!(
        store
            .read()
            .unwrap()
            .get(Table::Files, b"half")
            .unwrap()
            .is_none()
    );
}

#[test]
fn the_map_grows_by_itself_in_one_batch_and_over_many() {
    let (_dir, store) = opened(small());
    let value = vec![7; 100_000];
    let key = |n: u32| n.to_be_bytes();
    let mut runs = 0;
    store
        .write(Durability::Commit, |txn| {
            runs += 1;
            (0..50).try_for_each(|n| txn.put(Table::Versions, &key(n), &value))
        })
        .unwrap();
    assert!(runs > 1, "a batch larger than the map is run again");
    for n in 50..300 {
        store
            .write(Durability::Later, |txn| {
                txn.put(Table::Versions, &key(n), &value)
            })
            .unwrap();
    }
    store.sync().unwrap();
    let usage = store.usage().unwrap();
    assert_eq!(usage.entries, [300, 0, 0, 0]);
    assert!(
        (30_000_000..40_000_000).contains(&usage.used_bytes),
        "{usage:?}"
    );
    assert!(usage.map_bytes >= usage.used_bytes, "{usage:?}");
    let snapshot = store.read().unwrap();
    for n in 0..300 {
        assert_eq!(
            snapshot.get(Table::Versions, &key(n)).unwrap(),
            Some(&value[..])
        );
    }
}

#[test]
fn the_map_has_a_limit() {
    let options = StoreOptions {
        map_size_max_bytes: 2 << 20,
        ..small()
    };
    let (_dir, store) = opened(options);
    put(&store, &[b"kept"]);
    let big = vec![1; 3 << 20];
    let result = store.write(Durability::Commit, |txn| {
        txn.put(Table::Versions, b"big", &big)
    });
    assert!(matches!(
        result,
        Err(StoreError::MapFull { map_bytes_max, .. }) if map_bytes_max == 2 << 20
    ));
    put(&store, &[b"still"]);
    assert!(
        store
            .read()
            .unwrap()
            .get(Table::Versions, b"kept")
            .unwrap()
            .is_some()
    );
}

#[test]
fn a_reader_that_stays_delays_growing_for_so_long() {
    let options = StoreOptions {
        grow_wait_ms: 30,
        ..small()
    };
    let (_dir, store) = opened(options);
    let snapshot = store.read().unwrap();
    let big = vec![1; 3 << 20];
    let grow = || {
        let put_big = |txn: &mut WriteTxn<'_>| txn.put(Table::Versions, b"big", &big);
        store.write(Durability::Commit, put_big)
    };
    std::thread::scope(|scope| {
        let writer = scope.spawn(grow);
        let result = writer.join().unwrap();
        assert!(matches!(result, Err(StoreError::GrowTimeout { .. })));
    });
    drop(snapshot);
    grow().unwrap();
}

#[test]
fn readers_have_a_limit() {
    let options = StoreOptions {
        readers_max: 2,
        ..small()
    };
    let (_dir, store) = opened(options);
    let held = [store.read().unwrap(), store.read().unwrap()];
    assert!(matches!(
        store.read().err(),
        Some(StoreError::ReadersFull { readers_max: 2 })
    ));
    drop(held);
    store.read().unwrap();
}

#[test]
fn closing_ends_it_and_opening_finds_everything() {
    let (dir, store) = opened(small());
    let path = dir.path().join("store");
    put(&store, &[b"a"]);
    assert!(matches!(
        Store::open(&path, small()).err(),
        Some(StoreError::AlreadyOpen)
    ));
    store.close().unwrap();
    assert!(matches!(store.read().err(), Some(StoreError::Closed)));
    let write = store.write(Durability::Commit, |txn| txn.put(Table::Files, b"k", b"v"));
    assert!(matches!(write, Err(StoreError::Closed)));
    store.close().unwrap();
    let again = Store::open(&path, small()).unwrap();
    assert!(
        again
            .read()
            .unwrap()
            .get(Table::Versions, b"a")
            .unwrap()
            .is_some()
    );
}

#[test]
fn deletes() {
    let (_dir, store) = opened(small());
    put(&store, &[b"a", b"b", b"c", b"d"]);
    store
        .write::<_, StoreError>(Durability::Commit, |txn| {
            assert!(txn.delete(Table::Versions, b"d")?);
            assert!(!txn.delete(Table::Versions, b"d")?);
            assert_eq!(txn.delete_range(Table::Versions, b"a", b"c")?, 2);
            assert_eq!(
                txn.seek_le(Table::Versions, b"z")?.map(|e| e.0),
                Some(&b"c"[..])
            );
            Ok(())
        })
        .unwrap();
    assert_eq!(store.usage().unwrap().entries, [1, 0, 0, 0]);
}

#[test]
fn a_file_that_is_no_store_is_refused() {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("data.mdb"), vec![0x5A; 20_000]).unwrap();
    assert!(matches!(
        Store::open(dir.path(), small()).err(),
        Some(StoreError::Unusable(_))
    ));
}

#[test]
fn keys_have_a_length() {
    let (_dir, store) = opened(small());
    for length in [0, KEY_BYTES_MAX + 1] {
        let key = vec![b'k'; length];
        let result = store.write(Durability::Commit, |txn| txn.put(Table::Files, &key, b""));
        assert!(matches!(result, Err(StoreError::KeyLength(n)) if n == length));
    }
}

use crate::KEY_BYTES_MAX;
