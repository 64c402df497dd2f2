//! The few system calls on a stream socket.

use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

/// What there was to read.
#[derive(Debug)]
pub enum Read {
    /// This many bytes, more than none.
    Bytes(usize),
    /// The other side sends no more.
    End,
    /// Nothing yet.
    Later,
}

/// A descriptor of our own for the stream socket that `fd` is.
///
/// # Errors
/// The system's; `InvalidInput` when it is something else than a stream socket.
pub fn duplicate(fd: RawFd) -> io::Result<OwnedFd> {
    if fd < 0 {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    // SAFETY: the caller keeps it open during the call; one that is not open is an error of the system's.
    let own = unsafe { BorrowedFd::borrow_raw(fd) }.try_clone_to_owned()?;
    match option(&own, libc::SO_TYPE)? {
        libc::SOCK_STREAM => Ok(own),
        _ => Err(io::Error::from(io::ErrorKind::InvalidInput)),
    }
}

fn option(fd: &OwnedFd, name: libc::c_int) -> io::Result<libc::c_int> {
    let mut value: libc::c_int = 0;
    let mut length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: value and length are ours, and of the size that is said.
    let result = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            name,
            (&raw mut value).cast(),
            &raw mut length,
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(value)
}

/// Never waits.
///
/// # Errors
/// The system's: the connection is broken.
pub fn read(fd: &OwnedFd, buffer: &mut [u8]) -> io::Result<Read> {
    // SAFETY: the buffer is ours to write.
    let call = || unsafe {
        libc::recv(
            fd.as_raw_fd(),
            buffer.as_mut_ptr().cast(),
            buffer.len(),
            libc::MSG_DONTWAIT,
        )
    };
    Ok(match transferred(call)? {
        None => Read::Later,
        Some(0) => Read::End,
        Some(bytes) => Read::Bytes(bytes),
    })
}

/// Writes what is taken at once, which may be nothing; answers how much. Never waits.
///
/// # Errors
/// The system's: the connection is broken, or the other side takes no more.
pub fn write(fd: &OwnedFd, bytes: &[u8]) -> io::Result<usize> {
    // SAFETY: the bytes are ours to read.
    let call = || unsafe {
        libc::send(
            fd.as_raw_fd(),
            bytes.as_ptr().cast(),
            bytes.len(),
            libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
        )
    };
    Ok(transferred(call)?.unwrap_or(0))
}

/// None: it would have to wait.
fn transferred(mut call: impl FnMut() -> isize) -> io::Result<Option<usize>> {
    loop {
        if let Ok(bytes) = usize::try_from(call()) {
            return Ok(Some(bytes));
        }
        let error = io::Error::last_os_error();
        match error.kind() {
            io::ErrorKind::Interrupted => {}
            io::ErrorKind::WouldBlock => return Ok(None),
            _ => return Err(error),
        }
    }
}

/// Tells the other side that nothing more comes. That it is gone shows in reading.
pub fn end_writing(fd: &OwnedFd) {
    // SAFETY: a plain system call on a descriptor of ours.
    unsafe { libc::shutdown(fd.as_raw_fd(), libc::SHUT_WR) };
}

/// Closes so that the other side sees that it did not end in order. A Unix socket cannot tell.
pub fn reset(fd: OwnedFd) {
    let linger = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    // SAFETY: the option's value is of the size that is said. Where there is no such option, it closes in order.
    unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            (&raw const linger).cast(),
            size_of::<libc::linger>() as libc::socklen_t,
        )
    };
    drop(fd);
}
