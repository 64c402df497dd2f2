import pg from 'pg';
import type { Bench, Measurement } from '../bench.js';
import { discard, fork } from '../fixture/import-tenant.js';
import { fillOrders, placeOfOrders, scanQuery } from '../fixture/order-table.js';
import { row } from '../fixture/query.js';
import { expectEqual, resultHash } from '../fixture/result-hash.js';
import { Stage, tenant } from '../fixture/stage.js';
import { median } from '../fixture/statistics.js';
import { Rounds, timed } from '../fixture/timing.js';

const sizes = { full: { megabytes: 512, rounds: 5 }, smoke: { megabytes: 8, rounds: 2 } };
const bytesPerMegabyte = 1_000_000;
/** Parallel workers of the scan; 2 is the default of Postgres and of a compute. */
const workerCounts = [0, 2] as const;
/** Each round's samples of a side, in this order. */
const buffers = ['cold', 'warm'] as const;

export const coldScan: Bench = {
  name: 'cold-scan',
  about: 'sequential scan on a fresh compute in MB/s, against plain files with cold and warm shared buffers',
  async run(context) {
    const { megabytes, rounds } = sizes[context.size];
    await using stage = await Stage.open(context, (source) => fillOrders(source.url(), megabytes));
    const { source, client } = stage;
    const { bytes } = await placeOfOrders(source.url());
    const expected = await row(source.url(), scanQuery);
    const computeUrl = await fork(client, 'check', tenant);
    expectEqual('rows', { production: expected, branch: await row(computeUrl, scanQuery) });
    await source.adoptSettings(computeUrl);
    await discard(client, 'check');
    context.remark('branch and production answer the same; measuring');
    const measurements: Measurement[] = [];
    for (const workers of workerCounts) {
      const scan = async (url: string) => {
        const { ms, answer } = await scanOnce(url, workers);
        expectEqual('rows', { production: expected, scan: answer });
        return bytes / bytesPerMegabyte / (ms / 1000);
      };
      const seen = await new Rounds<'compute' | 'plain files'>().run(rounds, {
        compute: async (round) => {
          const url = await fork(client, `scan-${workers}-${round}`, tenant);
          const speeds = [await scan(url), await scan(url)];
          await discard(client, `scan-${workers}-${round}`);
          return speeds;
        },
        'plain files': async () => {
          await source.restart();
          return [await scan(source.url()), await scan(source.url())];
        },
      });
      const conditions = { workers, table_bytes: bytes, kernel_cache: 'warm', rounds };
      measurements.push(...measurementsOf(seen, conditions));
    }
    return { measurements, resultHash: resultHash(expected) };
  },
};

/** Connecting is not part of the time. */
async function scanOnce(url: string, workers: number) {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(`set max_parallel_workers_per_gather = ${workers}`);
    return await timed(async () => (await client.query(scanQuery)).rows[0] as Record<string, unknown>);
  } finally {
    await client.end();
  }
}

function measurementsOf(
  seen: Rounds<'compute' | 'plain files'>,
  conditions: Record<string, string | number>,
): Measurement[] {
  return (['compute', 'plain files'] as const).flatMap((side) =>
    buffers.map((shared_buffers, at): Measurement => {
      const samples = seen.of(side).filter((_, index) => index % buffers.length === at);
      const value = median(samples);
      return { name: 'cold-scan/speed', unit: 'MB/s', value, side, shared_buffers, ...conditions };
    }),
  );
}
