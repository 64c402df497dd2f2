//! Which members the archive has, in order.

use std::collections::{BTreeSet, VecDeque};

use offshoot_layout::relfile::{DEFAULT_TABLESPACE_OID, GLOBAL_TABLESPACE_OID};
use offshoot_layout::slru::segment_name;
use offshoot_layout::version::Version;
use offshoot_layout::{Fork, RELSEG_BLOCKS, RelFile, RelKey, SlruKind};

use super::directories::{DIRECTORIES, EMPTY_FILES, PG_HBA_CONF, POSTGRESQL_CONF};
use super::start::Start;
use super::{Contents, WalSegment};
use crate::ingest::parse_origin;
use crate::origins_file::{self, OriginProgress};
use crate::{EngineError, FileKey, FileKind, View};

/// One or more members; made when its turn comes, so that the whole plan is small.
pub enum Step {
    Directory(String),
    /// A file with this content.
    Bytes {
        path: String,
        bytes: Vec<u8>,
    },
    /// A file of the store.
    Stored {
        path: String,
        file: FileKey,
    },
    SlruSegment {
        kind: SlruKind,
        segment: u32,
        pages: u32,
    },
    /// A database's part of a tablespace: becomes the steps for its relations.
    Relations {
        spcnode: u32,
        dbnode: u32,
    },
    /// A segment file; its blocks are those of another fork when an init fork stands in for it.
    Segment {
        file: RelFile,
        source: RelKey,
        blocks: u32,
    },
    /// The WAL segment, `bytes` long.
    Wal {
        path: String,
        bytes: u32,
    },
}

/// Plans everything but the relations, and what comes last: see `last_steps`.
///
/// # Errors
/// `Store`, `Damaged`.
pub fn first_steps(
    view: &View,
    version: &Version,
    contents: Contents,
) -> Result<VecDeque<Step>, EngineError> {
    let mut steps = VecDeque::new();
    steps.extend(
        DIRECTORIES
            .iter()
            .map(|path| Step::Directory((*path).to_owned())),
    );
    let mut bytes = |path: &str, content: &str| {
        steps.push_back(Step::Bytes {
            path: path.to_owned(),
            bytes: content.into(),
        });
    };
    bytes("pg_hba.conf", PG_HBA_CONF);
    EMPTY_FILES.iter().for_each(|path| bytes(path, ""));
    if contents == Contents::Full {
        bytes(POSTGRESQL_CONF, "");
    }
    for kind in SlruKind::ALL {
        let segments = view.slru_segments(kind)?.into_iter();
        steps.extend(segments.map(|(segment, pages)| Step::SlruSegment {
            kind,
            segment,
            pages,
        }));
    }
    steps.push_back(Step::Bytes {
        path: "PG_VERSION".to_owned(),
        bytes: format!("{}\n", version.major).into(),
    });
    add_relation_map(view, GLOBAL_TABLESPACE_OID, 0, "global", &mut steps)?;
    steps.push_back(Step::Relations {
        spcnode: GLOBAL_TABLESPACE_OID,
        dbnode: 0,
    });
    add_databases(view, version, &mut steps)?;
    add_two_phase(view, &mut steps)?;
    add_origins(view, &mut steps)?;
    Ok(steps)
}

/// What a start cannot do without, and so is last.
pub fn last_steps(start: &Start, wal: WalSegment) -> [Step; 2] {
    let control = start.control.to_vec();
    let bytes = match wal {
        WalSegment::Whole => start.segment_bytes,
        WalSegment::FirstPage => start.first_page.len() as u32,
    };
    [
        Step::Bytes {
            path: "global/pg_control".to_owned(),
            bytes: control,
        },
        Step::Wal {
            path: format!("pg_wal/{}", start.segment_name),
            bytes,
        },
    ]
}

fn add_databases(
    view: &View,
    version: &Version,
    steps: &mut VecDeque<Step>,
) -> Result<(), EngineError> {
    let databases = view.files(FileKind::Database)?;
    let known: BTreeSet<_> = databases.iter().map(|(file, _)| (file.a, file.b)).collect();
    let dbnodes: BTreeSet<_> = known.iter().map(|(_, dbnode)| *dbnode).collect();
    let tablespaces = view.files(FileKind::TableSpace)?;
    for spcnode in
        std::iter::once(DEFAULT_TABLESPACE_OID).chain(tablespaces.iter().map(|(file, _)| file.a))
    {
        let directory = tablespace_directory(spcnode, version, steps);
        for dbnode in &dbnodes {
            let path = format!("{directory}/{dbnode}");
            if known.contains(&(spcnode, *dbnode)) {
                steps.push_back(Step::Directory(path.clone()));
                let file = FileKey::new(FileKind::Database, spcnode, *dbnode);
                steps.push_back(Step::Stored {
                    path: format!("{path}/PG_VERSION"),
                    file,
                });
                add_relation_map(view, spcnode, *dbnode, &path, steps)?;
            } else if view.has_relations(spcnode, *dbnode)? {
                steps.push_back(Step::Directory(path));
            } else {
                continue;
            }
            steps.push_back(Step::Relations {
                spcnode,
                dbnode: *dbnode,
            });
        }
    }
    Ok(())
}

/// Tablespaces are directories in place: paths of the source's machine mean nothing here.
fn tablespace_directory(spcnode: u32, version: &Version, steps: &mut VecDeque<Step>) -> String {
    if spcnode == DEFAULT_TABLESPACE_OID {
        return "base".to_owned();
    }
    let link = format!("pg_tblspc/{spcnode}");
    let directory = format!("{link}/{}", version.tablespace_directory);
    steps.extend([Step::Directory(link), Step::Directory(directory.clone())]);
    directory
}

fn add_relation_map(
    view: &View,
    spcnode: u32,
    dbnode: u32,
    directory: &str,
    steps: &mut VecDeque<Step>,
) -> Result<(), EngineError> {
    let file = FileKey::new(FileKind::RelMap, spcnode, dbnode);
    if view.file(&file)?.is_some() {
        steps.push_back(Step::Stored {
            path: format!("{directory}/pg_filenode.map"),
            file,
        });
    }
    Ok(())
}

fn add_two_phase(view: &View, steps: &mut VecDeque<Step>) -> Result<(), EngineError> {
    for (file, _) in view.files(FileKind::TwoPhase)? {
        steps.push_back(Step::Stored {
            path: format!("pg_twophase/{:08X}", file.a),
            file,
        });
    }
    Ok(())
}

fn add_origins(view: &View, steps: &mut VecDeque<Step>) -> Result<(), EngineError> {
    let mut origins = Vec::new();
    for (file, content) in view.files(FileKind::Origins)? {
        let origin = u16::try_from(file.a);
        let origin = origin.map_err(|_| EngineError::damaged("replication origin", file.a))?;
        origins.push(OriginProgress {
            origin,
            remote_lsn: parse_origin(content)?,
        });
    }
    if !origins.is_empty() {
        let path = "pg_logical/replorigin_checkpoint".to_owned();
        steps.push_back(Step::Bytes {
            path,
            bytes: origins_file::build(&origins),
        });
    }
    Ok(())
}

/// The segment files of a database's part of a tablespace. No recovery makes the main forks of
/// unlogged relations from their init forks, so they are copies of them here.
///
/// # Errors
/// `Store`, `Damaged`.
pub fn segments(
    view: &View,
    spcnode: u32,
    dbnode: u32,
    contents: Contents,
) -> Result<VecDeque<Step>, EngineError> {
    let relations = view.relations(spcnode, dbnode)?;
    let init_forks = relations.iter().filter(|(rel, _)| rel.fork == Fork::Init);
    let unlogged: BTreeSet<u32> = init_forks.map(|(rel, _)| rel.relnode).collect();
    let mut steps = VecDeque::new();
    for (rel, blocks) in relations {
        if rel.fork == Fork::Init {
            add_segments(rel, rel, blocks, &mut steps);
            add_segments(
                RelKey {
                    fork: Fork::Main,
                    ..rel
                },
                rel,
                blocks,
                &mut steps,
            );
        } else if contents == Contents::Full && !unlogged.contains(&rel.relnode) {
            add_segments(rel, rel, blocks, &mut steps);
        }
    }
    Ok(steps)
}

fn add_segments(rel: RelKey, source: RelKey, blocks: u32, steps: &mut VecDeque<Step>) {
    for segment in 0..blocks.div_ceil(RELSEG_BLOCKS).max(1) {
        let file = RelFile { rel, segment };
        let blocks = blocks.saturating_sub(file.first_block()).min(RELSEG_BLOCKS);
        steps.push_back(Step::Segment {
            file,
            source,
            blocks,
        });
    }
}

/// Path of an SLRU segment.
pub fn slru_path(kind: SlruKind, segment: u32) -> String {
    format!("{}/{}", kind.directory(), segment_name(segment))
}

impl View {
    fn has_relations(&self, spcnode: u32, dbnode: u32) -> Result<bool, EngineError> {
        Ok(!self.relations(spcnode, dbnode)?.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forks_are_split_at_one_gibibyte() {
        let rel = RelKey {
            spcnode: 1663,
            dbnode: 5,
            relnode: 7,
            fork: Fork::Main,
        };
        for (blocks, expected) in [
            (0, vec![0]),
            (1, vec![1]),
            (RELSEG_BLOCKS, vec![RELSEG_BLOCKS]),
            (RELSEG_BLOCKS + 1, vec![RELSEG_BLOCKS, 1]),
            (
                3 * RELSEG_BLOCKS - 1,
                vec![RELSEG_BLOCKS, RELSEG_BLOCKS, RELSEG_BLOCKS - 1],
            ),
        ] {
            let mut steps = VecDeque::new();
            add_segments(rel, rel, blocks, &mut steps);
            let found: Vec<_> = steps
                .iter()
                .enumerate()
                .map(|(number, step)| match step {
                    Step::Segment { file, blocks, .. } if file.segment as usize == number => {
                        *blocks
                    }
                    _ => u32::MAX,
                })
                .collect();
            assert_eq!(found, expected, "{blocks}");
        }
    }
}
