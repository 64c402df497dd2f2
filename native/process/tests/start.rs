//! Programs that are started, and how they end.
#![allow(clippy::unwrap_used)]

use offshoot_process::{End, Program, reap, start};
use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

const WAIT_MAX: Duration = Duration::from_secs(30);

struct Ran {
    end: End,
    output: String,
}

fn sh(script: &str, environment: &[&str], directory: &Path) -> Ran {
    let arguments = ["-c".to_owned(), script.to_owned()];
    run("/bin/sh", &arguments, environment, directory).unwrap()
}

fn run(
    path: &str,
    arguments: &[String],
    environment: &[&str],
    directory: &Path,
) -> std::io::Result<Ran> {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("output");
    let output = File::create(&file).unwrap();
    let environment: Vec<_> = environment.iter().map(|&text| text.to_owned()).collect();
    let program = Program::new(
        OsStr::new(path),
        arguments,
        &environment,
        directory.as_os_str(),
        None,
        output.as_raw_fd(),
    );
    let (tell, told) = mpsc::channel();
    let pid = start(program.unwrap(), move |pid, end| {
        tell.send((pid, end)).unwrap()
    })?;
    let (ended, end) = told.recv_timeout(WAIT_MAX).unwrap();
    assert_eq!(pid, ended);
    assert!(is_there(pid), "its id is not another's yet");
    reap(pid);
    assert!(!is_there(pid));
    let output = std::fs::read_to_string(file).unwrap();
    Ok(Ran { end, output })
}

fn is_there(pid: i32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

#[test]
fn it_has_the_given_place_environment_and_output_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path().canonicalize().unwrap();
    let Ran { end, output } = sh(
        "pwd; echo $A-$HOME; read line || echo no input; echo error >&2; ls /proc/$$/fd; exec env",
        &["A=b c", "PATH=/usr/bin:/bin"],
        &directory,
    );
    assert_eq!(end, End::Code(0));
    let lines: Vec<_> = output.lines().collect();
    assert_eq!(lines[0], directory.to_str().unwrap());
    assert_eq!(lines[1..4], ["b c-", "no input", "error"]);
    assert_eq!(lines[4..7], ["0", "1", "2"]);
    assert!(
        !lines[7].starts_with(char::is_numeric),
        "another descriptor"
    );
    assert!(
        lines.contains(&"A=b c") && !output.contains("CARGO"),
        "{output}"
    );
}

#[test]
fn its_signals_are_as_of_a_new_program() {
    // The test harness, as Node.js, ignores SIGPIPE, which would be inherited.
    let Ran { output, .. } = sh(
        "grep -E '^Sig(Blk|Ign)' /proc/self/status",
        &["PATH=/usr/bin:/bin"],
        Path::new("/"),
    );
    for line in output.lines() {
        let set = u64::from_str_radix(line.split_whitespace().last().unwrap(), 16).unwrap();
        // Real-time signals, two of which are the C library's, are left as they are.
        assert_eq!(set & 0x7fff_ffff, 0, "{line}");
    }
    assert_eq!(output.lines().count(), 2);
}

#[test]
fn its_end_is_told_as_it_was() {
    let directory = Path::new("/");
    assert_eq!(sh("exit 3", &[], directory).end, End::Code(3));
    assert_eq!(sh("kill -9 $$", &[], directory).end, End::Signal(9));
}

#[test]
fn a_session_of_its_own() {
    let Ran { output, .. } = sh(
        "cut -d' ' -f 1,6 /proc/$$/stat",
        &["PATH=/usr/bin:/bin"],
        Path::new("/"),
    );
    let ids: Vec<_> = output.split_whitespace().collect();
    assert_eq!(ids[0], ids[1], "{output}");
}

#[test]
fn what_cannot_be_started_says_why() {
    let cases = [
        ("/no/such/program", "/", std::io::ErrorKind::NotFound),
        (
            "/bin/sh",
            "/no/such/directory",
            std::io::ErrorKind::NotFound,
        ),
        ("/etc/passwd", "/", std::io::ErrorKind::PermissionDenied),
    ];
    for (path, directory, kind) in cases {
        let error = run(path, &[], &[], Path::new(directory)).err().unwrap();
        assert_eq!(error.kind(), kind, "{path} in {directory}: {error}");
    }
}

#[test]
fn many_at_once() {
    let threads: Vec<_> = (0..20)
        .map(|code| {
            std::thread::spawn(move || {
                let script = format!("exit {code}");
                assert_eq!(sh(&script, &[], Path::new("/")).end, End::Code(code));
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}
