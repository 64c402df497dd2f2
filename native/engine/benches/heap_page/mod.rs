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

/// What the rows of a table are like.
#[derive(Debug, Clone, Copy)]
pub enum Table {
    /// Some words, and as many numbers that nothing can compress.
    Orders,
    /// As pgbench_accounts: small numbers, and a long filler of spaces.
    Accounts,
    /// A number, a digest in hexadecimal, and words of a language with some thousands of them.
    Comments,
}

impl Table {
    fn row(self, random: &mut Random) -> Vec<u8> {
        let mut row = Vec::new();
        match self {
            Table::Orders => {
                let text = format!("shipped to customer {:06}, paid", random.next() % 1_000_000);
                row.resize(8, 0);
                row[..8].copy_from_slice(&random.next().to_le_bytes());
                row.resize(24, 0);
                row.extend_from_slice(&random.next().to_le_bytes());
                row.extend_from_slice(&random.next().to_le_bytes());
                row.extend_from_slice(text.as_bytes());
                row.resize(96, 0);
            }
            Table::Accounts => {
                let (number, balance) = (random.next() as u32, random.next() as u32 % 10_000);
                row.extend_from_slice(&731_u32.to_le_bytes());
                row.resize(24, 0);
                row.extend_from_slice(&(number % 10_000_000).to_le_bytes());
                row.extend_from_slice(&(number % 100).to_le_bytes());
                row.extend_from_slice(&balance.to_le_bytes());
                row.push(84 << 1 | 1);
                row.resize(121, b' ');
                row.resize(128, 0);
            }
            Table::Comments => {
                row.extend_from_slice(&731_u32.to_le_bytes());
                row.resize(24, 0);
                row.extend_from_slice(&random.next().to_le_bytes());
                row.extend_from_slice(format!("{:016x}", random.next()).as_bytes());
                row.extend_from_slice(format!("{:016x}", random.next()).as_bytes());
                while row.len() < 200 {
                    word(random.next() % 4096, &mut row);
                    row.push(b' ');
                }
                row.resize(row.len().next_multiple_of(8), 0);
            }
        }
        row
    }
}

/// Word *number*, of 3 to 10 letters.
fn word(number: u64, out: &mut Vec<u8>) {
    let mut letters = Random((number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    for _ in 0..3 + letters.next() % 8 {
        out.push(b"etaoinshrdlucmfw"[letters.next() as usize % 16]);
    }
}

/// A full heap page.
pub fn heap_page(table: Table, random: &mut Random) -> Box<Page> {
    let mut made = Box::new([0; BLCKSZ]);
    let mut upper = BLCKSZ;
    let mut lower = 24;
    loop {
        let row = table.row(random);
        if upper - lower < row.len() + 4 {
            break;
        }
        upper -= row.len();
        made[upper..upper + row.len()].copy_from_slice(&row);
        let length = row.len() as u32;
        made[lower..lower + 4]
            .copy_from_slice(&((upper as u32) | length << 17 | 1 << 15).to_le_bytes());
        lower += 4;
    }
    page::set_pd_lower(&mut made, lower as u16);
    page::set_pd_upper(&mut made, upper as u16);
    page::set_pd_special(&mut made, BLCKSZ as u16);
    page::set_pd_pagesize_version(&mut made, page::PAGESIZE_VERSION);
    made
}
