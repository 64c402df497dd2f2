//! The page server's list of a database's relations (`relations` command, on a connection of its own).

use crate::env::Settings;
use crate::error::PreloadError;
use crate::handshake;
use crate::message;
use crate::stream::Deadline;
use offshoot_pageproto::{RelationEntry, relation_entries};

/// Longest list: five million relation forks.
const LISTING_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Every fork of every relation that exists at the server in this tablespace and database.
pub fn relations(
    settings: &Settings,
    spcnode: u32,
    dbnode: u32,
    deadline: Deadline,
) -> Result<Vec<RelationEntry>, PreloadError> {
    let Settings {
        tenant,
        timeline,
        lsn,
        ..
    } = settings;
    let command = format!("relations {tenant} {timeline} {lsn} {spcnode} {dbnode}");
    let (stream, mut inbox) = handshake::start(settings, &command, message::COPY_OUT, deadline)?;
    let mut listing = Vec::new();
    loop {
        let Some(message) = message::first_message(inbox.unread())? else {
            inbox.fill(&stream, deadline)?;
            continue;
        };
        let bytes = message.bytes;
        match message.kind {
            message::COPY_DATA => listing.extend_from_slice(message.body),
            message::ERROR => return Err(PreloadError::Refused(message::error_text(message.body))),
            message::COMMAND_COMPLETE => break,
            _ => {}
        }
        if listing.len() > LISTING_BYTES_MAX {
            let reason = format!("a list of relations longer than {LISTING_BYTES_MAX} bytes");
            return Err(PreloadError::Refused(reason));
        }
        inbox.consume(bytes);
    }
    let entries: Result<Vec<_>, _> = relation_entries(&listing).collect();
    Ok(entries?)
}
