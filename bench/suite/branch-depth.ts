import type { Bench, Measurement } from '../bench.js';
import { fillOrders } from '../fixture/order-table.js';
import { resultHash } from '../fixture/result-hash.js';
import { Stage } from '../fixture/stage.js';
import { Chain } from './branch-depth/chain.js';
import { pageTimes } from './branch-depth/page-times.js';
import { wakeTimes } from './branch-depth/wake-times.js';

/** `rowsPerLevel`: rows that are updated on each branch of the chain, in pages of their own. */
const sizes = {
  full: {
    megabytes: 32,
    depth: 100,
    rowsPerLevel: 16,
    rounds: 9,
    callsPerRound: 1_000,
    pagesPerRound: 10_000,
    wakes: 7,
  },
  smoke: {
    megabytes: 2,
    depth: 6,
    rowsPerLevel: 4,
    rounds: 1,
    callsPerRound: 20,
    pagesPerRound: 100,
    wakes: 1,
  },
};
export type DepthSize = (typeof sizes)['full'];

/** The same pages are asked for again and again: pages that are kept would hide what it takes to make them. */
const settings = { store: { pageCacheBytes: 1 } };

export const branchDepth: Bench = {
  name: 'branch-depth',
  about: 'a branch of a branch, 100 deep, all written on: pages, sizes and starts there, against depth 1',
  async run(context) {
    const size = sizes[context.size];
    await using stage = await Stage.open(
      context,
      (source) => fillOrders(source.url(), size.megabytes),
      settings,
    );
    const chain = await Chain.grow(stage, size, context);
    const { measurements, seen } = await pageTimes(stage, chain, size, context);
    measurements.push(...(await wakeTimes(stage, chain, size, context)));
    return {
      measurements: measurements.map(
        (each): Measurement => ({ page_cache: 'none', chain: size.depth, ...each }),
      ),
      resultHash: resultHash(seen),
    };
  },
};
