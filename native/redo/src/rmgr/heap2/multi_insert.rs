//! MULTI_INSERT. Data of block 0 is the tuples, each at an even offset:
//!
//! | field | offset | width |
//! |---|---|---|
//! | datalen | 0 | 2 |
//! | header, as of INSERT | 2 | 5 |
//! | the tuple from its null bitmap on | 7 | datalen |

use offshoot_layout::page::PD_ALL_VISIBLE;
use offshoot_layout::{Page, Tid};

use super::record::MultiInsert;
use crate::opcode::{BlockChange, Stamp};
use crate::payload::Malformed;
use crate::rmgr::heap::{HeapHeader, NewTuple, begin_page, change_flags, only_block_0};

const TOO_SHORT: Malformed = Malformed("fewer tuples than promised");

pub(crate) fn multi_insert(change: &BlockChange<'_>, page: &mut Page) -> Result<Stamp, Malformed> {
    only_block_0(change)?;
    let record = change.record;
    let insert = MultiInsert::parse(record.main_data())?;
    let anew = begin_page(change, page)?;
    let data = record.block_data(change.block);
    let mut at = 0usize;
    for index in 0..insert.ntuples {
        let logged = data.get(at.next_multiple_of(2)..).ok_or(TOO_SHORT)?;
        let (header, body, rest) = split_tuple(logged)?;
        at = data.len() - rest.len();
        let tuple = NewTuple {
            tid: Tid {
                block: change.block.key.block,
                offset: insert.offnum(index, anew)?,
            },
            xmin: record.xid,
            xmax: 0,
            header,
        };
        tuple.add(page, body)?;
    }
    if at != data.len() {
        return Err(Malformed("more bytes than tuples"));
    }
    mark_visible(&insert, page);
    Ok(Stamp::EndLsn)
}

fn mark_visible(insert: &MultiInsert<'_>, page: &mut Page) {
    if insert.clears_all_visible() {
        change_flags(page, 0, PD_ALL_VISIBLE);
    }
    if insert.sets_all_frozen() {
        change_flags(page, PD_ALL_VISIBLE, 0);
    }
}

/// The header and the body of the first tuple, and what follows.
fn split_tuple(logged: &[u8]) -> Result<(HeapHeader, &[u8], &[u8]), Malformed> {
    let (datalen, logged) = logged.split_first_chunk().ok_or(TOO_SHORT)?;
    let (header, logged) = HeapHeader::split(logged)?;
    let datalen = usize::from(u16::from_le_bytes(*datalen));
    let (body, rest) = logged.split_at_checked(datalen).ok_or(TOO_SHORT)?;
    Ok((header, body, rest))
}
