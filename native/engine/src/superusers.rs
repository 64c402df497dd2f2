//! Who may log in and is a superuser, as pg_authid's pages have it: known before any Postgres runs.
//!
//! Names can change with any branch. Which tuple of a role is the one that counts is for a Postgres to say, which
//! has the snapshots: here the likely ones come first, and a name that is wrong is only refused.

use crate::{EngineError, FileKey, FileKind, View};
use offshoot_layout::item::{self, ItemId, LP_NORMAL};
use offshoot_layout::le::u32_at;
use offshoot_layout::{BlockKey, Fork, Page, RelKey};

/// Names that are given; of a cluster with more superusers, any will do.
pub const SUPERUSERS_MAX: usize = 16;
/// Pages that are looked through. The superuser that initdb makes is on one of the first, unless it was changed.
const PAGES_MAX: u32 = 1024;

const GLOBAL_TABLESPACE: u32 = offshoot_layout::relfile::GLOBAL_TABLESPACE_OID;
const AUTHID_OID: u32 = 1260;
/// The role that initdb makes; it cannot be dropped.
const BOOTSTRAP_SUPERUSER_OID: u32 = 10;

/// Of pg_filenode.map up to major 15: magic, count, pairs of OID and file number, CRC-32C of all before it.
const MAP_MAGIC: u32 = 0x0059_2717;
const MAP_PAIRS_AT: usize = 8;
const MAP_PAIRS_MAX: u32 = 62;
const MAP_CRC_AT: usize = MAP_PAIRS_AT + 8 * MAP_PAIRS_MAX as usize;

/// Of a heap tuple's header.
const XMAX_AT: usize = 4;
const INFOMASK_AT: usize = 20;
const HOFF_AT: usize = 22;
const XMAX_LOCK_ONLY: u8 = 0x80;
/// In the second byte of the infomask.
const XMIN_COMMITTED: u8 = 0x01;
const XMAX_INVALID: u8 = 0x08;

/// Of a row of pg_authid; none of these columns is ever null.
const OID_AT: usize = 0;
const NAME_AT: usize = 4;
const NAME_BYTES: usize = 64;
const IS_SUPERUSER_AT: usize = NAME_AT + NAME_BYTES;
const CAN_LOG_IN_AT: usize = IS_SUPERUSER_AT + 4;

/// A version of a role.
#[derive(Debug, PartialEq, Eq)]
struct Role {
    oid: u32,
    name: String,
    /// Nobody has deleted or changed it, as far as its header tells.
    is_newest: bool,
    /// Whoever made it has committed; until a reader has noted that, it is not known here.
    is_committed: bool,
}

impl View {
    /// Names of superusers that may log in, the likeliest first: the one that initdb made goes before others, and
    /// what was not changed since before what was. At most `SUPERUSERS_MAX`.
    ///
    /// # Errors
    /// `Store`, `Damaged`, `Redo`: pg_authid cannot be read.
    pub fn superusers(&self) -> Result<Vec<String>, EngineError> {
        let rel = RelKey {
            spcnode: GLOBAL_TABLESPACE,
            dbnode: 0,
            relnode: self.shared_relation_file(AUTHID_OID)?,
            fork: Fork::Main,
        };
        let mut roles = Vec::new();
        let mut page: Box<Page> = Box::new([0; offshoot_layout::BLCKSZ]);
        for block in 0..self.size(&rel)?.unwrap_or(0).min(PAGES_MAX) {
            self.page(&BlockKey { rel, block }, &mut page)?;
            roles.extend(superusers_on(&page));
            if roles.iter().any(is_certain) {
                break;
            }
        }
        Ok(names(roles))
    }

    fn shared_relation_file(&self, oid: u32) -> Result<u32, EngineError> {
        let damaged = |why: &str| EngineError::damaged("global/pg_filenode.map", why.to_owned());
        let map = self.file(&FileKey::new(FileKind::RelMap, GLOBAL_TABLESPACE, 0))?;
        let map = map.ok_or_else(|| damaged("it is missing"))?;
        mapped_file(map, oid).map_err(damaged)
    }
}

fn is_certain(role: &Role) -> bool {
    role.oid == BOOTSTRAP_SUPERUSER_OID && role.is_newest && role.is_committed
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
        .ok_or("it does not have pg_authid")
}

fn superusers_on(page: &Page) -> Vec<Role> {
    (1..=item::max_offset_number(page))
        .filter_map(|offset_number| {
            let at = item::item_id_at(page, offset_number)?;
            let id = ItemId::from_bits(u32_at(page, at)?);
            let start = usize::from(id.offset);
            let tuple = page.get(start..start + usize::from(id.length))?;
            (id.flags == LP_NORMAL).then_some(tuple)
        })
        .filter_map(superuser_of)
        .collect()
}

/// `None`: it is none, or not a row of pg_authid.
fn superuser_of(tuple: &[u8]) -> Option<Role> {
    let row = tuple.get(usize::from(*tuple.get(HOFF_AT)?)..)?;
    if *row.get(IS_SUPERUSER_AT)? != 1 || *row.get(CAN_LOG_IN_AT)? != 1 {
        return None;
    }
    let name = row.get(NAME_AT..NAME_AT + NAME_BYTES)?;
    let name = name.split(|byte| *byte == 0).next()?;
    let infomask = tuple.get(INFOMASK_AT..INFOMASK_AT + 2)?;
    Some(Role {
        oid: u32_at(row, OID_AT)?,
        // A name in another encoding cannot be said to Postgres from here.
        name: std::str::from_utf8(name).ok()?.to_owned(),
        is_newest: u32_at(tuple, XMAX_AT)? == 0
            || infomask[0] & XMAX_LOCK_ONLY != 0
            || infomask[1] & XMAX_INVALID != 0,
        is_committed: infomask[1] & XMIN_COMMITTED != 0,
    })
}

fn names(mut roles: Vec<Role>) -> Vec<String> {
    // Stable: of equal ones the first on the pages stays the first.
    roles.sort_by_key(|role| (!role.is_newest, role.oid));
    let mut names: Vec<String> = Vec::new();
    for Role { name, .. } in roles {
        if names.len() < SUPERUSERS_MAX && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tuple(
        oid: u32,
        name: &str,
        [superuser, login]: [u8; 2],
        xmax: u32,
        mask: [u8; 2],
    ) -> Vec<u8> {
        let mut tuple = vec![0; 24 + 80];
        tuple[XMAX_AT..XMAX_AT + 4].copy_from_slice(&xmax.to_le_bytes());
        tuple[INFOMASK_AT..INFOMASK_AT + 2].copy_from_slice(&mask);
        tuple[HOFF_AT] = 24;
        let row = &mut tuple[24..];
        row[..4].copy_from_slice(&oid.to_le_bytes());
        row[NAME_AT..NAME_AT + name.len()].copy_from_slice(name.as_bytes());
        row[IS_SUPERUSER_AT] = superuser;
        row[CAN_LOG_IN_AT] = login;
        tuple
    }

    fn page_of(tuples: &[Vec<u8>]) -> Page {
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

    #[test]
    fn the_likeliest_comes_first() {
        let page = page_of(&[
            tuple(10, "before", [1, 1], 700, [0, 1]),
            tuple(16_384, "root", [1, 1], 0, [0, 0]),
            tuple(16_385, "app", [0, 1], 0, [0, 0]),
            tuple(16_386, "owner", [1, 0], 0, [0, 0]),
            tuple(10, "after", [1, 1], 0, [0, 0]),
            tuple(10, "given up", [1, 1], 701, [0, XMAX_INVALID]),
            tuple(10, "locked", [1, 1], 702, [XMAX_LOCK_ONLY, 0]),
        ]);
        let roles = superusers_on(&page);
        assert_eq!(
            names(roles),
            ["after", "given up", "locked", "root", "before"]
        );
    }

    #[test]
    fn one_that_may_yet_be_undone_ends_no_search() {
        let of = |xmax, mask| superuser_of(&tuple(10, "x", [1, 1], xmax, mask)).unwrap();
        assert!(is_certain(&of(0, [0, XMIN_COMMITTED])));
        assert!(!is_certain(&of(0, [0, 0])));
        assert!(!is_certain(&of(9, [0, XMIN_COMMITTED])));
    }

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
            bytes in proptest::collection::vec(any::<u8>(), offshoot_layout::BLCKSZ),
            tuple in proptest::collection::vec(any::<u8>(), 0..200),
            map in proptest::collection::vec(any::<u8>(), 0..600),
        ) {
            let page: Page = bytes.try_into().unwrap();
            let _ = superusers_on(&page);
            let _ = superuser_of(&tuple);
            let _ = mapped_file(&map, AUTHID_OID);
        }
    }
}
