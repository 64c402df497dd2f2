import { setTimeout as sleep } from 'node:timers/promises';
import { parseLsn } from '@offshoot/types';
import type { Bench, Measurement } from '../bench.js';
import { fork } from '../fixture/import-tenant.js';
import { MemoryWatch, type Resident, resident } from '../fixture/memory-watch.js';
import { query, row } from '../fixture/query.js';
import { expectEqual, resultHash } from '../fixture/result-hash.js';
import type { SourceCluster } from '../fixture/source-cluster.js';
import { Stage, tenant } from '../fixture/stage.js';

const sizes = {
  full: { rounds: 33, rows: 400_000, sliceBytes: 1_000_000_000 },
  smoke: { rounds: 4, rows: 10_000, sliceBytes: 5_000_000 },
};
type Size = (typeof sizes)['full'];

const pollMs = 250;
const bytesPerMegabyte = 1_000_000;
/** It is memory that is measured, however far the daemon lags behind. */
const settings = { follow: { slotRetainedBytesMax: 2 ** 40 } };

/** Rows, index builds and updates; truncating keeps the source small. */
const statements = (n: number, { rows }: Size) => [
  'truncate parcels',
  `insert into parcels select i, (i::bigint * 7919 * ${n}) % 100003, 'parcel ' || i || ' of ' || ${n},
     md5((i * ${n})::text), array['a' || i % 1000, 'b' || i % 77] from generate_series(1, ${rows}) i`,
  'create index parcels_token on parcels (token)',
  'create index parcels_tags on parcels using gin (tags)',
  `update parcels set customer = customer + 1, note = note || '!' where id % 3 = 0`,
  `delete from parcels where id % 7 = ${n % 7}`,
  'vacuum parcels',
  'drop index parcels_token, parcels_tags',
  `insert into rounds select ${n}, count(*), sum(customer) from parcels`,
];

const contentQuery = `select count(*)::text as parcels, sum(customer)::text as customers,
  md5(string_agg(token || note, '' order by id)) as texts,
  (select md5(string_agg(r::text, '' order by n)) from rounds r) as rounds from parcels`;

export const ingestMemory: Bench = {
  name: 'ingest-memory',
  about: 'memory of the daemon while it follows a source that writes several GB of WAL',
  async run(context) {
    const size = sizes[context.size];
    await using stage = await Stage.open(context, fill, settings);
    const pid = stage.daemon.child.pid ?? 0;
    const way = new Way(stage, await flushed(stage));
    const before = resident(pid);
    context.remark('the source writes, and is followed');
    const most = await mostWhileFollowing(stage, size, way);
    const peak = resident(pid).most;
    context.remark(`of each ${size.sliceBytes} bytes: ${most.map(inMegabytes).join(', ')}; comparing`);
    const branch = await fork(stage.client, 'compared', tenant);
    const content = expectEqual('content', {
      source: await row(stage.source.url(), contentQuery),
      branch: await row(branch, contentQuery),
    });
    return {
      measurements: measurements(size, way, most, before, peak),
      resultHash: resultHash(content),
    };
  },
};

/** Of the daemon's own memory, by how much WAL it had taken in. */
async function mostWhileFollowing(stage: Stage, size: Size, way: Way): Promise<number[]> {
  const slice = () => Math.floor(way.taken / size.sliceBytes);
  using watch = new MemoryWatch(stage.daemon.child.pid ?? 0, slice);
  await Promise.all([write(stage, size, way), way.follow()]);
  return watch.most;
}

const inMegabytes = (bytes: number) => `${(bytes / bytesPerMegabyte).toFixed(0)} MB`;

async function fill(source: SourceCluster): Promise<void> {
  await query(
    source.url(),
    'create table parcels (id int, customer bigint, note text, token text, tags text[])',
    'create table rounds (n int, parcels bigint, customers bigint)',
    // Else a source on the same disk takes more room than what is measured.
    `alter system set max_wal_size = '1GB'`,
    'select pg_reload_conf()',
    'checkpoint',
  );
}

async function write({ source }: Stage, size: Size, way: Way): Promise<void> {
  for (let n = 1; n <= size.rounds; n += 1) await query(source.url(), ...statements(n, size));
  way.end = await flushed({ source });
}

async function flushed({ source }: Pick<Stage, 'source'>): Promise<bigint> {
  const { lsn } = await row(source.url(), 'select pg_current_wal_flush_lsn()::text as lsn');
  return parseLsn(String(lsn));
}

/** How far the daemon has come behind the source. */
class Way {
  /** Bytes of WAL that can be read, from where it began. */
  taken = 0;
  lagBytesMax = 0;
  seconds = 0;
  /** Of the source's WAL, once it is known. */
  end: bigint | undefined;

  constructor(
    private readonly stage: Stage,
    private readonly began: bigint,
  ) {}

  /** Until all of it is in the store. */
  async follow(): Promise<void> {
    const start = performance.now();
    for (let at = this.began; this.end === undefined || at < this.end; await sleep(pollMs)) {
      at = await this.#look();
    }
    this.seconds = (performance.now() - start) / 1000;
  }

  async #look(): Promise<bigint> {
    const { receiver } = await this.stage.client.tenant(tenant);
    if (receiver?.source_lsn === undefined) return this.began;
    const at = parseLsn(receiver.source_lsn) - BigInt(receiver.lag_bytes ?? 0);
    // What the source has not told yet lags, too.
    this.lagBytesMax = Math.max(this.lagBytesMax, Number((await flushed(this.stage)) - at));
    this.taken = Number(at - this.began);
    return at;
  }
}

/** `most`: of each slice, from the first on. */
function measurements(
  size: Size,
  way: Way,
  most: readonly number[],
  before: Resident,
  mostEver: number,
): Measurement[] {
  const conditions = { wal_bytes: way.taken, slice_bytes: size.sliceBytes };
  const bytes = (what: string, value: number, more = {}): Measurement => {
    return { name: `ingest-memory/${what}`, unit: 'bytes', value, ...conditions, ...more };
  };
  const places = { first: 0, middle: Math.floor((most.length - 1) / 2), last: most.length - 1 };
  const slices = Object.entries(places).map(([place, at]) =>
    bytes('anonymous', most[at] ?? Number.NaN, { slice: place }),
  );
  const { first = Number.NaN, last = Number.NaN } = { first: most[0], last: most.at(-1) };
  return [
    bytes('anonymous', before.anonymous, { slice: 'before' }),
    ...slices,
    bytes('anonymous', Math.max(...most), { slice: 'all' }),
    bytes('with-mapped-files', mostEver),
    { name: 'ingest-memory/growth', unit: 'ratio', value: last / first, ...conditions },
    bytes('lag', way.lagBytesMax),
    {
      name: 'ingest-memory/speed',
      unit: 'MB/s',
      value: way.taken / bytesPerMegabyte / way.seconds,
      ...conditions,
    },
  ];
}
