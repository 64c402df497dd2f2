//! A connected socket with deadlines. It belongs to the process that opened it.

use crate::address::{self, Address};
use crate::error::{Errno, PreloadError};
use crate::{interrupt, sys};
use libc::{c_int, c_void, socklen_t};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// How often a wait for the server looks whether Postgres wants to stop.
const SLICE: Duration = Duration::from_millis(250);
/// A cancelled query waits this long for an answer nonetheless: it mostly comes within milliseconds,
/// and then Postgres reports the cancel and not an I/O error.
const PATIENCE: Duration = Duration::from_secs(1);

/// A socket connected to the page server.
pub struct Stream {
    fd: sys::Fd,
}

/// How long an operation may take, and what its end is called.
#[derive(Clone, Copy)]
pub struct Deadline {
    start: Instant,
    wait: Duration,
}

impl Deadline {
    pub fn after(wait: Duration) -> Deadline {
        Deadline {
            start: Instant::now(),
            wait,
        }
    }

    /// To be called between slices of a wait.
    fn check(&self) -> Result<(), PreloadError> {
        let elapsed = self.start.elapsed();
        if elapsed > PATIENCE && interrupt::pending() {
            return Err(PreloadError::Interrupted);
        }
        if elapsed < self.wait {
            return Ok(());
        }
        let seconds = self.wait.as_secs_f32();
        Err(PreloadError::Lost(format!("no answer within {seconds} s")))
    }
}

fn lost(doing: &str) -> PreloadError {
    PreloadError::Lost(format!("{doing}: {}", Errno::last()))
}

impl Stream {
    pub fn connect(address: &Address, deadline: Deadline) -> Result<Stream, PreloadError> {
        match address {
            Address::Unix(path) => {
                let (name, bytes) = unix_name(path);
                Stream::connect_to(libc::AF_UNIX, &raw const name, bytes, deadline)
            }
            Address::Tcp(text) => {
                let mut result = Err(PreloadError::Lost(format!("{text} has no address")));
                for address in address::resolve(text)? {
                    result = Stream::connect_tcp(&address, deadline);
                    if !matches!(result, Err(PreloadError::Lost(_))) {
                        break;
                    }
                }
                result
            }
        }
    }

    fn connect_tcp(address: &SocketAddr, deadline: Deadline) -> Result<Stream, PreloadError> {
        let stream = match address {
            SocketAddr::V4(v4) => {
                // SAFETY: all zeros is a valid sockaddr_in.
                let mut name: libc::sockaddr_in = unsafe { std::mem::zeroed() };
                name.sin_family = libc::AF_INET as libc::sa_family_t;
                name.sin_port = v4.port().to_be();
                name.sin_addr.s_addr = u32::from_ne_bytes(v4.ip().octets());
                Stream::connect_to(libc::AF_INET, &raw const name, size_of_val(&name), deadline)?
            }
            SocketAddr::V6(v6) => {
                // SAFETY: all zeros is a valid sockaddr_in6.
                let mut name: libc::sockaddr_in6 = unsafe { std::mem::zeroed() };
                name.sin6_family = libc::AF_INET6 as libc::sa_family_t;
                name.sin6_port = v6.port().to_be();
                name.sin6_addr.s6_addr = v6.ip().octets();
                name.sin6_scope_id = v6.scope_id();
                Stream::connect_to(
                    libc::AF_INET6,
                    &raw const name,
                    size_of_val(&name),
                    deadline,
                )?
            }
        };
        stream.option(libc::IPPROTO_TCP, libc::TCP_NODELAY, &1)?;
        stream.option(libc::SOL_SOCKET, libc::SO_KEEPALIVE, &1)?;
        Ok(stream)
    }

    /// `name` points to a socket address of `bytes` bytes of that family.
    fn connect_to<T>(
        family: c_int,
        name: *const T,
        bytes: usize,
        deadline: Deadline,
    ) -> Result<Stream, PreloadError> {
        let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // SAFETY: no memory is passed.
        let fd = unsafe { libc::socket(family, kind, 0) };
        if fd < 0 {
            return Err(lost("cannot make a socket"));
        }
        let stream = Stream {
            fd: sys::Fd::from_raw(fd),
        };
        // SAFETY: the caller's address is valid during the call.
        let result = unsafe { libc::connect(fd, name.cast(), bytes as socklen_t) };
        if result < 0 {
            if Errno::last() != Errno(libc::EINPROGRESS) {
                return Err(lost("cannot connect"));
            }
            stream.wait_connected(deadline)?;
        }
        stream.make_blocking()?;
        Ok(stream)
    }

    fn wait_connected(&self, deadline: Deadline) -> Result<(), PreloadError> {
        let mut poll = libc::pollfd {
            fd: self.fd.raw(),
            events: libc::POLLOUT,
            revents: 0,
        };
        // SAFETY: one pollfd is passed, valid during the call.
        while unsafe { libc::poll(&raw mut poll, 1, SLICE.as_millis() as c_int) } < 1 {
            deadline.check()?;
        }
        let mut error: c_int = 0;
        let mut bytes = size_of::<c_int>() as socklen_t;
        // SAFETY: the kernel writes one int and its size.
        unsafe {
            let value = (&raw mut error).cast::<c_void>();
            libc::getsockopt(
                self.fd.raw(),
                libc::SOL_SOCKET,
                libc::SO_ERROR,
                value,
                &raw mut bytes,
            );
        }
        if error == 0 {
            return Ok(());
        }
        let reason = Errno(error);
        Err(PreloadError::Lost(format!("cannot connect: {reason}")))
    }

    /// Blocking, but for a slice at most.
    fn make_blocking(&self) -> Result<(), PreloadError> {
        let slice = libc::timeval {
            tv_sec: 0,
            tv_usec: SLICE.as_micros() as libc::suseconds_t,
        };
        self.option(libc::SOL_SOCKET, libc::SO_RCVTIMEO, &slice)?;
        self.option(libc::SOL_SOCKET, libc::SO_SNDTIMEO, &slice)?;
        // SAFETY: no memory is passed.
        if unsafe { libc::fcntl(self.fd.raw(), libc::F_SETFL, 0) } < 0 {
            return Err(lost("cannot set up the socket"));
        }
        Ok(())
    }

    fn option<T>(&self, level: c_int, name: c_int, value: &T) -> Result<(), PreloadError> {
        // SAFETY: the kernel reads `value` during the call only.
        let result = unsafe {
            let (at, bytes) = (&raw const *value, size_of::<T>() as socklen_t);
            libc::setsockopt(self.fd.raw(), level, name, at.cast(), bytes)
        };
        if result < 0 {
            return Err(lost("cannot set up the socket"));
        }
        Ok(())
    }

    /// Sends all of `bytes`. Never raises SIGPIPE.
    pub fn send_all(&self, mut bytes: &[u8], deadline: Deadline) -> Result<(), PreloadError> {
        while !bytes.is_empty() {
            // SAFETY: the kernel reads `bytes` during the call only.
            let sent = unsafe {
                let at = bytes.as_ptr().cast();
                libc::send(self.fd.raw(), at, bytes.len(), libc::MSG_NOSIGNAL)
            };
            match usize::try_from(sent) {
                Ok(count) => bytes = &bytes[count..],
                Err(_) => try_again("cannot send", deadline)?,
            }
        }
        Ok(())
    }

    /// Waits for bytes; at least one is received.
    pub fn receive(&self, buffer: &mut [u8], deadline: Deadline) -> Result<usize, PreloadError> {
        loop {
            match self.receive_with(buffer, 0) {
                0 => return Err(PreloadError::Lost("it closed the connection".to_owned())),
                count if count > 0 => return Ok(count as usize),
                _ => try_again("cannot receive", deadline)?,
            }
        }
    }

    /// Receives what is there already, if anything is.
    pub fn receive_now(&self, buffer: &mut [u8]) -> Result<usize, PreloadError> {
        match self.receive_with(buffer, libc::MSG_DONTWAIT) {
            0 => Err(PreloadError::Lost("it closed the connection".to_owned())),
            count if count > 0 => Ok(count as usize),
            _ => match Errno::last() {
                Errno(libc::EAGAIN | libc::EINTR) => Ok(0),
                _ => Err(lost("cannot receive")),
            },
        }
    }

    fn receive_with(&self, buffer: &mut [u8], flags: c_int) -> isize {
        // SAFETY: the kernel writes at most `buffer.len()` bytes to `buffer`.
        unsafe {
            let at = buffer.as_mut_ptr().cast();
            libc::recv(self.fd.raw(), at, buffer.len(), flags)
        }
    }
}

/// After a failed call: fine if it was a signal or the end of a slice.
fn try_again(doing: &str, deadline: Deadline) -> Result<(), PreloadError> {
    match Errno::last() {
        Errno(libc::EINTR | libc::EAGAIN) => deadline.check(),
        _ => Err(lost(doing)),
    }
}

fn unix_name(path: &str) -> (libc::sockaddr_un, usize) {
    // SAFETY: all zeros is a valid sockaddr_un.
    let mut name: libc::sockaddr_un = unsafe { std::mem::zeroed() };
    name.sun_family = libc::AF_UNIX as libc::sa_family_t;
    // `Address::parse` saw to it that the path fits with a NUL behind it.
    for (to, from) in name.sun_path.iter_mut().zip(path.bytes()) {
        *to = from as libc::c_char;
    }
    let bytes = size_of_val(&name);
    (name, bytes)
}
