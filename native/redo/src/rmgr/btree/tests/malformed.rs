//! Records and pages of any bytes.

use super::*;

/// Every record type on every block, with bytes of page, main data and block data changed.
#[test]
fn any_bytes_give_errors_at_worst() {
    let mut seed = 1u64;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) as usize % below
    };
    let tuples = [
        pivot(9, 1),
        posting(1, &[1, 5, 9]),
        leaf(2, 1),
        leaf(2, 2),
        posting(3, &[1, 2]),
    ];
    let datas = [
        leaf(1, 6),
        [leaf(1, 6), pivot(9, 0)].concat(),
        [u16s(&[1]), leaf(1, 3)].concat(),
        u16s(&[2, 2, 4, 2]),
        u16s(&[3, 2, 1, 1]),
        meta_data(),
        tuples.concat(),
    ];
    for _ in 0..60_000 {
        let mut page = page_of(LEAF, &tuples);
        page::set_pd_lsn(&mut page, Lsn(1));
        for _ in 0..random(4) {
            let at = [10 + random(40), 8040 + random(152)][random(2)];
            page[at] = random(256) as u8;
        }
        let mut main: Vec<u8> = u16s(&[1, 0, 3, 3, 1]);
        main.resize(10 + random(30), 0);
        for _ in 0..random(4) {
            let at = random(main.len());
            main[at] = [random(256), random(5)][random(2)] as u8;
        }
        let mut bytes = datas[random(datas.len())].clone();
        for _ in 0..random(3) {
            let at = random(bytes.len());
            bytes[at] = random(256) as u8;
        }
        bytes.truncate(1 + random(2 * bytes.len()));
        let id = random(5) as u8;
        let mut blocks = vec![block(0, 5), block(1, 6)];
        blocks.retain(|block| block.id != id);
        blocks.push(data(id, 5, bytes));
        blocks.sort_by_key(|block| block.id);
        let _ = try_redo((random(15) as u8) << 4, &main, &blocks, id, &mut page);
    }
}
