//! CREATE_ID (12 + 8n bytes) and TRUNCATE_ID (20 bytes).

use crate::payload::{Malformed, Payload};

pub(super) const FIRST_MULTI_XACT_ID: u32 = 1;

/// A member: a transaction, and what it does to the row.
pub(super) struct Member {
    pub xid: u32,
    /// 0 ForKeyShare, 1 ForShare, 2 ForNoKeyUpdate, 3 ForUpdate, 4 NoKeyUpdate, 5 Update.
    pub status: u8,
}

/// A new multixact.
pub(super) struct CreateId {
    pub mid: u32,
    /// Where its members begin.
    pub moff: u32,
    pub members: Vec<Member>,
}

impl CreateId {
    pub(super) fn parse(main: &[u8]) -> Result<CreateId, Malformed> {
        let mut payload = Payload::new(main);
        let (mid, moff, count) = (payload.u32()?, payload.u32()?, payload.count()?);
        if mid < FIRST_MULTI_XACT_ID {
            return Err(Malformed("multixact 0"));
        }
        let mut members = Vec::new();
        for _ in 0..count {
            members.push(Member {
                xid: payload.u32()?,
                status: parse_status(&mut payload)?,
            });
        }
        Ok(CreateId { mid, moff, members })
    }

    pub(super) fn next_mid(&self) -> u32 {
        self.mid.wrapping_add(1).max(FIRST_MULTI_XACT_ID)
    }

    /// Offset after the last member; the circle of offsets closes at 2^32.
    pub(super) fn end_offset(&self) -> u32 {
        self.moff.wrapping_add(self.members.len() as u32)
    }

    /// The offset of each member, in their order.
    pub(super) fn member_offsets(&self) -> impl Iterator<Item = u32> {
        (0..self.members.len() as u32).map(|index| self.moff.wrapping_add(index))
    }
}

fn parse_status(payload: &mut Payload<'_>) -> Result<u8, Malformed> {
    u8::try_from(payload.u32()?)
        .ok()
        .filter(|status| *status <= 5)
        .ok_or(Malformed("unknown status of a multixact member"))
}

/// Old multixacts are given up.
pub(super) struct TruncateId {
    pub oldest_multi_db: u32,
    /// The oldest multixact that stays.
    pub end_trunc_off: u32,
    /// Member offsets whose segments go: from the first's up to but excluding the second's.
    pub start_trunc_memb: u32,
    pub end_trunc_memb: u32,
}

impl TruncateId {
    pub(super) fn parse(main: &[u8]) -> Result<TruncateId, Malformed> {
        let mut payload = Payload::new(main);
        let oldest_multi_db = payload.u32()?;
        payload.u32()?; // startTruncOff: offsets go by the circular rule, not by a range
        Ok(TruncateId {
            oldest_multi_db,
            end_trunc_off: payload.u32()?,
            start_trunc_memb: payload.u32()?,
            end_trunc_memb: payload.u32()?,
        })
    }

    /// The newest multixact that goes.
    pub(super) fn newest_truncated(&self) -> u32 {
        match self.end_trunc_off {
            0 | FIRST_MULTI_XACT_ID => u32::MAX,
            end => end - 1,
        }
    }
}
