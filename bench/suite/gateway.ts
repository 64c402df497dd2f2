import pg from 'pg';
import type { Bench, BenchContext, Measurement } from '../bench.js';
import { fork, withPassword } from '../fixture/import-tenant.js';
import { query, row } from '../fixture/query.js';
import { expectEqual, resultHash } from '../fixture/result-hash.js';
import { Stage, tenant } from '../fixture/stage.js';
import { median, quantile } from '../fixture/statistics.js';
import { Rounds, timeRepeatedly } from '../fixture/timing.js';
import {
  balancesQuery,
  checkBalances,
  type Load,
  type TransactionDriver,
  transactionDriver,
} from '../fixture/transactions.js';

const sizes = {
  full: { scale: 10, rounds: 5, seconds: 5, connects: 100, compared: 500 },
  smoke: { scale: 1, rounds: 1, seconds: 1, connects: 5, compared: 20 },
};
const seed = 9;
const branch = 'doored';

/** `direct` is the compute's Unix socket, which asks for no password; by TCP it asks for that, as by the gateway. */
const sides = ['direct', 'direct by TCP', 'gateway', 'gateway with TLS'] as const;
type Side = (typeof sides)[number];

const fullLoads: readonly Load[] = [
  { script: 'select-only', clients: 1, seed },
  { script: 'select-only', clients: 8, seed },
  { script: 'tpcb-like', clients: 1, seed },
  { script: 'tpcb-like', clients: 8, seed },
];

/** At smoke size one of each script will do. */
const loads = { full: fullLoads, smoke: fullLoads.filter(({ clients }) => clients === 8) };

export const gatewayBench: Bench = {
  name: 'gateway',
  about: "connections and transactions by the gateway, against the same compute's own sockets",
  async run(context) {
    const { scale, rounds, seconds, compared, connects } = sizes[context.size];
    const driver = await transactionDriver(scale);
    await using stage = await Stage.open(context, async (source) => {
      await driver.initialise(source.url(), scale);
      await query(source.url(), 'checkpoint');
    });
    const urls = await urlsOf(stage);
    const balances = await warmUp(context, driver, urls, compared);
    const measurements = await measureConnects(urls, rounds, connects);
    for (const load of loads[context.size]) {
      const side = (name: Side) => (round: number) =>
        driver.runFor(urls[name], { ...load, seed: seed + round }, seconds);
      const seen = await new Rounds<Side>().run(rounds, {
        direct: side('direct'),
        'direct by TCP': side('direct by TCP'),
        gateway: side('gateway'),
        'gateway with TLS': side('gateway with TLS'),
      });
      const { script, clients } = load;
      const conditions = { script, clients, driver: driver.name, scale, rounds, seconds };
      measurements.push(...speeds(seen, conditions));
    }
    checkBalances(await row(urls.direct, balancesQuery));
    return { measurements, resultHash: resultHash(balances) };
  },
};

async function urlsOf({ client, source }: Stage): Promise<Record<Side, string>> {
  // Commits wait for nobody: it is the way there that is compared.
  const direct = await fork(client, branch, tenant, 'async');
  const { url } = withPassword(await client.connectionString(branch, { via: 'gateway' }), source.password);
  const { port, database } = await client.connectionString(branch, { via: 'socket' });
  const byTcp = Object.assign(new URL(url), { port, pathname: database });
  return {
    direct,
    'direct by TCP': `${byTcp.href}?sslmode=disable`,
    gateway: `${url}?sslmode=disable`,
    // node-postgres checks certificates unless it is told not to; libpq does not know that value.
    'gateway with TLS': `${url}?sslmode=require`,
  };
}

/** Each side does the same number of transactions; answers the balances, which all sides must see. */
async function warmUp(
  { remark }: BenchContext,
  driver: TransactionDriver,
  urls: Record<Side, string>,
  transactions: number,
) {
  await query(urls.direct, 'select count(*), sum(aid) from pgbench_accounts');
  await query(
    urls.direct,
    'set enable_seqscan = off',
    'select count(aid) from pgbench_accounts where aid > 0',
  );
  for (const side of ['direct', 'gateway'] as const) {
    await driver.runCount(urls[side], { script: 'tpcb-like', clients: 1, seed }, transactions);
  }
  const seen = {
    direct: await row(urls.direct, balancesQuery),
    gateway: await row(urls.gateway, balancesQuery),
  };
  const balances = checkBalances(expectEqual('balances', seen));
  remark(`both ways lead to the same balances; measuring with ${driver.name}`);
  return balances;
}

/** From nothing to the answer to a first query and back, on a compute that runs. */
async function measureConnects(
  urls: Record<Side, string>,
  rounds: number,
  connects: number,
): Promise<Measurement[]> {
  const connect = (side: Side) => () => timeRepeatedly(connects, () => connectOnce(side, urls[side]));
  const seen = await new Rounds<Side>().run(rounds, {
    direct: connect('direct'),
    'direct by TCP': connect('direct by TCP'),
    gateway: connect('gateway'),
    'gateway with TLS': connect('gateway with TLS'),
  });
  return sides.flatMap((side): Measurement[] =>
    [50, 95].map((percentile) => ({
      name: `gateway/connect-p${percentile}`,
      unit: 'ms',
      value: quantile(seen.of(side), percentile / 100),
      side,
      rounds,
      connects,
    })),
  );
}

async function connectOnce(side: Side, url: string): Promise<void> {
  const tls = { connectionString: url.replace(/\?.*/, ''), ssl: { rejectUnauthorized: false } };
  const client = new pg.Client(side === 'gateway with TLS' ? tls : { connectionString: url });
  await client.connect();
  try {
    await client.query('select 1');
  } finally {
    await client.end();
  }
}

function speeds(seen: Rounds<Side>, conditions: Record<string, string | number>): Measurement[] {
  const direct = seen.of('direct');
  return sides.flatMap((side): Measurement[] => {
    const own = seen.of(side);
    const speed: Measurement = {
      name: 'gateway/speed',
      unit: 'tx/s',
      value: median(own),
      side,
      ...conditions,
    };
    if (side === 'direct') return [speed];
    // A round's sides ran next to each other, so their ratio says more than the ratio of the medians.
    const ratio = median(own.map((tps, round) => tps / (direct[round] ?? Number.NaN)));
    return [speed, { name: 'gateway/ratio', unit: 'ratio', value: ratio, side, ...conditions }];
  });
}
