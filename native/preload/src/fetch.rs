//! Making blocks local before they are read.

use crate::client::{Client, retry};
use crate::connection::{Answer, Connection};
use crate::env::{Settings, settings};
use crate::error::{Errno, PreloadError};
use crate::map_file::Tick;
use crate::open_file::OpenFile;
use crate::read_ahead::Read;
use crate::stream::Deadline;
use offshoot_layout::Page;
use std::ops::Range;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

/// Most pages asked for by posix_fadvise and not yet arrived.
const ADVISED_PAGES_MAX: usize = 128;
/// How long a read waits for a page that another process has asked for, before it asks itself.
const ASKED_WAIT_MAX: Duration = Duration::from_millis(2);
const ASKED_NAP: Duration = Duration::from_micros(50);

/// Whether to ask for blocks that a process has just asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Skip,
    AskAgain,
}

/// Where the bytes of a block that was just made local are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fetched {
    /// In the local file.
    Local,
    /// In the local file and in the buffer that was given.
    Copied,
}

/// Makes `blocks` of `file` local, and reads ahead. If `blocks` is one block and comes from the server
/// now, its bytes also go to `copy_to`.
pub fn ensure_local(
    file: &Arc<OpenFile>,
    blocks: Range<u32>,
    copy_to: Option<&mut Page>,
) -> Result<Fetched, Errno> {
    let Some(settings) = settings() else {
        return Ok(Fetched::Local);
    };
    let limit = file.map.remote_blocks();
    let remote = blocks.start.min(limit)..blocks.end.min(limit);
    let is_hit = remote.clone().all(|block| file.map.is_local(block));
    let read = if is_hit { Read::Hit } else { Read::Miss };
    let ahead = {
        let mut read_ahead = file
            .read_ahead
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        read_ahead.note(&blocks, read, limit, settings.read_ahead_pages_max)
    };
    if read == Read::Miss {
        return fetch(settings, file, remote, ahead, copy_to);
    }
    if !ahead.is_empty() {
        let mut client = Client::lock();
        if top_up(settings, &mut client, file, ahead).is_err() {
            // Whoever needs the pages will ask again, and hear of it.
            client.disconnect();
        }
    }
    Ok(Fetched::Local)
}

/// Makes every block of `file` local.
pub fn ensure_all_local(file: &Arc<OpenFile>) -> Result<(), Errno> {
    const STEP: u32 = 64;
    let mut start = 0;
    while start < file.map.remote_blocks() {
        ensure_local(file, start..start + STEP, None)?;
        start += STEP;
    }
    Ok(())
}

/// Asks for `blocks` without waiting for them: posix_fadvise(WILLNEED).
pub fn advise(file: &Arc<OpenFile>, blocks: Range<u32>) {
    let Some(settings) = settings() else { return };
    let end = blocks.end.min(file.map.remote_blocks());
    let now = Tick::now();
    let to_ask = |&block: &u32| file.map.is_absent(block) && !file.map.is_asked(block, now);
    let mut absent = (blocks.start..end).filter(to_ask);
    let Some(first) = absent.next() else { return };
    let mut client = Client::lock();
    let mut attempt = || {
        let connection = client.connection(settings)?;
        let free = connection.room() + ADVISED_PAGES_MAX;
        let allowed = free.saturating_sub(crate::connection::IN_FLIGHT_MAX);
        for block in std::iter::once(first).chain(absent.by_ref()).take(allowed) {
            if connection.page_in_flight(file, block).is_none() {
                connection.ask_page(file, block);
                file.map.note_asked(block, now);
            }
        }
        connection.send(Deadline::after(settings.response_wait))
    };
    if attempt().is_err() {
        client.disconnect();
    }
}

/// Asks for what lies ahead, and takes what has arrived so that the server can go on sending.
fn top_up(
    settings: &Settings,
    client: &mut Client,
    file: &Arc<OpenFile>,
    ahead: Range<u32>,
) -> Result<(), PreloadError> {
    let connection = client.connection(settings)?;
    ask_absent(connection, file, ahead, Asked::Skip);
    connection.send(Deadline::after(settings.response_wait))?;
    connection.take_arrived()
}

fn fetch(
    settings: &Settings,
    file: &Arc<OpenFile>,
    blocks: Range<u32>,
    ahead: Range<u32>,
    mut copy_to: Option<&mut Page>,
) -> Result<Fetched, Errno> {
    let mut fetched = Fetched::Local;
    for block in blocks.clone() {
        fetched = retry(settings, &file.key(block), |client| {
            let connection = client.connection(settings)?;
            let asked = await_asked(connection, file, block)?;
            ask_absent(connection, file, block..blocks.end, asked);
            ask_absent(connection, file, ahead.clone(), asked);
            connection.send(Deadline::after(settings.response_wait))?;
            fetch_block(settings, connection, file, block, copy_to.as_deref_mut())
        })?;
    }
    Ok(fetched)
}

/// Gives another process that has asked for the block a moment to bring it. If it does not, what it has
/// asked for may never come.
fn await_asked(
    connection: &mut Connection,
    file: &Arc<OpenFile>,
    block: u32,
) -> Result<Asked, PreloadError> {
    let start = Instant::now();
    while file.map.is_asked(block, Tick::now()) && connection.page_in_flight(file, block).is_none()
    {
        if start.elapsed() > ASKED_WAIT_MAX {
            return Ok(Asked::AskAgain);
        }
        // It may wait for us in the same way.
        connection.take_arrived()?;
        std::thread::sleep(ASKED_NAP);
    }
    Ok(Asked::Skip)
}

fn ask_absent(connection: &mut Connection, file: &Arc<OpenFile>, blocks: Range<u32>, asked: Asked) {
    let now = Tick::now();
    for block in blocks.take(connection.room()) {
        let is_wanted = file.map.is_absent(block)
            && (asked == Asked::AskAgain || !file.map.is_asked(block, now));
        if is_wanted && connection.page_in_flight(file, block).is_none() {
            connection.ask_page(file, block);
            file.map.note_asked(block, now);
        }
    }
}

fn fetch_block(
    settings: &Settings,
    connection: &mut Connection,
    file: &Arc<OpenFile>,
    block: u32,
    mut copy_to: Option<&mut Page>,
) -> Result<Fetched, PreloadError> {
    while !file.map.is_local(block) {
        if file.is_closed() {
            return Err(PreloadError::System(Errno(libc::EBADF)));
        }
        if !file.map.is_absent(block) {
            file.map.wait_while_filling(block)?;
            continue;
        }
        let deadline = Deadline::after(settings.response_wait);
        let id = match connection.page_in_flight(file, block) {
            Some(id) => id,
            None => {
                let id = connection.ask_page(file, block);
                file.map.note_asked(block, Tick::now());
                connection.send(deadline)?;
                id
            }
        };
        match connection.wait(id, deadline, copy_to.as_deref_mut())? {
            Answer::PageCopied => return Ok(Fetched::Copied),
            Answer::NotKept(errno) => return Err(PreloadError::System(errno)),
            Answer::Refused(text) => return Err(PreloadError::Refused(text)),
            Answer::Page => {}
            Answer::Exists(_) | Answer::Nblocks(_) | Answer::PageItself(_) => {
                return Err(PreloadError::Lost("it mixed up its answers".to_owned()));
            }
        }
    }
    Ok(Fetched::Local)
}
