//! Who may log in where, as the pages of pg_authid and pg_database have it: known before any Postgres runs.
//!
//! Roles and databases get other names and are closed, on any branch. Which tuple is the one that counts is for a
//! Postgres to say, which has the snapshots: here the likely ones come first, and one that is wrong is only refused.

use crate::{EngineError, FileKey, FileKind, View};
use offshoot_layout::item::{self, ItemId, LP_NORMAL};
use offshoot_layout::le::u32_at;
use offshoot_layout::{BlockKey, Fork, Page, RelKey};

/// Names that are given of each; of a cluster with more, any will do.
pub const CANDIDATES_MAX: usize = 16;
/// Pages of a catalog that are looked through. The superuser that initdb makes, and its databases, are on the first
/// of them unless they were changed.
const PAGES_MAX: u32 = 1024;

const GLOBAL_TABLESPACE: u32 = offshoot_layout::relfile::GLOBAL_TABLESPACE_OID;
const AUTHID_OID: u32 = 1260;
const DATABASE_OID: u32 = 1262;
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

/// Of a row of either catalog: none of the columns that are read here is ever null.
const OID_AT: usize = 0;
const NAME_AT: usize = 4;
const NAME_BYTES: usize = 64;
/// Of pg_authid.
const IS_SUPERUSER_AT: usize = NAME_AT + NAME_BYTES;
const CAN_LOG_IN_AT: usize = IS_SUPERUSER_AT + 4;
const IS_REPLICATION_AT: usize = IS_SUPERUSER_AT + 5;
/// Of pg_database, up to major 15: behind owner, encoding, provider of the locale, and whether it is a template.
const ALLOWS_CONNECTIONS_AT: usize = NAME_AT + NAME_BYTES + 10;

/// Names, the likeliest first; at most `CANDIDATES_MAX` of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginCandidates {
    /// Superusers that may log in, the one that initdb made before others; then roles that may do replication.
    pub users: Vec<String>,
    /// Databases that take connections.
    pub databases: Vec<String>,
}

/// A version of a row that may be of use.
#[derive(Debug, PartialEq, Eq)]
struct Candidate {
    /// The smaller the better.
    rank: u8,
    oid: u32,
    name: String,
    /// Nobody has deleted or changed it, as far as its header tells.
    is_newest: bool,
    /// Whoever made it has committed; until a reader has noted that, it is not known here.
    is_committed: bool,
}

impl Candidate {
    fn is_certain(&self) -> bool {
        self.is_newest && self.is_committed
    }
}

impl View {
    /// # Errors
    /// `Store`, `Damaged`, `Redo`: pg_authid or pg_database cannot be read.
    pub fn login_candidates(&self) -> Result<LoginCandidates, EngineError> {
        let certain_superuser =
            |role: &Candidate| role.oid == BOOTSTRAP_SUPERUSER_OID && role.is_certain();
        Ok(LoginCandidates {
            users: self.candidates(AUTHID_OID, rank_of_role, certain_superuser)?,
            databases: self.candidates(DATABASE_OID, rank_of_database, Candidate::is_certain)?,
        })
    }

    /// Looks no further than the page with one that is `enough`.
    fn candidates(
        &self,
        catalog: u32,
        rank_of: fn(&[u8]) -> Option<u8>,
        enough: fn(&Candidate) -> bool,
    ) -> Result<Vec<String>, EngineError> {
        let rel = RelKey {
            spcnode: GLOBAL_TABLESPACE,
            dbnode: 0,
            relnode: self.shared_catalog_file(catalog)?,
            fork: Fork::Main,
        };
        let mut found = Vec::new();
        let mut page: Box<Page> = Box::new([0; offshoot_layout::BLCKSZ]);
        for block in 0..self.size(&rel)?.unwrap_or(0).min(PAGES_MAX) {
            self.page(&BlockKey { rel, block }, &mut page)?;
            found.extend(tuples_on(&page).filter_map(|tuple| candidate_of(tuple, rank_of)));
            if found.iter().any(enough) {
                break;
            }
        }
        Ok(names(found))
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

fn tuples_on(page: &Page) -> impl Iterator<Item = &[u8]> {
    (1..=item::max_offset_number(page)).filter_map(|offset_number| {
        let at = item::item_id_at(page, offset_number)?;
        let id = ItemId::from_bits(u32_at(page, at)?);
        let start = usize::from(id.offset);
        let tuple = page.get(start..start + usize::from(id.length))?;
        (id.flags == LP_NORMAL).then_some(tuple)
    })
}

fn rank_of_role(row: &[u8]) -> Option<u8> {
    let is = |at: usize| row.get(at).map(|byte| *byte == 1);
    match (
        is(CAN_LOG_IN_AT)?,
        is(IS_SUPERUSER_AT)?,
        is(IS_REPLICATION_AT)?,
    ) {
        (true, true, _) => Some(0),
        (true, false, true) => Some(1),
        _ => None,
    }
}

fn rank_of_database(row: &[u8]) -> Option<u8> {
    (*row.get(ALLOWS_CONNECTIONS_AT)? == 1).then_some(0)
}

/// `None`: of no use, or not a row at all.
fn candidate_of(tuple: &[u8], rank_of: fn(&[u8]) -> Option<u8>) -> Option<Candidate> {
    let row = tuple.get(usize::from(*tuple.get(HOFF_AT)?)..)?;
    let name = row.get(NAME_AT..NAME_AT + NAME_BYTES)?;
    let name = name.split(|byte| *byte == 0).next()?;
    let infomask = tuple.get(INFOMASK_AT..INFOMASK_AT + 2)?;
    Some(Candidate {
        rank: rank_of(row)?,
        oid: u32_at(row, OID_AT)?,
        // A name in another encoding cannot be said to Postgres from here.
        name: std::str::from_utf8(name).ok()?.to_owned(),
        is_newest: u32_at(tuple, XMAX_AT)? == 0
            || infomask[0] & XMAX_LOCK_ONLY != 0
            || infomask[1] & XMAX_INVALID != 0,
        is_committed: infomask[1] & XMIN_COMMITTED != 0,
    })
}

fn names(mut candidates: Vec<Candidate>) -> Vec<String> {
    // Stable: of equal ones the first on the pages stays the first.
    candidates.sort_by_key(|each| (!each.is_newest, each.rank, each.oid));
    let mut names: Vec<String> = Vec::new();
    for Candidate { name, .. } in candidates {
        if names.len() < CANDIDATES_MAX && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tuple(oid: u32, name: &str, xmax: u32, mask: [u8; 2]) -> Vec<u8> {
        let mut tuple = vec![0; 24 + 96];
        tuple[XMAX_AT..XMAX_AT + 4].copy_from_slice(&xmax.to_le_bytes());
        tuple[INFOMASK_AT..INFOMASK_AT + 2].copy_from_slice(&mask);
        tuple[HOFF_AT] = 24;
        tuple[24..28].copy_from_slice(&oid.to_le_bytes());
        tuple[24 + NAME_AT..24 + NAME_AT + name.len()].copy_from_slice(name.as_bytes());
        tuple
    }

    /// Superuser, may log in, may do replication.
    fn role(oid: u32, name: &str, flags: [u8; 3], xmax: u32, mask: [u8; 2]) -> Vec<u8> {
        let mut tuple = tuple(oid, name, xmax, mask);
        tuple[24 + IS_SUPERUSER_AT] = flags[0];
        tuple[24 + CAN_LOG_IN_AT] = flags[1];
        tuple[24 + IS_REPLICATION_AT] = flags[2];
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

    fn roles_on(page: &Page) -> Vec<String> {
        names(
            tuples_on(page)
                .filter_map(|tuple| candidate_of(tuple, rank_of_role))
                .collect(),
        )
    }

    #[test]
    fn the_likeliest_comes_first() {
        let page = page_of(&[
            role(10, "before", [1, 1, 1], 700, [0, 1]),
            role(16_380, "copies", [0, 1, 1], 0, [0, 0]),
            role(16_384, "root", [1, 1, 0], 0, [0, 0]),
            role(16_385, "app", [0, 1, 0], 0, [0, 0]),
            role(16_386, "owner", [1, 0, 1], 0, [0, 0]),
            role(10, "after", [1, 1, 1], 0, [0, 0]),
            role(10, "given up", [1, 1, 1], 701, [0, XMAX_INVALID]),
            role(10, "locked", [1, 1, 1], 702, [XMAX_LOCK_ONLY, 0]),
        ]);
        let expected = ["after", "given up", "locked", "root", "copies", "before"];
        assert_eq!(roles_on(&page), expected);
    }

    #[test]
    fn databases_that_take_connections() {
        let of = |oid, name, allows| {
            let mut tuple = tuple(oid, name, 0, [0, 0]);
            tuple[24 + ALLOWS_CONNECTIONS_AT] = allows;
            candidate_of(&tuple, rank_of_database)
        };
        assert_eq!(of(4, "template0", 0), None);
        assert_eq!(of(5, "shop", 1).unwrap().name, "shop");
    }

    #[test]
    fn one_that_may_yet_be_undone_ends_no_search() {
        let of =
            |xmax, mask| candidate_of(&role(10, "x", [1; 3], xmax, mask), rank_of_role).unwrap();
        assert!(of(0, [0, XMIN_COMMITTED]).is_certain());
        assert!(!of(0, [0, 0]).is_certain());
        assert!(!of(9, [0, XMIN_COMMITTED]).is_certain());
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
            let _ = roles_on(&page);
            let _ = candidate_of(&tuple, rank_of_role);
            let _ = candidate_of(&tuple, rank_of_database);
            let _ = mapped_file(&map, AUTHID_OID);
        }
    }
}
