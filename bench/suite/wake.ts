import { join } from 'node:path';
import type { OffshootClient } from '@offshoot/client';
import { wakeDefaults } from '@offshoot/control';
import type { Bench, BenchContext, Measurement } from '../bench.js';
import { DaemonProcess } from '../fixture/daemon-process.js';
import { importTenant, withPassword } from '../fixture/import-tenant.js';
import { query, row } from '../fixture/query.js';
import { expectEqual, resultHash } from '../fixture/result-hash.js';
import { SourceCluster } from '../fixture/source-cluster.js';
import { tenant } from '../fixture/stage.js';
import { quantile } from '../fixture/statistics.js';
import { timed } from '../fixture/timing.js';
import { transactionDriver } from '../fixture/transactions.js';

/** `parked`: branches that are connected to at once, with the default of `startsMax`; `starts`: other values of it. */
const sizes = {
  full: { scale: 10, rounds: 25, parked: [1, 10, 50], repeats: 5, starts: [1, 2, 8, 50] },
  smoke: { scale: 1, rounds: 2, parked: [1, 3], repeats: 1, starts: [] },
};

/** So many at once take seconds, and are a sample by themselves. */
const LARGE = 20;

/** What somebody who connects first asks for. */
const firstRow = 'select aid, bid, abalance from pgbench_accounts where aid = 4711';

export const wake: Bench = {
  name: 'wake',
  about: 'a sleeping branch to its first row, by phase; many at once, over how many start at one time',
  async run(context) {
    const { scale, rounds, parked, repeats, starts } = sizes[context.size];
    const most = Math.max(...parked);
    const driver = await transactionDriver(scale);
    await using source = await SourceCluster.start(join(context.directory, 'source'));
    context.remark('filling the source');
    await driver.initialise(source.url(), scale);
    await query(source.url(), 'checkpoint');
    const expected = await row(source.url(), firstRow);
    const measurements: Measurement[] = [];
    for (const startsMax of [wakeDefaults.startsMax, ...starts]) {
      await using daemon = await DaemonProcess.start(join(context.directory, `starts-${startsMax}`), {
        wake: { startsMax, queueTimeoutMs: 240_000 },
        computeLimits: { computesMax: most },
      });
      await importTenant(daemon.client, tenant, source.url());
      const measure = (atOnce: number) =>
        allAtOnce(daemon.client, source, { atOnce, startsMax, repeats, expected });
      if (startsMax !== wakeDefaults.startsMax) {
        measurements.push(...(await measure(most)));
        continue;
      }
      measurements.push(...(await oneByOne(daemon.client, context, rounds, expected)));
      for (const atOnce of parked) {
        measurements.push(...(await measure(atOnce)));
        context.remark(`${atOnce} at once are done`);
      }
    }
    return { measurements, resultHash: resultHash(expected) };
  },
};

async function oneByOne(client: OffshootClient, { remark }: BenchContext, rounds: number, expected: object) {
  const name = 'alone';
  await client.createBranch({ name, from: tenant });
  const seen: Record<string, number>[] = [];
  for (let round = 0; round <= rounds; round += 1) {
    const whole = await timed(async () => {
      await client.startCompute(name);
      return row((await client.connectionString(name, { via: 'socket' })).url, firstRow);
    });
    expectEqual('the first row', { production: expected, branch: whole.answer });
    const { activity } = await client.branch(name);
    // The first round warms up.
    if (round > 0) seen.push({ ...activity.last_wake?.phases_ms, 'to the first row': whole.ms });
    await client.stopCompute(name);
  }
  remark('one by one is done');
  await client.deleteBranch(name);
  return Object.keys(seen[0] ?? {}).flatMap((phase) =>
    quantiles(
      'wake/phase',
      seen.map((each) => each[phase] ?? Number.NaN),
      { phase },
    ),
  );
}

interface AtOnce {
  readonly atOnce: number;
  readonly startsMax: number;
  /** Few that wait at once say little: then it is done as often. */
  readonly repeats: number;
  readonly expected: object;
}

/** From the connections by the gateway, all parked at once, to each one's first row. */
async function allAtOnce(
  client: OffshootClient,
  source: SourceCluster,
  { atOnce, startsMax, repeats, expected }: AtOnce,
): Promise<Measurement[]> {
  const names = Array.from({ length: atOnce }, (_, n) => `at-once-${n}`);
  for (const name of names) await client.createBranch({ name, from: tenant });
  const urls = await Promise.all(
    names.map(async (name) => {
      const connection = await client.connectionString(name, { via: 'gateway' });
      return withPassword(connection, source.password).url;
    }),
  );
  const ready: number[] = [];
  for (let repeat = 0; repeat < (atOnce < LARGE ? repeats : 1); repeat += 1) {
    const all = await Promise.all(urls.map((url) => timed(() => row(url, firstRow))));
    for (const { ms, answer } of all) {
      expectEqual('the first row', { production: expected, branch: answer });
      ready.push(ms);
    }
    for (const name of names) await client.stopCompute(name);
  }
  for (const name of names) await client.deleteBranch(name);
  return [
    ...quantiles('wake/at-once', ready, { atOnce, startsMax }),
    { name: 'wake/at-once', unit: 'ms', value: Math.max(...ready), quantile: 1, atOnce, startsMax },
  ];
}

function quantiles(name: string, samples: readonly number[], conditions: Record<string, string | number>) {
  return [0.5, 0.95].map(
    (q): Measurement => ({ name, unit: 'ms', value: quantile(samples, q), quantile: q, ...conditions }),
  );
}
