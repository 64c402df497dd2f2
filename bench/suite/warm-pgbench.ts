import type { Bench, BenchContext, Measurement } from '../bench.js';
import { fork } from '../fixture/import-tenant.js';
import { query, row } from '../fixture/query.js';
import { expectEqual, resultHash } from '../fixture/result-hash.js';
import { serverCpuMs } from '../fixture/server-cpu.js';
import { Stage, tenant } from '../fixture/stage.js';
import { median } from '../fixture/statistics.js';
import { Rounds } from '../fixture/timing.js';
import {
  balancesQuery,
  checkBalances,
  type Load,
  type TransactionDriver,
  transactionDriver,
} from '../fixture/transactions.js';

const sizes = {
  full: { scale: 10, rounds: 5, seconds: 5, compared: 500 },
  smoke: { scale: 1, rounds: 1, seconds: 1, compared: 20 },
};
const seed = 6;

const fullLoads: readonly Load[] = [
  { script: 'tpcb-like', clients: 1, seed },
  { script: 'tpcb-like', clients: 8, seed },
  { script: 'select-only', clients: 1, seed },
  { script: 'select-only', clients: 8, seed },
];

/** At smoke size one of each script will do. */
const loads = { full: fullLoads, smoke: fullLoads.filter(({ clients }) => clients === 8) };

export const warmPgbench: Bench = {
  name: 'warm-pgbench',
  about: 'transactions on a warm compute, against the same Postgres on plain files with the same settings',
  async run(context) {
    const { scale, rounds, seconds, compared } = sizes[context.size];
    const driver = await transactionDriver(scale);
    await using stage = await Stage.open(context, async (source) => {
      await driver.initialise(source.url(), scale);
      await query(source.url(), 'checkpoint');
    });
    // Neither side's commits wait for anybody: durable-tpcb is about that.
    const compute = await fork(stage.client, 'warm', tenant, 'async');
    await stage.source.adoptSettings(compute);
    const urls = { compute, 'plain files': stage.source.url() };
    const balances = await warmUp(context, driver, urls, compared);
    const measurements: Measurement[] = [];
    for (const load of loads[context.size]) {
      const cpu: Record<Side, number[]> = { compute: [], 'plain files': [] };
      const side = (name: Side) => async (round: number) => {
        const before = await serverCpuMs(urls[name]);
        const tps = await driver.runFor(urls[name], { ...load, seed: seed + round }, seconds);
        const after = await serverCpuMs(urls[name]);
        if (before !== undefined && after !== undefined) {
          cpu[name].push((after - before) / (tps * seconds));
        }
        return tps;
      };
      const seen = await new Rounds<Side>().run(rounds, {
        compute: side('compute'),
        'plain files': side('plain files'),
      });
      const conditions = { driver: driver.name, scale, rounds, seconds };
      measurements.push(...measurementsOf(seen, cpu, load, conditions));
    }
    for (const url of Object.values(urls)) checkBalances(await row(url, balancesQuery));
    return { measurements, resultHash: resultHash(balances) };
  },
};

const sides = ['compute', 'plain files'] as const;
type Side = (typeof sides)[number];

/** Reads all pages, then does the same transactions on both sides; answers the balances, which must be equal. */
async function warmUp(
  { remark }: BenchContext,
  driver: TransactionDriver,
  urls: Record<Side, string>,
  transactions: number,
) {
  const seen: Record<string, Record<string, unknown>> = {};
  for (const [side, url] of Object.entries(urls)) {
    await query(url, 'select count(*), sum(aid) from pgbench_accounts');
    await query(url, 'set enable_seqscan = off', 'select count(aid) from pgbench_accounts where aid > 0');
    await driver.runCount(url, { script: 'tpcb-like', clients: 1, seed }, transactions);
    seen[side] = checkBalances(await row(url, balancesQuery));
  }
  const balances = expectEqual('balances', seen);
  remark(
    `both sides have the same balances after ${transactions} transactions; measuring with ${driver.name}`,
  );
  return balances;
}

function measurementsOf(
  seen: Rounds<Side>,
  cpu: Record<Side, number[]>,
  { script, clients }: Load,
  conditions: Record<string, string | number>,
): Measurement[] {
  const common = { script, clients, ...conditions };
  // A round's sides ran next to each other, so their ratio says more than the ratio of the medians.
  const ratio = (ours: number[], plain: number[]) =>
    median(ours.map((value, round) => value / (plain[round] ?? Number.NaN)));
  const speeds = sides.map(
    (side): Measurement => ({
      name: 'warm-pgbench/speed',
      unit: 'tx/s',
      value: median(seen.of(side)),
      side,
      ...common,
    }),
  );
  const value = ratio(seen.of('compute'), seen.of('plain files'));
  const measurements: Measurement[] = [
    ...speeds,
    { name: 'warm-pgbench/ratio', unit: 'ratio', value, ...common },
  ];
  if (cpu['plain files'].length === 0) return measurements;
  // Plain over compute, so that 1 is par and less is worse, as with the ratio of speeds.
  const cpuRatio = ratio(cpu['plain files'], cpu.compute);
  return [
    ...measurements,
    { name: 'warm-pgbench/processor-ratio', unit: 'ratio', value: cpuRatio, ...common },
  ];
}
