//! Entries of offsets and members, and new pages.
//!
//! An offsets page is 2048 u32. A members page is 409 groups of 20 bytes: the status bytes of
//! four members, then their xids.

use offshoot_layout::{BLCKSZ, Page, SlruKind};
use offshoot_wal::Record;

use super::record::{CreateId, FIRST_MULTI_XACT_ID, Member};
use crate::payload::{Malformed, Payload};
use crate::slru::{self, SlruChange};

const OFFSET_BYTES: usize = 4;
const MEMBERS_PER_GROUP: usize = 4;
const GROUP_BYTES: usize = 20;

pub(super) fn zero_members_pages(record: &Record) -> Result<Vec<SlruChange>, Malformed> {
    let kind = SlruKind::MultiXactMembers;
    let number = slru::parse_pageno(&mut Payload::new(record.main_data()), kind)?;
    Ok(vec![SlruChange::zero(kind, number)])
}

pub(super) fn zero_offsets_pages(record: &Record) -> Result<Vec<SlruChange>, Malformed> {
    let kind = SlruKind::MultiXactOffsets;
    let number = slru::parse_pageno(&mut Payload::new(record.main_data()), kind)?;
    Ok(vec![SlruChange::of(kind, number)])
}

/// Keeps the first entry: a CREATE_ID before may have put it there.
pub(super) fn zero_offsets(
    _: &Record,
    _: SlruKind,
    number: u32,
    page: &mut Page,
) -> Result<(), Malformed> {
    let first = if number == 0 { FIRST_MULTI_XACT_ID } else { 0 };
    let at = offset_at(first);
    let mut kept = [0; OFFSET_BYTES];
    kept.copy_from_slice(&page[at..at + OFFSET_BYTES]);
    *page = [0; BLCKSZ];
    page[at..at + OFFSET_BYTES].copy_from_slice(&kept);
    Ok(())
}

pub(super) fn create_id_pages(record: &Record) -> Result<Vec<SlruChange>, Malformed> {
    let create = CreateId::parse(record.main_data())?;
    let mids = [create.mid, create.next_mid()];
    let mut pages = slru::changes(SlruKind::MultiXactOffsets, mids.into_iter());
    pages.extend(slru::changes(
        SlruKind::MultiXactMembers,
        create.member_offsets(),
    ));
    Ok(pages)
}

pub(super) fn create_id(
    record: &Record,
    kind: SlruKind,
    number: u32,
    page: &mut Page,
) -> Result<(), Malformed> {
    let create = CreateId::parse(record.main_data())?;
    if kind == SlruKind::MultiXactMembers {
        let members = create.member_offsets().zip(&create.members);
        for (offset, member) in members.filter(|(offset, _)| slru::page_of(kind, *offset) == number)
        {
            set_member(page, offset, member);
        }
        return Ok(());
    }
    // No members begin at offset 0.
    let entries = [
        (create.mid, create.moff),
        (create.next_mid(), create.end_offset().max(1)),
    ];
    for (mid, offset) in entries {
        if slru::page_of(kind, mid) == number {
            let at = offset_at(mid);
            page[at..at + OFFSET_BYTES].copy_from_slice(&offset.to_le_bytes());
        }
    }
    Ok(())
}

fn offset_at(mid: u32) -> usize {
    (mid % slru::items_per_page(SlruKind::MultiXactOffsets)) as usize * OFFSET_BYTES
}

fn set_member(page: &mut Page, offset: u32, member: &Member) {
    let in_page = (offset % slru::items_per_page(SlruKind::MultiXactMembers)) as usize;
    let group = in_page / MEMBERS_PER_GROUP * GROUP_BYTES;
    let in_group = in_page % MEMBERS_PER_GROUP;
    page[group + in_group] = member.status;
    let at = group + MEMBERS_PER_GROUP + 4 * in_group;
    page[at..at + 4].copy_from_slice(&member.xid.to_le_bytes());
}
