import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Bench, BenchContext, Measurement } from '../bench.js';
import { ingest } from '../fixture/ingest-process.js';
import type { IngestReport } from '../fixture/ingest-program.js';
import { query, type Row, row } from '../fixture/query.js';
import { type RecordedWal, recordWal } from '../fixture/recorded-wal.js';
import { type Replay, ReplayingPostgres } from '../fixture/replaying-postgres.js';
import { expectEqual, resultHash } from '../fixture/result-hash.js';
import { SourceCluster } from '../fixture/source-cluster.js';
import { median } from '../fixture/statistics.js';
import { Rounds } from '../fixture/timing.js';
import { balancesQuery, transactionDriver } from '../fixture/transactions.js';

const sizes = {
  full: { scale: 10, transactions: 100_000, rows: 1_500_000, rounds: 3 },
  smoke: { scale: 1, transactions: 400, rows: 5_000, rounds: 1 },
};
type Size = (typeof sizes)['full'];

const bytesPerMegabyte = 1_000_000;
const clients = 8;
const seed = 11;

/** One after the other on the same cluster: each begins with what those before it left. */
interface Workload {
  name: string;
  prepare(url: string, size: Size, file: string): Promise<unknown>;
  /** Writes the WAL that is measured. */
  run(url: string, size: Size, file: string): Promise<unknown>;
  /** Its one row is the same in every run of one size. */
  result: string;
}

const workloads: readonly Workload[] = [
  {
    name: 'tpcb',
    async prepare(url, { scale }) {
      await (await transactionDriver(scale)).initialise(url, scale);
      await query(url, 'checkpoint');
    },
    async run(url, { scale, transactions }) {
      // What the source waits for is no matter here.
      await query(url, 'alter system set synchronous_commit = off', 'select pg_reload_conf()');
      const driver = await transactionDriver(scale);
      await driver.runCount(url, { script: 'tpcb-like', clients, seed }, transactions / clients);
    },
    result: balancesQuery,
  },
  {
    name: 'copy',
    prepare: (url, { rows }, file) =>
      query(
        url,
        `create table parcels (id integer primary key, customer integer not null, state text not null,
           note text not null, token text not null, tags text[] not null)`,
        `copy (select i, (i::bigint * 7919 % 100003)::int, (array['new', 'paid', 'sent', 'returned'])[1 + i % 4],
                 'parcel ' || i || ' came by way ' || i % 17, md5(i::text), array['a' || i % 1000, 'b' || i % 77]
               from generate_series(1, ${rows}) i) to '${file}'`,
        'checkpoint',
      ),
    run: (url, _, file) => query(url, `copy parcels from '${file}'`),
    result: `select count(*)::text as parcels, sum(customer)::text as customers, md5(min(token) || max(token)) as tokens
             from parcels`,
  },
  {
    name: 'index build',
    prepare: (url) => query(url, 'vacuum (freeze, analyze) parcels', 'checkpoint'),
    run: (url) =>
      query(
        url,
        'create index on parcels (token)',
        'create index on parcels (customer)',
        'create index on parcels using gin (tags)',
      ),
    result: `select count(*) filter (where tags @> array['a7'])::text as tagged,
               (select id from parcels where token = md5('7')) as id from parcels`,
  },
];

export const ingestBench: Bench = {
  name: 'ingest',
  about: 'WAL of TPC-B, of a COPY and of index builds into the store, against Postgres’ own replay of it',
  async run(context) {
    const size = sizes[context.size];
    await using source = await SourceCluster.start(join(context.directory, 'source'));
    await using postgres = await ReplayingPostgres.create(join(context.directory, 'replay'), source);
    // Whatever user Postgres runs as, it writes there.
    const exchange = join(context.directory, 'exchange');
    mkdirSync(exchange);
    chmodSync(exchange, 0o777);
    const file = join(exchange, 'rows');
    const measurements: Measurement[] = [];
    const results: Row[] = [];
    for (const workload of workloads) {
      context.remark(`recording the WAL of ${workload.name}`);
      await workload.prepare(source.url(), size, file);
      const directory = join(context.directory, workload.name.replace(' ', '-'));
      const wal = await recordWal(source, directory, (url) => workload.run(url, size, file).then(() => {}));
      results.push(await compareResults(context, source, postgres, workload, wal));
      context.remark(`${workload.name}: all pages are as Postgres replayed them; measuring`);
      measurements.push(...(await measure(context, size, postgres, workload, wal)));
    }
    return { measurements, resultHash: resultHash(results) };
  },
};

/** Byte for byte, every page that the users' tables and indexes have at the WAL's end. */
async function compareResults(
  { directory }: BenchContext,
  source: SourceCluster,
  postgres: ReplayingPostgres,
  { name, result }: Workload,
  wal: RecordedWal,
): Promise<Row> {
  await postgres.replay(wal);
  const { pageHashes } = await ingest(wal, join(directory, 'ingest'), wal.relations);
  expectEqual(`pages after ${name}`, {
    'Postgres’ replay': await postgres.pageHashes(wal.relations),
    ingest: pageHashes,
  });
  return expectEqual(`rows after ${name}`, {
    source: await row(source.url(), result),
    'Postgres’ replay': await row(postgres.url(), result),
  });
}

async function measure(
  { directory }: BenchContext,
  { rounds }: Size,
  postgres: ReplayingPostgres,
  { name }: Workload,
  wal: RecordedWal,
): Promise<Measurement[]> {
  const replays: Replay[] = [];
  const reports: IngestReport[] = [];
  await new Rounds<'ingest' | 'replay'>().run(rounds, {
    ingest: async () => {
      const report = await ingest(wal, join(directory, 'ingest'), []);
      reports.push(report);
      return report.seconds;
    },
    replay: async () => {
      const replay = await postgres.replay(wal);
      replays.push(replay);
      return replay.seconds;
    },
  });
  const bytes = Number(wal.ends - wal.begins);
  const conditions = { workload: name, wal_bytes: bytes, records: wal.records, kernel_cache: 'warm', rounds };
  const sides = { ingest: reports, 'Postgres’ replay': replays };
  const speeds = Object.entries(sides).flatMap(([side, seen]): Measurement[] => {
    const seconds = median(seen.map((one) => one.seconds));
    const common = { side, ...conditions };
    const speed = bytes / bytesPerMegabyte / seconds;
    return [
      { name: 'ingest/speed', unit: 'MB/s', value: speed, ...common },
      { name: 'ingest/records', unit: 'records/s', value: wal.records / seconds, ...common },
    ];
  });
  const ratio = (of: (one: Replay) => number) =>
    median(reports.map((report, round) => of(replays[round] ?? report) / of(report)));
  const most = (of: (report: IngestReport) => number) => Math.max(...reports.map(of));
  return [
    ...speeds,
    { name: 'ingest/ratio', unit: 'ratio', value: ratio((one) => one.seconds), ...conditions },
    { name: 'ingest/processor-ratio', unit: 'ratio', value: ratio((one) => one.cpuSeconds), ...conditions },
    {
      name: 'ingest/stored-ratio',
      unit: 'ratio',
      value: most((one) => one.storedBytes) / bytes,
      ...conditions,
    },
    {
      name: 'ingest/memory',
      unit: 'bytes',
      value: most((one) => one.memoryBytes),
      of_it_before: most((one) => one.memoryBytesBefore),
      ...conditions,
    },
  ];
}
