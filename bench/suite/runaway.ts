import { setTimeout as sleep } from 'node:timers/promises';
import type { Bench, BenchContext, Measurement } from '../bench.js';
import { fork, withPassword } from '../fixture/import-tenant.js';
import { query, row } from '../fixture/query.js';
import { expectEqual, resultHash } from '../fixture/result-hash.js';
import { type Runaway, RunningRunaway, runaways } from '../fixture/runaways.js';
import { Stage, tenant } from '../fixture/stage.js';
import { median } from '../fixture/statistics.js';
import { balancesQuery, checkBalances, type Load, transactionDriver } from '../fixture/transactions.js';

const GIB = 1024 ** 3;
const sizes = {
  full: { scale: 10, rounds: 3, seconds: 8, settleMs: 3000, kinds: runaways },
  smoke: {
    scale: 1,
    rounds: 1,
    seconds: 1,
    settleMs: 100,
    kinds: runaways.filter(({ name }) => name === 'join'),
  },
};
const load: Load = { script: 'tpcb-like', clients: 2, seed: 6 };
/** Looks that never come: what it would be if nothing was kept apart but by the kernel, process by process. */
const neverMs = 2 ** 31 - 1;

export const runaway: Bench = {
  name: 'runaway',
  about: 'transactions on one branch while another runs wild, as a part of what they are while it does not',
  async run(context) {
    const { scale, rounds, seconds, settleMs, kinds } = sizes[context.size];
    const driver = await transactionDriver(scale);
    const governed = process.env.OFFSHOOT_BENCH_GOVERNED !== 'no';
    await using stage = await Stage.open(
      context,
      async (source) => {
        await driver.initialise(source.url(), scale);
        await query(source.url(), 'checkpoint');
      },
      {
        ...(governed ? {} : { computeLimits: { lookMs: neverMs } }),
        quota: { writeBytesMax: GIB },
        size: { memoryBytes: GIB },
      },
    );
    const { isolation } = await stage.client.status();
    const url = await fork(stage.client, 'worker', tenant);
    await query(url, 'select count(*), sum(aid) from pgbench_accounts');
    const tps = () => driver.runFor(url, load, seconds);
    await tps();
    const conditions = { ...load, driver: driver.name, scale, seconds, rounds, means: isolation.means };
    const measurements: Measurement[] = [];
    const chosen = process.env.OFFSHOOT_BENCH_RUNAWAYS?.split(',');
    for (const kind of kinds.filter(({ name }) => chosen?.includes(name) ?? true)) {
      const ratios: number[] = [];
      for (let round = 0; round < rounds; round += 1) {
        const alone = await tps();
        ratios.push(
          (await beside(stage, kind, context, async () => {
            // Until its share has found its place.
            await sleep(settleMs);
            return tps();
          })) / alone,
        );
      }
      measurements.push({
        name: 'runaway/ratio',
        unit: 'ratio',
        value: median(ratios),
        ...conditions,
        beside: kind.name,
      });
    }
    checkBalances(await row(url, balancesQuery));
    const { count } = await row(url, 'select count(*)::int from pgbench_accounts');
    expectEqual('accounts', { worker: count, source: scale * 100_000 });
    return { measurements, resultHash: resultHash([count]) };
  },
};

/** What `work` answers while a branch of its own runs wild in this way, by the gateway. */
async function beside(
  { client, source }: Stage,
  kind: Runaway,
  { remark }: BenchContext,
  work: () => Promise<number>,
): Promise<number> {
  await client.createBranch({ name: kind.name, from: tenant });
  const connection = await client.connectionString(kind.name, { via: 'gateway' });
  const wild = new RunningRunaway(withPassword(connection, source.password).url, kind);
  try {
    const answer = await work();
    const errors = [...wild.errors].map(([code, count]) => `${count} of ${code}`).join(', ');
    remark(`${kind.name}: ${answer.toFixed(0)} tx/s beside it; its errors: ${errors || 'none'}`);
    return answer;
  } finally {
    await wild.stop();
    await client.deleteBranch(kind.name);
  }
}
