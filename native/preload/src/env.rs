//! Settings, read from the environment once, when the library is loaded: Postgres later overwrites the
//! environment's memory with its process title.

use crate::address::Address;
use crate::{interrupt, limits, log, real, refusal, statements, sys};
use offshoot_layout::Lsn;
use std::ffi::CString;
use std::sync::OnceLock;
use std::time::Duration;

/// What this process tree reads from where.
pub struct Settings {
    /// OFFSHOOT_PAGESERVER.
    pub address: Address,
    /// OFFSHOOT_TENANT, 32 hex digits.
    pub tenant: String,
    /// OFFSHOOT_TIMELINE, 32 hex digits.
    pub timeline: String,
    /// OFFSHOOT_LSN: the base LSN, at which every page is read.
    pub lsn: Lsn,
    /// OFFSHOOT_TOKEN_FILE: its content is the password.
    pub token_file: Option<CString>,
    /// OFFSHOOT_RETRY_MS: how long one call may keep trying.
    pub retry: Duration,
    /// How long the server may be silent before it counts as lost.
    pub response_wait: Duration,
    /// OFFSHOOT_READAHEAD_PAGES: longest read-ahead; 0 turns it off.
    pub read_ahead_pages_max: u32,
    /// OFFSHOOT_SPARE_FILES: how many there are.
    pub spare_files: u32,
    /// OFFSHOOT_READ_ONLY, 0 or 1: a standby that stays one.
    pub read_only: bool,
    /// The process that loaded the library: Postgres' postmaster.
    pub loader_pid: libc::pid_t,
}

const RETRY_MS_DEFAULT: u64 = 60_000;
const RESPONSE_WAIT_MIN: Duration = Duration::from_millis(500);
const RESPONSE_WAIT_MAX: Duration = Duration::from_secs(10);
const READAHEAD_PAGES_DEFAULT: u32 = 64;
/// More in flight than this would outgrow the socket buffers of both sides.
const READAHEAD_PAGES_MAX: u32 = 1024;

static SETTINGS: OnceLock<Settings> = OnceLock::new();

/// The settings; `None` before the library's constructor ran and when there is no page server.
pub fn settings() -> Option<&'static Settings> {
    SETTINGS.get()
}

#[cfg(not(test))]
#[used]
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: extern "C" fn() = constructor;

extern "C" fn constructor() {
    // No panic may reach the dynamic linker.
    let started = std::panic::catch_unwind(|| {
        real::resolve_all();
        tie_to_parent()?;
        if let Some(settings) = read(|name| std::env::var(name).ok())? {
            let _ = SETTINGS.set(settings);
            interrupt::resolve();
            limit()?;
        }
        if interrupt::is_postgres() {
            forget_environment();
        }
        Ok::<(), String>(())
    });
    if let Ok(Err(reason)) = started {
        log::line(format_args!("cannot start: {reason}"));
        // SAFETY: ends the process; nothing of it has run yet.
        unsafe { libc::_exit(1) };
    }
}

/// With OFFSHOOT_PARENT_PID set, this process ends (immediate shutdown) when that parent does.
fn tie_to_parent() -> Result<(), String> {
    let Ok(text) = std::env::var("OFFSHOOT_PARENT_PID") else {
        return Ok(());
    };
    let parent: libc::pid_t = text
        .parse()
        .map_err(|_| format!("OFFSHOOT_PARENT_PID is \"{text}\", not a process id"))?;
    // SAFETY: neither call passes memory.
    let is_child = unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGQUIT);
        libc::getppid() == parent
    };
    // Asked after the tie is made, so a parent that died in between is noticed too.
    if is_child {
        Ok(())
    } else {
        Err(format!("the parent process {parent} is gone"))
    }
}

/// OFFSHOOT_LIMITS_FILE says what is refused, OFFSHOOT_DATA_BYTES_MAX how much memory of its own a process may have; in
/// OFFSHOOT_STATEMENTS_FILE is noted when statements begin.
fn limit() -> Result<(), String> {
    if let Ok(path) = std::env::var("OFFSHOOT_STATEMENTS_FILE") {
        let path =
            CString::new(path).map_err(|_| "OFFSHOOT_STATEMENTS_FILE holds a NUL".to_owned())?;
        statements::map(&path)?;
    }
    if let Ok(path) = std::env::var("OFFSHOOT_LIMITS_FILE") {
        let path = CString::new(path).map_err(|_| "OFFSHOOT_LIMITS_FILE holds a NUL".to_owned())?;
        limits::map(&path)?;
        if interrupt::is_postgres() {
            refusal::install()?;
        }
    }
    if let Ok(text) = std::env::var("OFFSHOOT_DATA_BYTES_MAX") {
        let bytes = text
            .parse()
            .map_err(|_| format!("OFFSHOOT_DATA_BYTES_MAX is \"{text}\", not a number"))?;
        sys::limit_data(bytes).map_err(|errno| {
            format!("the limit of {bytes} bytes for data cannot be set: {errno}")
        })?;
    }
    Ok(())
}

/// Programs that Postgres runs (COPY … PROGRAM) are no part of the compute.
fn forget_environment() {
    let ours = std::env::vars_os()
        .map(|(name, _)| name)
        .filter(|name| name == "LD_PRELOAD" || name.to_string_lossy().starts_with("OFFSHOOT_"));
    for name in ours.collect::<Vec<_>>() {
        // SAFETY: the constructor runs before the program starts a thread.
        unsafe { std::env::remove_var(name) };
    }
}

fn read(get: impl Fn(&str) -> Option<String>) -> Result<Option<Settings>, String> {
    let Some(address) = get("OFFSHOOT_PAGESERVER") else {
        return Ok(None);
    };
    let needed = |name: &str| get(name).ok_or_else(|| format!("{name} is not set"));
    let id = |name: &str| {
        let text = needed(name)?;
        let valid = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        valid
            .then_some(text)
            .ok_or_else(|| format!("{name} is not 32 hexadecimal digits"))
    };
    let number = |name: &str, default: u64| match get(name) {
        None => Ok(default),
        Some(text) => text
            .parse::<u64>()
            .map_err(|_| format!("{name} is \"{text}\", not a number")),
    };
    let lsn: Lsn = needed("OFFSHOOT_LSN")?
        .parse()
        .map_err(|error| format!("OFFSHOOT_LSN: {error}"))?;
    let token_file = get("OFFSHOOT_TOKEN_FILE")
        .map(|path| CString::new(path).map_err(|_| "OFFSHOOT_TOKEN_FILE holds a NUL".to_owned()))
        .transpose()?;
    let pages = number(
        "OFFSHOOT_READAHEAD_PAGES",
        u64::from(READAHEAD_PAGES_DEFAULT),
    )?;
    let retry = Duration::from_millis(number("OFFSHOOT_RETRY_MS", RETRY_MS_DEFAULT)?);
    Ok(Some(Settings {
        address: Address::parse(&address).ok_or_else(|| {
            format!("OFFSHOOT_PAGESERVER is \"{address}\"; write unix:/path or tcp:host:port")
        })?,
        tenant: id("OFFSHOOT_TENANT")?,
        timeline: id("OFFSHOOT_TIMELINE")?,
        lsn,
        token_file,
        retry,
        response_wait: retry.clamp(RESPONSE_WAIT_MIN, RESPONSE_WAIT_MAX),
        read_only: match number("OFFSHOOT_READ_ONLY", 0)? {
            0 => false,
            1 => true,
            other => return Err(format!("OFFSHOOT_READ_ONLY is \"{other}\", not 0 or 1")),
        },
        read_ahead_pages_max: pages.min(u64::from(READAHEAD_PAGES_MAX)) as u32,
        spare_files: u32::try_from(number("OFFSHOOT_SPARE_FILES", 0)?).unwrap_or(u32::MAX),
        loader_pid: sys::pid(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef";

    fn read_with(changes: &[(&str, Option<&str>)]) -> Result<Option<Settings>, String> {
        let mut values = std::collections::HashMap::from([
            ("OFFSHOOT_PAGESERVER", "unix:/s"),
            ("OFFSHOOT_TENANT", ID),
            ("OFFSHOOT_TIMELINE", ID),
            ("OFFSHOOT_LSN", "0/1000"),
        ]);
        for (name, value) in changes {
            match value {
                Some(value) => values.insert(name, value),
                None => values.remove(name),
            };
        }
        read(|name| values.get(name).map(|&value| value.to_owned()))
    }

    #[test]
    fn defaults_and_limits() {
        let settings = read_with(&[]).unwrap().unwrap();
        assert_eq!(settings.lsn, Lsn(0x1000));
        assert_eq!(settings.retry, Duration::from_secs(60));
        assert_eq!(settings.read_ahead_pages_max, 64);
        assert!(!settings.read_only);
        let read_only = read_with(&[("OFFSHOOT_READ_ONLY", Some("1"))]);
        assert!(read_only.unwrap().unwrap().read_only);
        let many = read_with(&[("OFFSHOOT_READAHEAD_PAGES", Some("99999999999"))]);
        assert_eq!(many.unwrap().unwrap().read_ahead_pages_max, 1024);
        assert!(
            read_with(&[("OFFSHOOT_PAGESERVER", None)])
                .unwrap()
                .is_none()
        );
    }

    #[test]
    fn wrong_values_are_named() {
        let cases = [
            ("OFFSHOOT_PAGESERVER", Some("s")),
            ("OFFSHOOT_TENANT", None),
            ("OFFSHOOT_TENANT", Some("12")),
            (
                "OFFSHOOT_TIMELINE",
                Some("g123456789abcdef0123456789abcdef"),
            ),
            ("OFFSHOOT_LSN", Some("1000")),
            ("OFFSHOOT_LSN", None),
            ("OFFSHOOT_RETRY_MS", Some("-1")),
            ("OFFSHOOT_READ_ONLY", Some("2")),
            ("OFFSHOOT_READAHEAD_PAGES", Some("many")),
            ("OFFSHOOT_SPARE_FILES", Some("some")),
        ];
        for (name, value) in cases {
            let reason = read_with(&[(name, value)]).err().unwrap();
            assert!(reason.contains(name), "{reason}");
        }
    }
}
