//! The metapage, block 0. Records that change it carry all of it that matters, as data of its
//! block reference, and it is built anew.
//!
//! | field | in the record | on the page, from byte 24 |
//! |---|---|---|
//! | btm_magic | | 0, 4 bytes |
//! | btm_version | 0 | 4 |
//! | btm_root | 4 | 8 |
//! | btm_level | 8 | 12 |
//! | btm_fastroot | 12 | 16 |
//! | btm_fastlevel | 16 | 20 |
//! | btm_last_cleanup_num_delpages | 20 | 24 |
//! | btm_last_cleanup_num_heap_tuples | | 32, 8 bytes |
//! | btm_allequalimage | 24, 1 byte | 40, 1 byte |

use offshoot_layout::Page;
use offshoot_layout::page::{SIZE_OF_PAGE_HEADER, set_pd_lower};

use super::opaque::{self, BTP_META, Opaque};
use crate::opcode::{BlockChange, Stamp};
use crate::payload::{Malformed, Payload};

const BTREE_MAGIC: u32 = 0x0005_3162;
/// Bytes of the fields that are the same in record and page, from the version on.
const SIZE_OF_COPIED: usize = 24;
const META: usize = SIZE_OF_PAGE_HEADER;
const SIZE_OF_META: usize = 48;
const HEAP_TUPLES: usize = META + 32;
const ALLEQUALIMAGE: usize = META + 40;
/// Postgres 15 no longer uses the count and always writes this.
const HEAP_TUPLES_UNUSED: f64 = -1.0;

/// Builds the metapage from the block reference's data.
pub(super) fn restore(change: &BlockChange<'_>, page: &mut Page) -> Result<Stamp, Malformed> {
    let mut data = Payload::new(change.record.block_data(change.block));
    let copied = data.take(SIZE_OF_COPIED)?;
    let allequalimage = data.u8()?;
    let special = Opaque {
        flags: BTP_META,
        ..Opaque::default()
    };
    opaque::init(page, &special);
    page[META..META + 4].copy_from_slice(&BTREE_MAGIC.to_le_bytes());
    page[META + 4..META + 4 + SIZE_OF_COPIED].copy_from_slice(copied);
    page[HEAP_TUPLES..HEAP_TUPLES + 8].copy_from_slice(&HEAP_TUPLES_UNUSED.to_le_bytes());
    page[ALLEQUALIMAGE] = allequalimage;
    set_pd_lower(page, (META + SIZE_OF_META) as u16);
    Ok(Stamp::EndLsn)
}

/// VACUUM noted in the metapage how many deleted pages it left.
pub(crate) fn meta_cleanup(change: &BlockChange<'_>, page: &mut Page) -> Result<Stamp, Malformed> {
    match change.block.id {
        0 => restore(change, page),
        _ => Err(super::NO_SUCH_BLOCK),
    }
}
