//! Who may log in where, as the pages of pg_authid and pg_database have it: known before any Postgres runs.
//!
//! Roles and databases get other names and are closed, on any branch. Which tuple is the one that counts is for a
//! Postgres to say, which has the snapshots: here the likely ones come first, and one that is wrong is only refused.

use crate::shared_catalog::{AUTHID_OID, NAME_AT, NAME_BYTES, OID_AT, Tuple, name_at, tuples_on};
use crate::{EngineError, View};
use offshoot_layout::le::u32_at;
use std::ops::ControlFlow;

/// Names that are given of each; of a cluster with more, any will do.
pub const CANDIDATES_MAX: usize = 16;
const DATABASE_OID: u32 = 1262;
/// The role that initdb makes; it cannot be dropped.
const BOOTSTRAP_SUPERUSER_OID: u32 = 10;

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
        let mut found = Vec::new();
        self.shared_catalog_pages(catalog, |page| {
            found.extend(tuples_on(page).filter_map(|tuple| candidate_of(&tuple, rank_of)));
            match found.iter().any(enough) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        })?;
        Ok(names(found))
    }
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
fn candidate_of(tuple: &Tuple, rank_of: fn(&[u8]) -> Option<u8>) -> Option<Candidate> {
    let Tuple {
        row,
        is_newest,
        is_committed,
        ..
    } = tuple;
    Some(Candidate {
        rank: rank_of(row)?,
        oid: u32_at(row, OID_AT)?,
        // A name in another encoding cannot be said to Postgres from here.
        name: std::str::from_utf8(name_at(row, NAME_AT)?).ok()?.to_owned(),
        is_newest: *is_newest,
        is_committed: *is_committed,
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
    use crate::shared_catalog::testing::{page_of, tuple};
    use crate::shared_catalog::{XMAX_INVALID, XMAX_LOCK_ONLY, XMIN_COMMITTED};
    use offshoot_layout::Page;
    use proptest::prelude::*;

    /// Superuser, may log in, may do replication.
    fn role(oid: u32, name: &str, flags: [u8; 3], xmax: u32, mask: [u8; 2]) -> Vec<u8> {
        let mut tuple = tuple(oid, name, xmax, mask);
        tuple[24 + IS_SUPERUSER_AT] = flags[0];
        tuple[24 + CAN_LOG_IN_AT] = flags[1];
        tuple[24 + IS_REPLICATION_AT] = flags[2];
        tuple
    }

    fn roles_on(page: &Page) -> Vec<String> {
        names(
            tuples_on(page)
                .filter_map(|tuple| candidate_of(&tuple, rank_of_role))
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
            candidate_of(&Tuple::read(&tuple).unwrap(), rank_of_database)
        };
        assert_eq!(of(4, "template0", 0), None);
        assert_eq!(of(5, "shop", 1).unwrap().name, "shop");
    }

    #[test]
    fn one_that_may_yet_be_undone_ends_no_search() {
        let of = |xmax, mask| {
            let role = role(10, "x", [1; 3], xmax, mask);
            candidate_of(&Tuple::read(&role).unwrap(), rank_of_role).unwrap()
        };
        assert!(of(0, [0, XMIN_COMMITTED]).is_certain());
        assert!(!of(0, [0, 0]).is_certain());
        assert!(!of(9, [0, XMIN_COMMITTED]).is_certain());
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_odd(
            bytes in proptest::collection::vec(any::<u8>(), offshoot_layout::BLCKSZ),
            tuple in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let page: Page = bytes.try_into().unwrap();
            let _ = roles_on(&page);
            if let Some(tuple) = Tuple::read(&tuple) {
                let _ = candidate_of(&tuple, rank_of_role);
                let _ = candidate_of(&tuple, rank_of_database);
            }
        }
    }
}
