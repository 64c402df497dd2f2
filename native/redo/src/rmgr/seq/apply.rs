//! LOG brings the page anew:
//!
//! | field | offset | width |
//! |---|---|---|
//! | relation | 0 | 12 |
//! | the sequence's tuple, header included | 12 | rest |

use offshoot_layout::Page;
use offshoot_layout::page::{init, pd_special};

use crate::effect::PageBase;
use crate::opcode::{BlockChange, Stamp};
use crate::page_items::{Place, add_item};
use crate::payload::Malformed;

const SIZE_OF_RELATION: usize = 12;
const SIZE_OF_SPECIAL: u16 = 8;
const SEQ_MAGIC: u32 = 0x1717;

pub(crate) fn log(change: &BlockChange<'_>, page: &mut Page) -> Result<Stamp, Malformed> {
    if change.block.id != 0 || change.base != PageBase::Init {
        return Err(Malformed("a sequence's page that is not built anew"));
    }
    let tuple = change.record.main_data().get(SIZE_OF_RELATION..);
    init(page, SIZE_OF_SPECIAL);
    let special = usize::from(pd_special(page));
    page[special..special + 4].copy_from_slice(&SEQ_MAGIC.to_le_bytes());
    add_item(
        page,
        tuple.ok_or(Malformed("payload ends early"))?,
        Place::Insert(1),
    )?;
    Ok(Stamp::EndLsn)
}
