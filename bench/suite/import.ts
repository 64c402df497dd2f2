import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Bench, Measurement } from '../bench.js';
import { type BackupReference, backupReference, type Flush, fileHash } from '../fixture/backup-reference.js';
import { directoryBytes } from '../fixture/directory-bytes.js';
import { discard, fork, importTenant } from '../fixture/import-tenant.js';
import { fillOrders, placeOfOrders, scanQuery } from '../fixture/order-table.js';
import { query, row } from '../fixture/query.js';
import { expectEqual, resultHash } from '../fixture/result-hash.js';
import { Stage, tenant } from '../fixture/stage.js';
import { median } from '../fixture/statistics.js';
import { Rounds, timed } from '../fixture/timing.js';

const sizes = { full: { megabytes: 1_000, rounds: 3 }, smoke: { megabytes: 4, rounds: 1 } };
const bytesPerMegabyte = 1_000_000;
const sides = ['import', 'reference', 'reference, not flushed'] as const;
type Side = (typeof sides)[number];

export const importBench: Bench = {
  name: 'import',
  about: 'import of a running cluster in MB/s, against pg_basebackup of it; stored bytes against its own',
  async run(context) {
    const { megabytes, rounds } = sizes[context.size];
    await using stage = await Stage.open(context, async (source) => {
      await fillOrders(source.url(), megabytes);
      await query(source.url(), 'create index on orders (customer)', 'checkpoint');
    });
    const reference = await backupReference(stage.source);
    const copy = join(context.directory, 'copy');
    const rows = await compareResults(stage, reference, copy);
    const sourceBytes = await directoryBytes(stage.source.dataDirectory, ['pg_wal']);
    const stored = await storedBytes(stage);
    context.remark('import and reference hold what production holds; measuring');
    const copying = (flush: Flush) => async () => {
      const { ms } = await timed(() => reference.run(copy, flush));
      await rm(copy, { recursive: true });
      return ms;
    };
    const seen = await new Rounds<Side>().run(rounds, {
      import: async (round) => {
        const name = `again-${round}`;
        const { ms } = await timed(() => importTenant(stage.client, name, stage.source.url()));
        await stage.client.deleteTenant(name);
        return ms;
      },
      reference: copying('flushed'),
      'reference, not flushed': copying('not flushed'),
    });
    const speed = (side: Side) => sourceBytes.apparent / bytesPerMegabyte / (median(seen.of(side)) / 1000);
    const conditions = { reference: reference.name, source_bytes: sourceBytes.apparent, rounds };
    const measurements: Measurement[] = [
      ...sides.map((side) => speedOf(side, speed(side), conditions)),
      {
        name: 'import/speed-ratio',
        unit: 'ratio',
        value: speed('import') / speed('reference'),
        ...conditions,
      },
      { name: 'import/stored', unit: 'bytes', value: stored.used, files_bytes: stored.files, ...conditions },
      {
        name: 'import/stored-ratio',
        unit: 'ratio',
        value: stored.used / sourceBytes.apparent,
        ...conditions,
      },
    ];
    return { measurements, resultHash: resultHash(rows) };
  },
};

function speedOf(side: Side, value: number, conditions: Record<string, string | number>): Measurement {
  return { name: 'import/speed', unit: 'MB/s', value, side, ...conditions };
}

/** What a branch of the import answers, and the table's first file in the reference's copy, against production's. */
async function compareResults({ client, source }: Stage, reference: BackupReference, copy: string) {
  const url = await fork(client, 'check', tenant);
  const rows = expectEqual('rows', {
    production: await row(source.url(), scanQuery),
    branch: await row(url, scanQuery),
  });
  await discard(client, 'check');
  await reference.run(copy, 'not flushed');
  if (reference.name === 'pg_basebackup') {
    const { path } = await placeOfOrders(source.url());
    expectEqual('the table’s file', {
      production: await fileHash(join(source.dataDirectory, path)),
      copy: await fileHash(join(copy, path)),
    });
  }
  await rm(copy, { recursive: true });
  return rows;
}

/** In the store's own count, and as its files. */
async function storedBytes({ client, daemon }: Stage): Promise<{ used: number; files: number }> {
  const { id, stored_bytes } = await client.tenant(tenant);
  const { disk } = await directoryBytes(join(daemon.dataDirectory, 'tenants', id));
  return { used: stored_bytes ?? Number.NaN, files: disk };
}
