import type { Bench, Measurement } from '../bench.js';
import { Flock } from '../fixture/flock.js';
import { query } from '../fixture/query.js';
import { resultHash } from '../fixture/result-hash.js';
import { Stage } from '../fixture/stage.js';
import { answerTimes } from './branch-scale/answers.js';
import { creationTimes } from './branch-scale/creations.js';
import { rest } from './branch-scale/rest.js';
import { restarts } from './branch-scale/restarts.js';

/**
 * `window`: branches after which is told how long creating one took; of each window the first `alone` are made one after
 * the other, the others by `clients` at once.
 */
const sizes = {
  full: {
    branches: 10_000,
    window: 500,
    alone: 150,
    clients: 16,
    deletions: 150,
    repeats: 7,
    restSeconds: 30,
  },
  smoke: { branches: 40, window: 10, alone: 3, clients: 4, deletions: 4, repeats: 1, restSeconds: 0.2 },
};
export type ScaleSize = (typeof sizes)['full'];

export const branchScale: Bench = {
  name: 'branch-scale',
  about:
    '10,000 branches of a tenant: creating and deleting one, every listing, restarts, memory, a daemon at rest',
  async run(context) {
    const size = sizes[context.size];
    await using stage = await Stage.open(context, (source) =>
      query(source.url(), 'checkpoint').then(() => {}),
    );
    const measurements: Measurement[] = [];
    const flock = new Flock(stage.client);
    const few = await rest(stage, flock, size, context);
    measurements.push(...(await creationTimes(flock, size, context)));
    measurements.push(...(await answerTimes(stage, flock, size, context)));
    const many = await rest(stage, flock, size, context);
    measurements.push(...few.measurements, ...many.measurements);
    if (few.memory !== undefined && many.memory !== undefined) {
      const value = (many.memory - few.memory) / flock.names.length;
      measurements.push({ name: 'branch-scale/memory', unit: 'bytes', value, per: 'branch' });
    }
    measurements.push(...(await restarts(stage, flock, size, context)));
    return {
      measurements: measurements.map((each) => ({ branches: size.branches, ...each })),
      resultHash: resultHash(flock.names.length),
    };
  },
};
