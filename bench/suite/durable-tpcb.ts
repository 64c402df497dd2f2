import { join } from 'node:path';
import type { Bench, BenchContext, Measurement } from '../bench.js';
import { fork } from '../fixture/import-tenant.js';
import { query, row } from '../fixture/query.js';
import { Receivewal, receivewalName } from '../fixture/receivewal.js';
import { expectEqual, resultHash } from '../fixture/result-hash.js';
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
  full: { scale: 10, rounds: 7, seconds: 5, compared: 500 },
  smoke: { scale: 1, rounds: 1, seconds: 1, compared: 20 },
};
const seed = 8;
const script = 'tpcb-like';
const branch = 'durable';
const sides = ['durable branch', 'plain with pg_receivewal'] as const;
type Side = (typeof sides)[number];

/** A compute keeps nothing on its own disk; a plain Postgres does, as it does unless it is told otherwise. */
const plainSettings = {
  fsync: 'on',
  full_page_writes: 'on',
  wal_init_zero: 'on',
  wal_recycle: 'on',
  restart_after_crash: 'on',
};

export const durableTpcb: Bench = {
  name: 'durable-tpcb',
  about:
    'TPC-B on a branch whose commits are durable, against a plain Postgres with pg_receivewal as its standby',
  async run(context) {
    const { scale, rounds, seconds, compared } = sizes[context.size];
    const receivewal = await Receivewal.find();
    const driver = await transactionDriver(scale);
    await using stage = await Stage.open(context, async (source) => {
      await driver.initialise(source.url(), scale);
      await query(source.url(), 'checkpoint');
    });
    const compute = await fork(stage.client, branch, tenant);
    const urls: Partial<Record<Side, string>> = { 'durable branch': compute };
    await using _standby = await peer(context, stage, compute, receivewal, urls);
    const balances = await warmUp(context, driver, urls, compared);
    const measurements: Measurement[] = [];
    for (const clients of [1, 8]) {
      const load: Load = { script, clients, seed };
      const runs = Object.entries(urls).map(([side, url]) => [
        side,
        (round: number) => driver.runFor(url, { ...load, seed: seed + round }, seconds),
      ]);
      const seen = await new Rounds<Side>().run(rounds, Object.fromEntries(runs));
      measurements.push(...measurementsOf(seen, { clients, driver: driver.name, scale, rounds, seconds }));
    }
    for (const url of Object.values(urls)) checkBalances(await row(url, balancesQuery));
    await survives(stage, compute);
    return { measurements, resultHash: resultHash(balances) };
  },
};

/** Without pg_receivewal there is no peer, and the branch is measured alone. */
async function peer(
  { directory, remark }: BenchContext,
  { source }: Stage,
  compute: string,
  receivewal: string | undefined,
  urls: Partial<Record<Side, string>>,
): Promise<AsyncDisposable | undefined> {
  if (receivewal === undefined) {
    remark('there is no pg_receivewal of Postgres 15 (it comes with the client programs): no peer, no ratio');
    return undefined;
  }
  await source.adoptSettings(compute, { ...plainSettings, synchronous_standby_names: receivewalName });
  urls['plain with pg_receivewal'] = source.url();
  return await Receivewal.start(receivewal, source.url(), join(directory, 'received'));
}

/** Reads all pages, then does the same transactions on both sides; answers the balances, which must be equal. */
async function warmUp(
  { remark }: BenchContext,
  driver: TransactionDriver,
  urls: Partial<Record<Side, string>>,
  transactions: number,
) {
  const seen: Record<string, Record<string, unknown>> = {};
  for (const [side, url] of Object.entries(urls)) {
    await query(url, 'select count(*), sum(aid) from pgbench_accounts');
    await query(url, 'set enable_seqscan = off', 'select count(aid) from pgbench_accounts where aid > 0');
    await driver.runCount(url, { script, clients: 1, seed }, transactions);
    seen[side] = checkBalances(await row(url, balancesQuery));
  }
  const balances = expectEqual('balances', seen);
  remark(
    `all sides have the same balances after ${transactions} transactions; measuring with ${driver.name}`,
  );
  return balances;
}

/** The next compute has every transaction of the last. */
async function survives({ client }: Stage, compute: string): Promise<void> {
  const before = await row(compute, balancesQuery);
  await client.stopCompute(branch);
  await client.startCompute(branch);
  const { url } = await client.connectionString(branch, { via: 'socket' });
  expectEqual('balances', { before, 'on a new compute': await row(url, balancesQuery) });
}

function measurementsOf(seen: Rounds<Side>, conditions: Record<string, string | number>): Measurement[] {
  const speeds = sides
    .filter((side) => seen.of(side).length > 0)
    .map((side): Measurement => {
      const value = median(seen.of(side));
      return { name: 'durable-tpcb/speed', unit: 'tx/s', value, side, ...conditions };
    });
  const plain = seen.of('plain with pg_receivewal');
  if (plain.length === 0) return speeds;
  // A round's sides ran next to each other, so their ratio says more than the ratio of the medians.
  const ratios = seen.of('durable branch').map((tps, round) => tps / (plain[round] ?? Number.NaN));
  return [...speeds, { name: 'durable-tpcb/ratio', unit: 'ratio', value: median(ratios), ...conditions }];
}
