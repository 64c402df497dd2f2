//! Pages as tables have them.

use offshoot_layout::{BLCKSZ, Page, page};

pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// A heap page of orders: half of it numbers that nothing can compress, the rest words.
pub fn heap_page(random: &mut Random) -> Box<Page> {
    let mut made = Box::new([0; BLCKSZ]);
    let mut upper = BLCKSZ;
    let mut lower = 24;
    while upper - lower > 120 {
        let text = format!("shipped to customer {:06}, paid", random.next() % 1_000_000);
        upper -= 96;
        made[upper..upper + 8].copy_from_slice(&random.next().to_le_bytes());
        made[upper + 24..upper + 32].copy_from_slice(&random.next().to_le_bytes());
        made[upper + 32..upper + 40].copy_from_slice(&random.next().to_le_bytes());
        made[upper + 40..upper + 40 + text.len()].copy_from_slice(text.as_bytes());
        made[lower..lower + 4]
            .copy_from_slice(&((upper as u32) | 96 << 17 | 1 << 15).to_le_bytes());
        lower += 4;
    }
    page::set_pd_lower(&mut made, lower as u16);
    page::set_pd_upper(&mut made, upper as u16);
    page::set_pd_special(&mut made, BLCKSZ as u16);
    page::set_pd_pagesize_version(&mut made, page::PAGESIZE_VERSION);
    made
}
