import { parseLsn } from '@offshoot/types';
import type { Bench, Measurement } from '../bench.js';
import { fork } from '../fixture/import-tenant.js';
import { getPageRequests, PageStreamClient } from '../fixture/page-stream-client.js';
import { query, row } from '../fixture/query.js';
import { expectEqual, resultHash } from '../fixture/result-hash.js';
import { Stage, tenant } from '../fixture/stage.js';
import { quantile } from '../fixture/statistics.js';
import { Rounds, timeRepeatedly } from '../fixture/timing.js';

const sizes = {
  full: { changes: 100_000, rounds: 9, callsPerRound: 1_000 },
  smoke: { changes: 300, rounds: 2, callsPerRound: 20 },
};

/** Pages of one row each, of the same length; the second is updated again and again, a commit each time. */
const tables = { 'one change': 'changed_once', 'many changes': 'changed_often' } as const;
type Side = keyof typeof tables;
const sides = Object.keys(tables) as Side[];

/** The same page is asked for again and again: a page that is kept would hide what it takes to make it. */
const withoutPageCache = { store: { pageCacheBytes: 1 } };

const branch = 'history';
const found = 'select (select n from changed_once) as once, (select n from changed_often) as often';

export const pageHistory: Bench = {
  name: 'page-history',
  about: 'GetPage on a page with 100,000 changes, against one with a single change; space of the changes',
  async run(context) {
    const { changes, rounds, callsPerRound } = sizes[context.size];
    await using stage = await Stage.open(
      context,
      (source) => query(source.url(), 'checkpoint').then(() => {}),
      withoutPageCache,
    );
    const { client, daemon } = stage;
    const url = await fork(client, branch, tenant);
    const before = (await client.tenant(tenant)).stored_bytes ?? Number.NaN;
    context.remark(`changing a page ${changes} times`);
    const wal = await change(url, changes);
    const written = await row(url, found);
    // What it has acknowledged is what the next compute shows, from the pages that are measured.
    await client.stopCompute(branch);
    const stored = ((await client.tenant(tenant)).stored_bytes ?? Number.NaN) - before;
    await client.startCompute(branch);
    const again = (await client.connectionString(branch, { via: 'socket' })).url;
    const rows = expectEqual('rows', {
      expected: { once: 0, often: changes },
      before: written,
      'on a new compute': await row(again, found),
    });
    context.remark('a new compute shows the last change; measuring');
    const { id } = await client.tenant(tenant);
    const { timeline } = await client.branch(branch);
    using pages = await PageStreamClient.open(daemon.pageSocket, id, timeline);
    const side = async (name: Side) => {
      const request = await requestFor(again, tables[name], wal.end);
      return () => timeRepeatedly(callsPerRound, () => pages.page(request));
    };
    const seen = await new Rounds<Side>().run(rounds, {
      'one change': await side('one change'),
      'many changes': await side('many changes'),
    });
    const conditions = { changes, page_cache: 'none', rounds, calls: callsPerRound };
    const latencies = sides.flatMap((name) =>
      [0.5, 0.95].map((q): Measurement => {
        const value = quantile(seen.of(name), q);
        return { name: 'page-history/latency', unit: 'ms', value, quantile: q, side: name, ...conditions };
      }),
    );
    const ratio = quantile(seen.of('many changes'), 0.5) / quantile(seen.of('one change'), 0.5);
    return {
      measurements: [
        ...latencies,
        { name: 'page-history/ratio', unit: 'ratio', value: ratio, ...conditions },
        { name: 'page-history/stored', unit: 'bytes', value: stored / changes, per: 'change', ...conditions },
        { name: 'page-history/stored-ratio', unit: 'ratio', value: stored / wal.bytes, ...conditions },
      ],
      resultHash: resultHash(rows),
    };
  },
};

/** Answers how much WAL that took, and where it ends. */
async function change(url: string, changes: number): Promise<{ bytes: number; end: string }> {
  await query(
    url,
    ...Object.values(tables).map((name) => `create table ${name} (n integer, filler text)`),
    ...Object.values(tables).map((name) => `insert into ${name} values (0, repeat('x', 100))`),
  );
  const { began } = await row(url, 'select pg_current_wal_insert_lsn()::text as began');
  await query(
    url,
    'set synchronous_commit = off',
    // A commit each, so that the row's older versions can be pruned.
    `do $$ begin
       for i in 1..${changes} loop update ${tables['many changes']} set n = i; commit; end loop;
     end $$`,
    'set synchronous_commit = on',
    // Waits for all before it.
    'create table written ()',
  );
  const { end } = await row(url, 'select pg_current_wal_flush_lsn()::text as end');
  return { bytes: Number(parseLsn(String(end)) - parseLsn(String(began))), end: String(end) };
}

/** For the table's first page as it is now. */
async function requestFor(url: string, table: string, end: string): Promise<Buffer> {
  const place = (await row(
    url,
    `select dattablespace::int as spcnode, oid::int as dbnode, pg_relation_filenode('${table}')::int as relnode
     from pg_database where datname = current_database()`,
  )) as { spcnode: number; dbnode: number; relnode: number };
  return getPageRequests({ ...place, fork: 0 }, [0], parseLsn(end)).frames;
}
