import type { Bench, BenchContext, Measurement } from '../bench.js';
import { fork } from '../fixture/import-tenant.js';
import { query, row } from '../fixture/query.js';
import { expectEqual, resultHash } from '../fixture/result-hash.js';
import { Stage, tenant } from '../fixture/stage.js';
import { median } from '../fixture/statistics.js';
import { Rounds } from '../fixture/timing.js';
import {
  balancesQuery,
  type Load,
  type TransactionDriver,
  transactionDriver,
} from '../fixture/transactions.js';

const sizes = {
  full: { scale: 10, rounds: 5, seconds: 5, compared: 500 },
  smoke: { scale: 1, rounds: 1, seconds: 1, compared: 20 },
};
const seed = 6;

const loads: readonly Load[] = [
  { script: 'tpcb-like', clients: 1, seed },
  { script: 'tpcb-like', clients: 8, seed },
  { script: 'select-only', clients: 1, seed },
  { script: 'select-only', clients: 8, seed },
];

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
    const compute = await fork(stage.client, 'warm', tenant);
    await stage.source.adoptSettings(compute);
    const urls = { compute, 'plain files': stage.source.url() };
    const balances = await warmUp(context, driver, urls, compared);
    const measurements: Measurement[] = [];
    for (const load of loads) {
      const side = (url: string) => (round: number) =>
        driver.runFor(url, { ...load, seed: seed + round }, seconds);
      const seen = await new Rounds<Side>().run(rounds, {
        compute: side(urls.compute),
        'plain files': side(urls['plain files']),
      });
      measurements.push(...measurementsOf(seen, load, { driver: driver.name, scale, rounds, seconds }));
    }
    for (const url of Object.values(urls)) checkBalances(await row(url, balancesQuery));
    return { measurements, resultHash: resultHash(balances) };
  },
};

type Side = 'compute' | 'plain files';

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

/** TPC-B's invariant: every transaction moves each of the sums by the same amount. */
function checkBalances(balances: Record<string, unknown>): Record<string, unknown> {
  const { transactions: _, ...sums } = balances;
  expectEqual('sums of balances', sums);
  return balances;
}

function measurementsOf(
  seen: Rounds<Side>,
  { script, clients }: Load,
  conditions: Record<string, string | number>,
): Measurement[] {
  const [ours, plain] = [seen.of('compute'), seen.of('plain files')];
  const common = { script, clients, ...conditions };
  // A round's sides ran next to each other, so their ratio says more than the ratio of the medians.
  const ratios = ours.map((tps, round) => tps / (plain[round] ?? Number.NaN));
  return [
    { name: 'warm-pgbench/speed', unit: 'tx/s', value: median(ours), side: 'compute', ...common },
    { name: 'warm-pgbench/speed', unit: 'tx/s', value: median(plain), side: 'plain files', ...common },
    { name: 'warm-pgbench/ratio', unit: 'ratio', value: median(ratios), ...common },
  ];
}
