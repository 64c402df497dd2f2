//! What passes: all of it, in order, no faster than it is taken.
#![allow(clippy::unwrap_used)]

mod fixture;

use fixture::{BUFFER_BYTES, Dice, OPTIONS, fill, pumping, reset, take, tcp, unix, wait_until};
use offshoot_splice::{By, How, PumpOptions, Sums};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::thread;
use std::time::Duration;

#[test]
fn a_word_each_way() {
    let pumping = pumping(OPTIONS);
    let (_, mut client, mut compute) = pumping.spliced();
    client.write_all(b"question").unwrap();
    assert_eq!(take(&mut compute, 8), b"question");
    compute.write_all(b"answer").unwrap();
    assert_eq!(take(&mut client, 6), b"answer");
    let sums = Sums {
        to_client: 6,
        to_compute: 8,
        held: 0,
    };
    assert_eq!(pumping.pump.sums(), sums);
}

#[test]
fn what_was_read_before_comes_first() {
    let pumping = pumping(OPTIONS);
    let (mut client, ours) = tcp();
    let (mut compute, its) = unix();
    client.write_all(b" read later").unwrap();
    compute.write_all(b" said later").unwrap();
    pumping.adopt_with(ours, its, b"said", b"read");
    assert_eq!(take(&mut compute, 15), b"read read later");
    assert_eq!(take(&mut client, 15), b"said said later");
    assert_eq!(pumping.pump.sums().to_client, 15);
}

#[test]
fn more_than_the_sockets_take_may_have_been_read_before() {
    let pumping = pumping(OPTIONS);
    let (mut client, ours) = tcp();
    let (compute, its) = unix();
    let before = Dice(5).bytes(20_000_000);
    pumping.adopt_with(ours, its, &before, b"");
    drop(compute);
    assert!(take(&mut client, before.len()) == before);
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
}

/// Writes in chunks of random sizes with pauses here and there.
fn write_in_pieces(mut stream: impl Write, bytes: &[u8], dice: &mut Dice) {
    let mut at = 0;
    while at < bytes.len() {
        let most = [1, 100, 5000, 100_000][dice.throw(4)];
        let end = bytes.len().min(at + 1 + dice.throw(most));
        stream.write_all(&bytes[at..end]).unwrap();
        at = end;
        if dice.throw(50) == 0 {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

fn read_in_pieces(mut stream: impl Read, bytes: &[u8], dice: &mut Dice) {
    let mut at = 0;
    let mut buffer = vec![0; 100_000];
    while at < bytes.len() {
        let most = [1, 100, 5000, 100_000][dice.throw(4)];
        let count = stream.read(&mut buffer[..1 + dice.throw(most)]).unwrap();
        assert!(count > 0, "it ended after {at} bytes");
        assert!(
            buffer[..count] == bytes[at..at + count],
            "wrong behind {at}"
        );
        at += count;
        if dice.throw(50) == 0 {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

#[test]
fn pieces_of_any_size_both_ways_at_once() {
    const BYTES: usize = 2_000_000;
    let pumping = pumping(PumpOptions {
        threads: 2,
        ..OPTIONS
    });
    thread::scope(|scope| {
        for seed in 1..=3 {
            let (_, client, compute) = pumping.spliced();
            let [there, back] = [seed, seed + 100].map(|seed| Dice(seed).bytes(BYTES));
            let (there, back): (&'static [u8], &'static [u8]) = (there.leak(), back.leak());
            let pair = |stream: &std::net::TcpStream| stream.try_clone().unwrap();
            let (client_out, client_in) = (pair(&client), client);
            let (compute_out, compute_in) = (compute.try_clone().unwrap(), compute);
            scope.spawn(move || write_in_pieces(client_out, there, &mut Dice(seed)));
            scope.spawn(move || write_in_pieces(compute_out, back, &mut Dice(seed + 1)));
            scope.spawn(move || read_in_pieces(client_in, back, &mut Dice(seed + 2)));
            scope.spawn(move || read_in_pieces(compute_in, there, &mut Dice(seed + 3)));
        }
    });
    for _ in 0..3 {
        // Each closes both its sockets at the end, in whatever order.
        while let offshoot_splice::Event::Ended { end, .. } = pumping.next() {
            assert_eq!(end.bytes_to_client, BYTES as u64);
            assert_eq!(end.bytes_to_compute, BYTES as u64);
        }
    }
}

#[test]
fn a_slow_side_holds_the_other_back() {
    let pumping = pumping(OPTIONS);
    let (_, mut client, mut compute) = pumping.spliced();
    let pattern = Dice(9).bytes(9973);
    let sent_back = fill(&mut compute, &pattern);
    let sent_there = fill(&mut client, &pattern);
    let held = pumping.pump.sums().held;
    assert!(
        held > 0 && held <= 2 * BUFFER_BYTES as u64,
        "{held} bytes held"
    );
    let expected = |bytes: usize| pattern.iter().copied().cycle().take(bytes);
    client.set_nonblocking(false).unwrap();
    compute.set_nonblocking(false).unwrap();
    assert!(
        take(&mut client, sent_back)
            .into_iter()
            .eq(expected(sent_back))
    );
    assert!(
        take(&mut compute, sent_there)
            .into_iter()
            .eq(expected(sent_there))
    );
    assert_eq!(pumping.pump.sums().held, 0);
    client.write_all(b"and on").unwrap();
    assert_eq!(take(&mut compute, 6), b"and on");
}

#[test]
fn a_slow_client_keeps_no_other_waiting() {
    let pumping = pumping(OPTIONS);
    let (_, _slow, mut busy) = pumping.spliced();
    fill(&mut busy, &[7; 4096]);
    let (_, mut client, mut compute) = pumping.spliced();
    for _ in 0..100 {
        client.write_all(b"ping").unwrap();
        assert_eq!(take(&mut compute, 4), b"ping");
        compute.write_all(b"pong").unwrap();
        assert_eq!(take(&mut client, 4), b"pong");
    }
}

#[test]
fn one_that_never_stops_keeps_no_other_waiting() {
    let pumping = pumping(OPTIONS);
    let (_, greedy, flood) = pumping.spliced();
    let source = thread::spawn(move || {
        let mut flood = flood;
        while flood.write_all(&[1; 65536]).is_ok() {}
    });
    let sink = thread::spawn(move || {
        let mut greedy = greedy;
        let mut buffer = vec![0; 65536];
        let mut left = 200_000_000usize;
        while left > 0 {
            left = left.saturating_sub(greedy.read(&mut buffer).unwrap());
        }
        reset(greedy);
    });
    let (_, mut client, mut compute) = pumping.spliced();
    let mut turns = 0;
    while !sink.is_finished() {
        client.write_all(b"ping").unwrap();
        assert_eq!(take(&mut compute, 4), b"ping");
        turns += 1;
    }
    assert!(turns > 10, "{turns} turns");
    let (_, end) = pumping.ended();
    assert_eq!((end.by, end.how), (By::Client, How::Broken));
    source.join().unwrap();
    sink.join().unwrap();
}

/// As many descriptors as the system lets this process have.
fn descriptors_max() -> usize {
    // SAFETY: the limits are written before they are read.
    unsafe {
        let mut limits: libc::rlimit = std::mem::zeroed();
        libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limits);
        limits.rlim_cur = limits.rlim_max;
        libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limits);
        limits.rlim_cur as usize
    }
}

#[test]
fn thousands_of_connections() {
    // Each has two on both sides; the other tests of this process have some, too.
    let count = (descriptors_max() / 4).saturating_sub(200).min(4000);
    assert!(count > 0, "there are too few descriptors");
    let pumping = pumping(PumpOptions {
        threads: 2,
        ..OPTIONS
    });
    let mut all: Vec<_> = (0..count)
        .map(|_| {
            let ((client, ours), (compute, its)) = (unix(), unix());
            (pumping.adopt(ours, its), client, compute)
        })
        .collect();
    for (id, client, _) in &mut all {
        client.write_all(&id.to_be_bytes()).unwrap();
    }
    for (id, _, compute) in &mut all {
        assert_eq!(take(compute, 8), id.to_be_bytes());
        compute.write_all(&id.to_le_bytes()).unwrap();
        compute.shutdown(Shutdown::Both).unwrap();
    }
    for (id, client, _) in &mut all {
        assert_eq!(take(client, 8), id.to_le_bytes());
    }
    drop(all);
    let mut ends = 0;
    for _ in 0..2 * count {
        if let offshoot_splice::Event::Ended { end, .. } = pumping.next() {
            assert_eq!((end.by, end.how), (By::Compute, How::Ended));
            ends += 1;
        }
    }
    assert_eq!(ends, count);
    wait_until("nothing held", || pumping.pump.sums().held == 0);
}
