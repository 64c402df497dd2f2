//! All known pages, by relation fork, so that drops and copies are cheap.

use std::collections::HashMap;

use offshoot_layout::{BlockKey, Page, RelKey};

/// A page that is not in here is not known.
#[derive(Default)]
pub struct Pages {
    relations: HashMap<RelKey, HashMap<u32, Box<Page>>>,
}

impl Pages {
    pub fn get(&self, key: BlockKey) -> Option<&Page> {
        self.relations
            .get(&key.rel)?
            .get(&key.block)
            .map(|page| &**page)
    }

    pub fn get_mut(&mut self, key: BlockKey) -> Option<&mut Page> {
        let blocks = self.relations.get_mut(&key.rel)?;
        blocks.get_mut(&key.block).map(|page| &mut **page)
    }

    pub fn put(&mut self, key: BlockKey, page: Page) {
        let blocks = self.relations.entry(key.rel).or_default();
        blocks.insert(key.block, Box::new(page));
    }

    pub fn has_fork(&self, rel: RelKey) -> bool {
        self.relations.contains_key(&rel)
    }

    pub fn forget(&mut self, key: BlockKey) {
        if let Some(blocks) = self.relations.get_mut(&key.rel) {
            blocks.remove(&key.block);
        }
    }

    pub fn truncate(&mut self, rel: RelKey, blocks: u32) {
        if let Some(pages) = self.relations.get_mut(&rel) {
            pages.retain(|block, _| *block < blocks);
        }
    }

    pub fn drop_fork(&mut self, rel: RelKey) {
        self.relations.remove(&rel);
    }

    pub fn drop_database(&mut self, spc: u32, db: u32) {
        self.relations
            .retain(|rel, _| (rel.spcnode, rel.dbnode) != (spc, db));
    }

    /// `to` becomes what `from` is; both are (tablespace, database).
    pub fn copy_database(&mut self, from: (u32, u32), to: (u32, u32)) {
        self.drop_database(to.0, to.1);
        let of_source = |rel: &&RelKey| (rel.spcnode, rel.dbnode) == from;
        let sources: Vec<RelKey> = self.relations.keys().filter(of_source).copied().collect();
        for source in sources {
            let copy = RelKey {
                spcnode: to.0,
                dbnode: to.1,
                ..source
            };
            if let Some(blocks) = self.relations.get(&source).cloned() {
                self.relations.insert(copy, blocks);
            }
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = (BlockKey, &Page)> {
        self.relations.iter().flat_map(|(rel, blocks)| {
            let key = |block: &u32| BlockKey {
                rel: *rel,
                block: *block,
            };
            blocks
                .iter()
                .map(move |(block, page)| (key(block), &**page))
        })
    }
}
