//! What may differ between a page in production and the same page after redo: hint bits, unused
//! space and the like are made equal on both before they are compared.
//!
//! One file per resource manager, each as Postgres' function of that name does it; that of heap is
//! stricter.

pub mod brin;
pub mod btree;
pub mod generic;
pub mod gin;
pub mod gist;
pub mod hash;
pub mod heap;
mod primitives;
pub mod sequence;
pub mod spgist;

use offshoot_layout::Page;

/// The masked page. The number is the page's block number.
pub type Mask = fn(&Page, u32) -> Result<Page, BadPage>;

/// A page whose header makes no sense; Postgres stops with an error at such a one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the page makes no sense: {0}")]
pub struct BadPage(pub &'static str);

/// The mask of a resource manager; `None` if Postgres never compares its pages.
#[must_use]
pub fn mask_of(rmid: u8) -> Option<Mask> {
    Some(match rmid {
        9 | 10 => heap::mask,
        11 => btree::mask,
        12 => hash::mask,
        13 => gin::mask,
        14 => gist::mask,
        15 => sequence::mask,
        16 => spgist::mask,
        17 => brin::mask,
        20 => generic::mask,
        _ => return None,
    })
}
