//! What is left of a pump: nothing. Alone in its process, since it counts.
#![allow(clippy::unwrap_used)]

mod fixture;

use fixture::{OPTIONS, fill, pumping, reset, wait_until};
use offshoot_splice::PumpOptions;
use std::fs::{read_dir, read_to_string};
use std::time::Duration;

#[test]
fn no_descriptor_and_no_thread_nor_work_without_anything_to_do() {
    idle();
    nothing_left();
}

/// Broken connections of which nothing can be read yet are told of for as long as they are waited for.
fn idle() {
    let pumping = pumping(OPTIONS);
    let (_, mut client, _deaf) = pumping.spliced();
    fill(&mut client, &[1; 1000]);
    reset(client);
    let (_, _deaf, mut compute) = pumping.spliced_by_tcp();
    fill(&mut compute, &[1; 1000]);
    reset(compute);
    let before = ticks();
    std::thread::sleep(Duration::from_millis(300));
    assert!(ticks() - before < 10, "it asks again and again");
}

/// Processor time of the pump's thread, in hundredths of a second.
fn ticks() -> u64 {
    let tasks = read_dir("/proc/self/task").unwrap();
    let mut stats = tasks.map(|task| read_to_string(task.unwrap().path().join("stat")).unwrap());
    let stat = stats.find(|stat| stat.contains("(splice)")).unwrap();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    fields[11..13]
        .iter()
        .map(|field| field.parse::<u64>().unwrap())
        .sum()
}

fn nothing_left() {
    let count = |what: &str| read_dir(format!("/proc/self/{what}")).unwrap().count();
    let (descriptors, threads) = (count("fd"), count("task"));
    {
        let pumping = pumping(PumpOptions {
            threads: 3,
            ..OPTIONS
        });
        assert_eq!(count("task"), threads + 3);
        let open: Vec<_> = (0..20).map(|_| pumping.spliced()).collect();
        // Both ends of two sockets.
        wait_until("all to be taken over", || {
            count("fd") == descriptors + 6 + 20 * 4
        });
        for (at, (id, mut client, mut compute)) in open.into_iter().enumerate() {
            match at % 4 {
                0 => pumping.pump.cut(id),
                1 => drop(client),
                2 => drop(compute),
                _ => {
                    fill(&mut client, &[1; 1000]);
                    fill(&mut compute, &[1; 1000]);
                }
            }
        }
    }
    wait_until("nothing left", || {
        count("fd") == descriptors && count("task") == threads
    });
}
