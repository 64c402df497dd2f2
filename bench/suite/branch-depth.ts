import type { Bench, Measurement } from '../bench.js';
import { fillOrders } from '../fixture/order-table.js';
import { resultHash } from '../fixture/result-hash.js';
import { Stage } from '../fixture/stage.js';
import { Chain } from './branch-depth/chain.js';
import { pageTimes } from './branch-depth/page-times.js';
import { sizes } from './branch-depth/size.js';
import { wakeTimes } from './branch-depth/wake-times.js';

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
