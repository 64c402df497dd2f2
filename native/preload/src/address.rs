//! Where the page server listens.

use crate::error::PreloadError;
use std::net::{SocketAddr, ToSocketAddrs};

/// A page server's address, as OFFSHOOT_PAGESERVER gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// `unix:/absolute/path/of/socket`
    Unix(String),
    /// `tcp:host:port`, an IPv6 host in brackets.
    Tcp(String),
}

/// Longest path of a Unix socket (`sun_path` with its NUL).
const UNIX_PATH_BYTES_MAX: usize = 107;

impl Address {
    /// `None` for any other form, and for a socket path that is relative (Postgres changes its
    /// directory) or too long.
    pub fn parse(text: &str) -> Option<Address> {
        if let Some(path) = text.strip_prefix("unix:") {
            let usable = path.starts_with('/') && path.len() <= UNIX_PATH_BYTES_MAX;
            return usable.then(|| Address::Unix(path.to_owned()));
        }
        let rest = text.strip_prefix("tcp:")?;
        let (host, port) = rest.rsplit_once(':')?;
        let usable = !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0);
        usable.then(|| Address::Tcp(rest.to_owned()))
    }
}

/// The addresses a host's name stands for now, in the order to try them.
pub fn resolve(host_and_port: &str) -> Result<Vec<SocketAddr>, PreloadError> {
    let found = host_and_port.to_socket_addrs();
    let found: Vec<_> = found
        .map_err(|error| PreloadError::Lost(format!("cannot resolve {host_and_port}: {error}")))?
        .collect();
    if found.is_empty() {
        return Err(PreloadError::Lost(format!(
            "{host_and_port} has no address"
        )));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let unix = |path: &str| Some(Address::Unix(path.to_owned()));
        let tcp = |rest: &str| Some(Address::Tcp(rest.to_owned()));
        let too_long = format!("unix:/{}", "x".repeat(107));
        let cases = [
            ("unix:/run/o/s", unix("/run/o/s")),
            ("tcp:127.0.0.1:6400", tcp("127.0.0.1:6400")),
            ("tcp:[::1]:6400", tcp("[::1]:6400")),
            ("tcp:pages.internal:1", tcp("pages.internal:1")),
            ("unix:relative", None),
            ("unix:", None),
            (too_long.as_str(), None),
            ("tcp:host", None),
            ("tcp:host:0", None),
            ("tcp:host:65536", None),
            ("tcp::1", None),
            ("http://host:1", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(Address::parse(text), expected, "{text}");
        }
    }
}
