//! TRUNCATE: page i32, oldest xid u32, its database u32.

use offshoot_layout::SlruKind;
use offshoot_wal::Record;

use crate::context::RedoContext;
use crate::effect::Effect;
use crate::payload::{Malformed, Payload};
use crate::slru::{self, SlruTruncation};

pub(crate) fn truncate(
    record: &Record,
    _: &RedoContext,
    list: &mut Vec<Effect>,
) -> Result<(), Malformed> {
    let cutoff = slru::parse_pageno(&mut Payload::new(record.main_data()), SlruKind::Xact)?;
    let truncation = SlruTruncation::before(SlruKind::Xact, cutoff);
    list.push(Effect::SlruTruncate(truncation));
    Ok(())
}
