//! Rows of catalogs that all databases share, read from their pages without a Postgres.
//!
//! Which version of a row is the one that counts is for a Postgres to say, which has the snapshots; a header tells
//! much of it.

use crate::{EngineError, FileKey, FileKind, View};
use offshoot_layout::item::{self, ItemId, LP_NORMAL};
use offshoot_layout::le::u32_at;
use offshoot_layout::{BlockKey, Fork, Page, RelKey};
use std::ops::ControlFlow;

pub(crate) const AUTHID_OID: u32 = 1260;
pub(crate) const SHDESCRIPTION_OID: u32 = 2396;
/// Of a row of a catalog with names: none of the columns that are read here is ever null.
pub(crate) const OID_AT: usize = 0;
pub(crate) const NAME_AT: usize = 4;
pub(crate) const NAME_BYTES: usize = 64;

/// Pages of a catalog that are looked through. The superuser that initdb makes, and its databases, are on the first
/// of them unless they were changed.
const PAGES_MAX: u32 = 1024;
const GLOBAL_TABLESPACE: u32 = offshoot_layout::relfile::GLOBAL_TABLESPACE_OID;

/// Of pg_filenode.map up to major 15: magic, count, pairs of OID and file number, CRC-32C of all before it.
const MAP_MAGIC: u32 = 0x0059_2717;
const MAP_PAIRS_AT: usize = 8;
const MAP_PAIRS_MAX: u32 = 62;
const MAP_CRC_AT: usize = MAP_PAIRS_AT + 8 * MAP_PAIRS_MAX as usize;

/// Of a heap tuple's header.
const XMAX_AT: usize = 4;
const INFOMASK_AT: usize = 20;
const HOFF_AT: usize = 22;
pub(crate) const XMAX_LOCK_ONLY: u8 = 0x80;
/// In the second byte of the infomask. Both of xmin: it is frozen.
pub(crate) const XMIN_COMMITTED: u8 = 0x01;
pub(crate) const XMIN_INVALID: u8 = 0x02;
pub(crate) const XMAX_INVALID: u8 = 0x08;

/// A version of a row.
pub(crate) struct Tuple<'a> {
    pub row: &'a [u8],
    /// Nobody has deleted or changed it, as far as its header tells.
    pub is_newest: bool,
    /// Whoever made it has committed; until a reader has noted that, it is not known here.
    pub is_committed: bool,
    /// Whoever made it has not, and a reader has noted that.
    pub is_undone: bool,
}

impl<'a> Tuple<'a> {
    /// `None`: not a tuple at all.
    pub fn read(tuple: &'a [u8]) -> Option<Self> {
        let infomask = tuple.get(INFOMASK_AT..INFOMASK_AT + 2)?;
        Some(Self {
            row: tuple.get(usize::from(*tuple.get(HOFF_AT)?)..)?,
            is_newest: u32_at(tuple, XMAX_AT)? == 0
                || infomask[0] & XMAX_LOCK_ONLY != 0
                || infomask[1] & XMAX_INVALID != 0,
            is_committed: infomask[1] & XMIN_COMMITTED != 0,
            is_undone: infomask[1] & (XMIN_COMMITTED | XMIN_INVALID) == XMIN_INVALID,
        })
    }
}

/// A column of type `name`, without the zeros behind it.
pub(crate) fn name_at(row: &[u8], at: usize) -> Option<&[u8]> {
    row.get(at..at + NAME_BYTES)?
        .split(|byte| *byte == 0)
        .next()
}

pub(crate) fn tuples_on(page: &Page) -> impl Iterator<Item = Tuple<'_>> {
    (1..=item::max_offset_number(page)).filter_map(|offset_number| {
        let at = item::item_id_at(page, offset_number)?;
        let id = ItemId::from_bits(u32_at(page, at)?);
        let start = usize::from(id.offset);
        let tuple = page.get(start..start + usize::from(id.length))?;
        if id.flags == LP_NORMAL {
            Tuple::read(tuple)
        } else {
            None
        }
    })
}

impl View {
    /// Shows the first pages of a catalog until `look` has seen enough.
    ///
    /// # Errors
    /// `Store`, `Damaged`, `Redo`: it cannot be read.
    pub(crate) fn shared_catalog_pages(
        &self,
        catalog: u32,
        mut look: impl FnMut(&Page) -> ControlFlow<()>,
    ) -> Result<(), EngineError> {
        let rel = RelKey {
            spcnode: GLOBAL_TABLESPACE,
            dbnode: 0,
            relnode: self.shared_catalog_file(catalog)?,
            fork: Fork::Main,
        };
        let mut page: Box<Page> = Box::new([0; offshoot_layout::BLCKSZ]);
        for block in 0..self.size(&rel)?.unwrap_or(0).min(PAGES_MAX) {
            self.page(&BlockKey { rel, block }, &mut page)?;
            if look(&page).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn shared_catalog_file(&self, oid: u32) -> Result<u32, EngineError> {
        let damaged = |why: &str| EngineError::damaged("global/pg_filenode.map", why.to_owned());
        let map = self.file(&FileKey::new(FileKind::RelMap, GLOBAL_TABLESPACE, 0))?;
        let map = map.ok_or_else(|| damaged("it is missing"))?;
        mapped_file(map, oid).map_err(damaged)
    }
}

/// The file number of a mapped catalog.
fn mapped_file(map: &[u8], oid: u32) -> Result<u32, &'static str> {
    let crc = u32_at(map, MAP_CRC_AT).ok_or("it is too short")?;
    if u32_at(map, 0) != Some(MAP_MAGIC) {
        return Err("its first bytes are not those of a map");
    }
    if crc32c::crc32c(&map[..MAP_CRC_AT]) != crc {
        return Err("its checksum does not match");
    }
    let count = u32_at(map, 4).filter(|count| *count <= MAP_PAIRS_MAX);
    let count = count.ok_or("it says that it has more entries than there is room for")?;
    (0..count as usize)
        .map(|entry| MAP_PAIRS_AT + 8 * entry)
        .find(|at| u32_at(map, *at) == Some(oid))
        .and_then(|at| u32_at(map, at + 4))
        .ok_or("it does not have the catalog")
}

/// Rows and pages as Postgres writes them.
#[cfg(test)]
pub(crate) mod testing {
    use super::{HOFF_AT, INFOMASK_AT, NAME_AT, XMAX_AT};
    use offshoot_layout::Page;
    use offshoot_layout::item::{self, ItemId, LP_NORMAL};

    /// With an OID, and what comes behind it.
    pub(crate) fn tuple_of(oid: u32, rest: &[u8], xmax: u32, mask: [u8; 2]) -> Vec<u8> {
        let mut tuple = vec![0; 24 + 4];
        tuple[XMAX_AT..XMAX_AT + 4].copy_from_slice(&xmax.to_le_bytes());
        tuple[INFOMASK_AT..INFOMASK_AT + 2].copy_from_slice(&mask);
        tuple[HOFF_AT] = 24;
        tuple[24..28].copy_from_slice(&oid.to_le_bytes());
        tuple.extend(rest);
        tuple
    }

    /// With an OID and a name, and room for flags behind them.
    pub(crate) fn tuple(oid: u32, name: &str, xmax: u32, mask: [u8; 2]) -> Vec<u8> {
        let mut rest = vec![0; 96 - NAME_AT];
        rest[..name.len()].copy_from_slice(name.as_bytes());
        tuple_of(oid, &rest, xmax, mask)
    }

    pub(crate) fn page_of(tuples: &[Vec<u8>]) -> Page {
        let mut page = [0; offshoot_layout::BLCKSZ];
        offshoot_layout::page::init(&mut page, 0);
        let mut end = page.len();
        for (number, tuple) in tuples.iter().enumerate() {
            end -= item::max_align(tuple.len());
            page[end..end + tuple.len()].copy_from_slice(tuple);
            let id = ItemId {
                offset: end as u16,
                flags: LP_NORMAL,
                length: tuple.len() as u16,
            };
            page[24 + 4 * number..][..4].copy_from_slice(&id.to_bits().to_le_bytes());
        }
        offshoot_layout::page::set_pd_lower(&mut page, 24 + 4 * tuples.len() as u16);
        page
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn map(pairs: &[(u32, u32)]) -> Vec<u8> {
        let mut map = [MAP_MAGIC.to_le_bytes(), (pairs.len() as u32).to_le_bytes()].concat();
        map.extend(
            pairs
                .iter()
                .flat_map(|(oid, file)| [oid.to_le_bytes(), file.to_le_bytes()].concat()),
        );
        map.resize(512, 0);
        let crc = crc32c::crc32c(&map[..MAP_CRC_AT]);
        map[MAP_CRC_AT..MAP_CRC_AT + 4].copy_from_slice(&crc.to_le_bytes());
        map
    }

    #[test]
    fn the_file_of_a_mapped_catalog() {
        let whole = map(&[(1262, 1262), (AUTHID_OID, 16_400)]);
        assert_eq!(mapped_file(&whole, AUTHID_OID), Ok(16_400));
        assert!(mapped_file(&whole, 1261).is_err());
        assert!(mapped_file(&whole[..511 - 8], AUTHID_OID).is_err());
        for at in [0, 4, 20, MAP_CRC_AT] {
            let mut broken = whole.clone();
            broken[at] ^= 1;
            assert!(mapped_file(&broken, AUTHID_OID).is_err(), "byte {at}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_odd(
            page in proptest::collection::vec(any::<u8>(), offshoot_layout::BLCKSZ),
            tuple in proptest::collection::vec(any::<u8>(), 0..200),
            map in proptest::collection::vec(any::<u8>(), 0..600),
        ) {
            let page: Page = page.try_into().unwrap();
            let _ = tuples_on(&page).count();
            let _ = Tuple::read(&tuple);
            let _ = mapped_file(&map, AUTHID_OID);
        }
    }
}
