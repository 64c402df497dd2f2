//! What nearly every new session reads of the catalogs comes together: the first time that one of these
//! relations is missed in a directory, all of them are asked for in two round trips, sizes and then pages,
//! instead of page by page, each with a round trip of its own.
//!
//! This only fetches earlier what would be fetched anyway, by the same rules (`materialise::make`). Whatever
//! goes wrong here is nobody's error: what did not come is asked for again by whoever needs it.

use crate::client::{self, Client, Start};
use crate::connection::{Answer, Connection};
use crate::env::Settings;
use crate::error::{Errno, PreloadError};
use crate::materialise::{self, Existence};
use crate::path::{DirectoryPath, RelPath};
use crate::stream::Deadline;
use crate::sys;
use offshoot_layout::relfile::GLOBAL_TABLESPACE_OID;
use offshoot_layout::{Fork, RELSEG_BLOCKS, RelKey};
use std::time::{Duration, Instant};

/// Pages that come of a relation, unless it has fewer.
const PAGES_MAX: u32 = 64;
/// The same where a session looks up a row here and there.
const FEW: u32 = 8;
/// Pages that come of a directory; they are in memory at the same time.
const ALL_PAGES_MAX: usize = 512;

/// How long others wait for whoever brings a directory's catalogs, before each asks for itself.
const OTHERS_WAIT_MAX: Duration = Duration::from_millis(50);
const OTHERS_NAP: Duration = Duration::from_micros(200);

/// In every database, as initdb names their files. One that was rewritten since (VACUUM FULL) has another
/// name, and is read as any relation is.
const OF_DATABASE: [(u32, u32); 36] = [
    (1247, PAGES_MAX), // pg_type
    (1249, PAGES_MAX), // pg_attribute
    (1255, FEW),       // pg_proc
    (1259, PAGES_MAX), // pg_class
    (2601, PAGES_MAX), // pg_am
    (2602, PAGES_MAX), // pg_amop
    (2603, PAGES_MAX), // pg_amproc
    (2605, PAGES_MAX), // pg_cast
    (2610, PAGES_MAX), // pg_index
    (2615, PAGES_MAX), // pg_namespace
    (2616, PAGES_MAX), // pg_opclass
    (2617, PAGES_MAX), // pg_operator
    (2619, FEW),       // pg_statistic
    (2653, PAGES_MAX), // pg_amop_fam_strat_index
    (2654, PAGES_MAX), // pg_amop_opr_fam_index
    (2655, PAGES_MAX), // pg_amproc_fam_proc_index
    (2659, PAGES_MAX), // pg_attribute_relid_attnum_index
    (2661, PAGES_MAX), // pg_cast_source_target_index
    (2662, PAGES_MAX), // pg_class_oid_index
    (2663, PAGES_MAX), // pg_class_relname_nsp_index
    (2678, PAGES_MAX), // pg_index_indrelid_index
    (2679, PAGES_MAX), // pg_index_indexrelid_index
    (2684, PAGES_MAX), // pg_namespace_nspname_index
    (2685, PAGES_MAX), // pg_namespace_oid_index
    (2687, PAGES_MAX), // pg_opclass_oid_index
    (2688, PAGES_MAX), // pg_operator_oid_index
    (2689, PAGES_MAX), // pg_operator_oprname_l_r_n_index
    (2690, PAGES_MAX), // pg_proc_oid_index
    (2691, FEW),       // pg_proc_proname_args_nsp_index
    (2696, PAGES_MAX), // pg_statistic_relid_att_inh_index
    (2703, PAGES_MAX), // pg_type_oid_index
    (2704, PAGES_MAX), // pg_type_typname_nsp_index
    (2840, FEW),       // pg_toast_2619
    (2841, FEW),       // pg_toast_2619_index
    (3379, PAGES_MAX), // pg_statistic_ext_relid_index
    (3455, PAGES_MAX), // pg_class_tblspc_relfilenode_index
];

/// Shared by all databases.
const SHARED: [(u32, u32); 11] = [
    (1213, PAGES_MAX), // pg_tablespace
    (1260, PAGES_MAX), // pg_authid
    (1261, PAGES_MAX), // pg_auth_members
    (1262, PAGES_MAX), // pg_database
    (2671, PAGES_MAX), // pg_database_datname_index
    (2672, PAGES_MAX), // pg_database_oid_index
    (2676, PAGES_MAX), // pg_authid_rolname_index
    (2677, PAGES_MAX), // pg_authid_oid_index
    (2697, PAGES_MAX), // pg_tablespace_oid_index
    (2964, PAGES_MAX), // pg_db_role_setting
    (2965, PAGES_MAX), // pg_db_role_setting_databaseid_rol_index
];

/// The list that a file's relation is in, and that is read where the file is.
fn companions(path: &RelPath) -> Option<&'static [(u32, u32)]> {
    let rel = path.file.rel;
    if rel.fork != Fork::Main || path.file.segment != 0 {
        return None;
    }
    let list: &[_] = if rel.spcnode == GLOBAL_TABLESPACE_OID {
        &SHARED
    } else {
        &OF_DATABASE
    };
    let is_listed = list.iter().any(|&(relnode, _)| relnode == rel.relnode);
    is_listed.then_some(list)
}

/// Brings an absent file and its companions here, if it has some and nobody has brought them yet; says
/// whether the file may be here now.
pub fn bring_with(settings: &Settings, path: &RelPath) -> bool {
    let Some(list) = companions(path) else {
        return false;
    };
    // Where there is no read-ahead, nothing comes unasked.
    if settings.read_ahead_pages_max == 0 || !matches!(materialise::is_gone(path), Ok(false)) {
        return false;
    }
    let directory = path.directory();
    match Turn::take(&directory) {
        Ok(Turn::Mine(turn)) => {
            bring(settings, &directory, list);
            turn.end();
        }
        Ok(Turn::Others(turn)) => turn.wait_for(path),
        Err(_) => return false,
    }
    true
}

fn bring(settings: &Settings, directory: &DirectoryPath, list: &[(u32, u32)]) {
    let absent: Vec<_> = list
        .iter()
        .map(|&(relnode, pages_max)| {
            let rel = RelKey {
                spcnode: directory.spcnode,
                dbnode: directory.dbnode,
                relnode,
                fork: Fork::Main,
            };
            (directory.file(rel, 0), pages_max)
        })
        .filter(|(path, _)| matches!(sys::exists(path.path().as_c_str()), Ok(false)))
        .collect();
    let wanted: Vec<_> = absent
        .iter()
        .map(|(path, pages_max)| (path.file.rel, *pages_max))
        .collect();
    let mut client = Client::lock();
    let Ok(starts) = starts_of(settings, &mut client, &wanted) else {
        // Whatever was in flight may be half-read.
        client.disconnect();
        return;
    };
    drop(client);
    for ((path, _), start) in absent.iter().zip(starts) {
        let made = start.map(|start| materialise::make(path, &start));
        if !matches!(made, None | Some(Ok(Existence::Here))) {
            // The disk is full, or the database is being dropped.
            return;
        }
    }
}

/// Sizes of these relations, and their first pages, each up to its own number; `None` for what is not there
/// or was refused.
fn starts_of(
    settings: &Settings,
    client: &mut Client,
    wanted: &[(RelKey, u32)],
) -> Result<Vec<Option<Start>>, PreloadError> {
    let deadline = Deadline::after(settings.response_wait);
    let connection = client.connection(settings)?;
    let sizes = sizes_of(connection, wanted, deadline)?;
    let mut left = ALL_PAGES_MAX.min(connection.room());
    let mut asked = Vec::with_capacity(wanted.len());
    for (&(rel, pages_max), size) in wanted.iter().zip(&sizes) {
        let pages = size.unwrap_or(0).min(pages_max).min(left as u32);
        left -= pages as usize;
        asked.push(client::ask_pages(connection, rel, 0..pages));
    }
    connection.send(deadline)?;
    let mut starts = Vec::with_capacity(wanted.len());
    for (size, asked) in sizes.into_iter().zip(&asked) {
        let mut pages = Vec::with_capacity(asked.len());
        client::take_pages(connection, asked, deadline, &mut pages)?;
        starts.push(size.map(|blocks| Start { blocks, pages }));
    }
    Ok(starts)
}

/// Blocks of each relation's first segment.
fn sizes_of(
    connection: &mut Connection,
    wanted: &[(RelKey, u32)],
    deadline: Deadline,
) -> Result<Vec<Option<u32>>, PreloadError> {
    let asked: Vec<_> = wanted
        .iter()
        .map(|&(rel, _)| client::ask_size(connection, rel))
        .collect();
    connection.send(deadline)?;
    let mut sizes = Vec::with_capacity(asked.len());
    for (exists, nblocks) in asked {
        let exists = connection.wait(exists, deadline, None)?;
        let nblocks = connection.wait(nblocks, deadline, None)?;
        sizes.push(match (exists, nblocks) {
            (Answer::Exists(true), Answer::Nblocks(blocks)) => Some(blocks.min(RELSEG_BLOCKS)),
            _ => None,
        });
    }
    Ok(sizes)
}

/// Who brings a directory's catalogs: whoever makes the mark, once in a compute's life. One who dies over it
/// leaves them to be read page by page.
enum Turn {
    Mine(Mark),
    Others(Mark),
}

/// A file; empty as long as its maker is at work.
struct Mark(sys::Fd);

impl Turn {
    fn take(directory: &DirectoryPath) -> Result<Turn, Errno> {
        let path = directory.catalogs_mark_path();
        let mine = libc::O_RDWR | libc::O_CREAT | libc::O_EXCL;
        match sys::open(path.as_c_str(), mine, 0o600) {
            Ok(fd) => Ok(Turn::Mine(Mark(fd))),
            Err(Errno::EEXIST) => {
                let fd = sys::open(path.as_c_str(), libc::O_RDONLY, 0);
                fd.map(|fd| Turn::Others(Mark(fd))).map_err(Errno::of_state)
            }
            Err(errno) => Err(errno.of_state()),
        }
    }
}

impl Mark {
    fn end(self) {
        // If it cannot be noted, others wait for nothing, and not for long.
        let _ = sys::write_start(self.0.raw(), b".");
    }

    fn is_ended(&self) -> bool {
        sys::fstat(self.0.raw()).is_ok_and(|stat| stat.st_size > 0)
    }

    fn wait_for(&self, path: &RelPath) {
        let start = Instant::now();
        let is_here = || sys::exists(path.path().as_c_str()).unwrap_or(true);
        while !self.is_ended() && !is_here() && start.elapsed() < OTHERS_WAIT_MAX {
            std::thread::sleep(OTHERS_NAP);
        }
    }
}
