//! CREATE_ID with the members of one page only.

use offshoot_layout::SlruKind;
use offshoot_wal::Record;

use super::record::CreateId;
use crate::payload::Malformed;
use crate::slru;
use crate::slru_excerpts::SlruExcerpts;

pub(super) fn excerpts(record: &Record) -> Result<Box<dyn SlruExcerpts + '_>, Malformed> {
    CreateId::parse(record.main_data()).map(|create| Box::new(create) as Box<_>)
}

impl SlruExcerpts for CreateId {
    /// Offsets are made from the number of all members; they are on two pages at most.
    fn main_data(&self, kind: SlruKind, page: u32) -> Option<Vec<u8>> {
        if kind != SlruKind::MultiXactMembers {
            return None;
        }
        let first = match slru::page_of(kind, self.moff) == page {
            true => self.moff,
            false => page.wrapping_mul(slru::items_per_page(kind)),
        };
        let members = self.members.get(first.wrapping_sub(self.moff) as usize..)?;
        let on_page = (first..=u32::MAX).zip(members);
        let on_page = on_page.take_while(|(offset, _)| slru::page_of(kind, *offset) == page);
        let count = on_page.clone().count();
        let members = on_page.flat_map(|(_, member)| [member.xid, u32::from(member.status)]);
        let words = [self.mid, first, count as u32].into_iter().chain(members);
        Some(words.flat_map(u32::to_le_bytes).collect())
    }
}
