//! Settings that PARAMETER_CHANGE brings.

use offshoot_wal::Record;

use super::ParameterChange;
use crate::context::RedoContext;
use crate::effect::Effect;
use crate::payload::Malformed;

pub(crate) fn parameter_change(
    record: &Record,
    _: &RedoContext,
    list: &mut Vec<Effect>,
) -> Result<(), Malformed> {
    let change = ParameterChange::parse(record.main_data())?;
    list.push(Effect::Parameters(change));
    Ok(())
}
