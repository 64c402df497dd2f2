//! A real cluster in a directory of its own, for who has Postgres: `OFFSHOOT_TEST_PG_BINDIR` is a directory
//! with Postgres 15 and its client programs.

#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot be set up fails"
)]

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use offshoot_layout::{Lsn, wal_segment};
use offshoot_wal::WalParams;
use tempfile::TempDir;

/// The user "nobody": Postgres does not run as root.
const NOBODY: u32 = 65_534;

pub struct Postgres {
    bindir: PathBuf,
    /// Everything is below it, and belongs to whoever runs Postgres.
    pub dir: PathBuf,
    user: Option<u32>,
}

impl Postgres {
    pub fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.bindir.join(name));
        command
            .current_dir(&self.dir)
            .env("HOME", &self.dir)
            .env("PGUSER", "postgres");
        command
            .env("PGHOST", &self.dir)
            .env("PGDATABASE", "postgres");
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        command
    }

    pub fn run(&self, name: &str, arguments: &[&str]) -> String {
        let output = self.program(name).args(arguments).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{name} {arguments:?}: {text}{errors}"
        );
        text
    }

    pub fn sql(&self, text: &str) -> String {
        self.run("psql", &["-XAtq", "-v", "ON_ERROR_STOP=1", "-c", text])
    }

    /// Starts the server with `settings` ("-c name=value …") and with a socket in `dir`.
    pub fn start(&self, data: &str, settings: &str) {
        let dir = self.dir.display();
        let options = format!("-c listen_addresses= -c unix_socket_directories={dir} {settings}");
        let log = format!("{data}.log");
        // Not run(): the server would inherit the pipes, and they would never end.
        let arguments = ["-D", data, "-l", &log, "-w", "-o", &options, "start"];
        let output = File::create(self.dir.join("pg_ctl.log")).unwrap();
        let status = self
            .program("pg_ctl")
            .args(arguments)
            .stdout(output)
            .status()
            .unwrap();
        let log = fs::read_to_string(self.dir.join(log)).unwrap_or_default();
        assert!(status.success(), "{log}");
    }

    pub fn stop(&self, data: &str) {
        self.run("pg_ctl", &["-D", data, "-w", "-m", "fast", "stop"]);
    }

    pub fn own(&self, path: &Path) {
        if let Some(user) = self.user {
            chown(path, Some(user), Some(user)).unwrap();
        }
        if path.is_dir() {
            for entry in fs::read_dir(path).unwrap() {
                self.own(&entry.unwrap().path());
            }
        }
    }
}

/// Stops the server also when the test fails.
pub struct Running<'p>(pub &'p Postgres, pub &'static str);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if self.0.dir.join(self.1).join("postmaster.pid").exists() {
            self.0.stop(self.1);
        }
    }
}

pub fn postgres() -> (Postgres, TempDir) {
    let bindir = std::env::var_os("OFFSHOOT_TEST_PG_BINDIR");
    let bindir = PathBuf::from(bindir.expect("OFFSHOOT_TEST_PG_BINDIR names Postgres' programs"));
    let temporary = TempDir::new().unwrap();
    let dir = temporary.path().to_path_buf();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
    // SAFETY: asks the system who we are.
    let root = unsafe { libc::geteuid() } == 0;
    let postgres = Postgres {
        bindir,
        dir,
        user: root.then_some(NOBODY),
    };
    postgres.own(&postgres.dir);
    (postgres, temporary)
}

/// From LSN to the end of its segment, then whole segments.
pub fn wal_from(data: &Path, start: Lsn, params: &WalParams) -> Vec<Vec<u8>> {
    let mut parts = Vec::new();
    let mut at = start;
    while let Ok(segment) = fs::read(data.join("pg_wal").join(wal_segment::file_name(
        params.tli,
        at,
        params.seg_size,
    ))) {
        let skipped = at.0 - wal_segment::start_of(at, params.seg_size).0;
        parts.push(segment[skipped as usize..].to_vec());
        at = wal_segment::start_of_next(at, params.seg_size).unwrap();
    }
    parts
}

pub fn lsn_in_manifest(manifest: &str, name: &str) -> Lsn {
    let behind = manifest.split_once(&format!("\"{name}\": \"")).unwrap().1;
    behind.split('"').next().unwrap().parse().unwrap()
}
