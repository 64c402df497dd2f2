//! How connections end, and how the other side sees it.
#![allow(clippy::unwrap_used)]

mod fixture;

use fixture::{Dice, OPTIONS, fill, pumping, reset, rest, take, tcp, unix};
use offshoot_splice::{By, Event, How, Pair, PumpOptions};
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

#[test]
fn a_client_that_sends_no_more_still_gets_its_answers() {
    let pumping = pumping(OPTIONS);
    let (id, mut client, mut compute) = pumping.spliced();
    client.write_all(b"question").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest(&mut compute).0, b"question");
    compute.write_all(b"answer").unwrap();
    assert_eq!(take(&mut client, 6), b"answer");
    drop(compute);
    let (told, end) = pumping.ended();
    assert_eq!((told, end.by, end.how), (id, By::Client, How::Ended));
    assert_eq!((end.bytes_to_client, end.bytes_to_compute), (6, 8));
    assert_eq!(pumping.gone(), id);
    assert!(matches!(rest(&mut client), (nothing, Ok(0)) if nothing.is_empty()));
}

#[test]
fn an_end_comes_behind_what_the_compute_has_not_taken_yet() {
    let pumping = pumping(OPTIONS);
    let (_, mut client, mut compute) = pumping.spliced();
    let pattern = Dice(3).bytes(1000);
    let sent = fill(&mut client, &pattern);
    client.shutdown(Shutdown::Write).unwrap();
    let (taken, end) = rest(&mut compute);
    end.unwrap();
    assert!(
        taken
            .into_iter()
            .eq(pattern.iter().copied().cycle().take(sent))
    );
}

#[test]
fn a_compute_that_closes_has_its_last_words() {
    let pumping = pumping(OPTIONS);
    let (id, mut client, mut compute) = pumping.spliced();
    compute.write_all(b"last words").unwrap();
    drop(compute);
    let (_, end) = pumping.ended();
    assert_eq!((end.by, end.how), (By::Compute, How::Ended));
    let (words, in_order) = rest(&mut client);
    assert_eq!(words, b"last words");
    in_order.unwrap();
    // It is waited for until it has closed its side, too.
    client.write_all(b"said into the void").unwrap();
    drop(client);
    assert_eq!(pumping.gone(), id);
}

#[test]
fn the_last_words_of_a_compute_that_hears_nothing_any_more() {
    let pumping = pumping(OPTIONS);
    let (mut client, ours) = tcp();
    let (mut compute, its) = unix();
    compute.write_all(b"terminated by administrator").unwrap();
    drop(compute);
    pumping.adopt_with(ours, its, b"", b"select 1");
    let (words, in_order) = rest(&mut client);
    assert_eq!(words, b"terminated by administrator");
    in_order.unwrap();
    let (_, end) = pumping.ended();
    assert_eq!((end.by, end.how), (By::Compute, How::Ended));
}

#[test]
fn a_compute_that_takes_no_more_and_says_nothing_is_broken() {
    let pumping = pumping(OPTIONS);
    let (_, mut client, compute) = pumping.spliced();
    compute.shutdown(Shutdown::Read).unwrap();
    client.write_all(b"anybody there?").unwrap();
    let (_, end) = pumping.ended();
    assert_eq!((end.by, end.how), (By::Compute, How::Broken));
    assert!(rest(&mut client).1.is_err());
    drop(compute);
}

#[test]
fn a_broken_compute_breaks_the_client_off_behind_what_came_before() {
    let pumping = pumping(OPTIONS);
    let (id, mut client, mut compute) = pumping.spliced_by_tcp();
    compute.write_all(b"before").unwrap();
    assert_eq!(take(&mut client, 6), b"before");
    reset(compute);
    let (_, end) = pumping.ended();
    assert_eq!((end.by, end.how), (By::Compute, How::Broken));
    assert_eq!(pumping.gone(), id);
    let error = client.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[test]
fn a_broken_client_ends_the_compute() {
    let pumping = pumping(OPTIONS);
    let (id, client, mut compute) = pumping.spliced();
    reset(client);
    let (_, end) = pumping.ended();
    assert_eq!((end.by, end.how), (By::Client, How::Broken));
    assert_eq!(pumping.gone(), id);
    assert_eq!(compute.read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_client_that_breaks_while_it_is_held_back_is_seen_behind_what_it_has_sent() {
    let pumping = pumping(OPTIONS);
    let (_, mut client, mut compute) = pumping.spliced();
    fill(&mut client, &[1; 1000]);
    reset(client);
    let mut buffer = vec![0; 1 << 20];
    while compute.read(&mut buffer).unwrap() > 0 {}
    let (_, end) = pumping.ended();
    assert_eq!((end.by, end.how), (By::Client, How::Broken));
}

#[test]
fn a_client_that_never_reads_keeps_no_compute_waiting_once_it_leaves() {
    let pumping = pumping(OPTIONS);
    let (id, client, mut compute) = pumping.spliced();
    fill(&mut compute, &[1; 1000]);
    drop(compute);
    reset(client);
    let (_, end) = pumping.ended();
    assert_eq!((end.by, end.how), (By::Client, How::Broken));
    assert_eq!(pumping.gone(), id);
    assert_eq!(pumping.pump.sums().held, 0);
}

#[test]
fn cut_it_ends_on_both_sides() {
    let pumping = pumping(OPTIONS);
    let (id, mut client, mut compute) = pumping.spliced();
    client.write_all(b"heard").unwrap();
    assert_eq!(take(&mut compute, 5), b"heard");
    pumping.pump.cut(id);
    let (_, end) = pumping.ended();
    assert_eq!((end.by, end.how), (By::Gateway, How::Ended));
    assert_eq!(compute.read(&mut [0]).unwrap(), 0);
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
    drop(client);
    assert_eq!(pumping.gone(), id);
    // Nobody is known by that number any more, nor by another.
    pumping.pump.cut(id);
    pumping.pump.cut(12345);
}

#[test]
fn cut_while_both_sides_are_held_back() {
    let pumping = pumping(PumpOptions {
        linger: Duration::from_millis(50),
        ..OPTIONS
    });
    let (id, mut client, mut compute) = pumping.spliced();
    fill(&mut client, &[1; 1000]);
    fill(&mut compute, &[2; 1000]);
    pumping.pump.cut(id);
    pumping.ended();
    // It has not taken its last bytes in time.
    assert_eq!(pumping.gone(), id);
    assert_eq!(pumping.pump.sums().held, 0);
}

#[test]
fn a_client_that_does_not_close_has_its_time() {
    let linger = Duration::from_millis(100);
    let pumping = pumping(PumpOptions { linger, ..OPTIONS });
    let (id, mut client, compute) = pumping.spliced();
    drop(compute);
    pumping.ended();
    let began = Instant::now();
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
    assert_eq!(pumping.gone(), id);
    assert!(began.elapsed() > linger / 2);
    assert!(client.write_all(b"too late").is_err() || client.read(&mut [0]).is_err());
}

#[test]
fn closed_it_breaks_off_what_is_left_and_takes_nothing_more() {
    let pumping = pumping(OPTIONS);
    let (_, mut client, _compute) = pumping.spliced();
    client.write_all(b"said").unwrap();
    pumping.pump.close();
    let (_, end) = pumping.ended();
    assert_eq!((end.by, end.how), (By::Gateway, How::Broken));
    assert!(matches!(pumping.next(), Event::Gone { .. }));
    let ((near, ours), (far, its)) = (tcp(), unix());
    let pair = Pair::duplicate(ours.as_raw_fd(), its.as_raw_fd()).unwrap();
    assert!(pumping.pump.adopt(pair).is_err());
    pumping.pump.close();
    drop((near, far));
}

#[test]
fn only_stream_sockets_are_taken() {
    let (ours, _far) = unix();
    let file = std::fs::File::open("/dev/null").unwrap();
    assert!(Pair::duplicate(ours.as_raw_fd(), file.as_raw_fd()).is_err());
    assert!(Pair::duplicate(-1, ours.as_raw_fd()).is_err());
    let datagrams = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    assert!(Pair::duplicate(datagrams.as_raw_fd(), ours.as_raw_fd()).is_err());
}
