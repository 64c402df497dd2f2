import type { Bench, Measurement } from '../bench.js';
import { Flock } from '../fixture/flock.js';
import { query } from '../fixture/query.js';
import { resultHash } from '../fixture/result-hash.js';
import { Stage } from '../fixture/stage.js';
import { answerTimes } from './branch-scale/answers.js';
import { creationTimes } from './branch-scale/creations.js';
import { rest } from './branch-scale/rest.js';
import { restarts } from './branch-scale/restarts.js';
import { sizes } from './branch-scale/size.js';

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
