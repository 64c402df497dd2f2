import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseLsn } from '@offshoot/types';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { DaemonProcess } from '../fixture/daemon-process.js';
import { Production } from '../fixture/production.js';
import { query, value } from '../fixture/query.js';
import { ScratchDirectory } from '../fixture/scratch-directory.js';
import { TpcbLoad, tpcbTables } from '../fixture/tpcb-load.js';
import { waitUntil } from '../fixture/wait-until.js';
import { importInto } from '../fixture/world.js';
import { Archive, type RecoveryTarget } from './archive.js';

const scratch = new ScratchDirectory('point-in-time');
const archiveDirectory = join(scratch.path, 'archive');
let production: Production;
let archive: Archive;
let daemon: DaemonProcess;

const NAMES = [
  'of a commit, exactly',
  'while a transaction is prepared',
  'before a rollback',
  'after a rollback, before the next commit',
  'under load',
  'of a commit under load, exactly',
] as const;
type Moment = (typeof NAMES)[number];
const moments = new Map<Moment, string>();

const CONTENT = `select (select string_agg(n || ':' || what, ',' order by n) from note) as notes,
  (select last_value || ':' || log_cnt from drawn) as drawn,
  (select string_agg(gid, ',' order by gid) from pg_prepared_xacts) as prepared,
  (select md5(string_agg(a::text, ',' order by aid)) from accounts a) as accounts,
  (select md5(string_agg(h::text, ',' order by client, n)) from history h) as history,
  (select string_agg(relname || ':' || relfilenode, ',' order by relname) from pg_class where oid > 16383) as relations`;

/** Replayed up to here; on a server that was recovered and has been promoted since. */
const REPLAYED = 'select pg_last_wal_replay_lsn()::text';

/** Of a WAL page, at most; it may lie between the end of a record and the start of the next. */
const HEADER_BYTES_MAX = 40n;

beforeAll(async () => {
  production = await Production.start(join(scratch.path, 'production'), {
    parameters: {
      ...Archive.parameters(archiveDirectory),
      track_commit_timestamp: 'on',
      max_prepared_transactions: '20',
    },
  });
  await query(
    production.url(),
    ...tpcbTables,
    'create table note (n serial primary key, what text)',
    'create sequence drawn',
    'checkpoint',
  );
  archive = await Archive.begin(production, archiveDirectory);
  daemon = await DaemonProcess.start(join(scratch.path, 'data'));
  await importInto(daemon.client(), 'prod', production.url());
  await history();
  await archive.complete();
});

afterAll(async () => {
  await daemon?.end('SIGTERM');
  await production?.stop('immediate');
  scratch[Symbol.dispose]();
});

/** A time by production's clock, in UTC, to the microsecond. */
async function timeOf(expression: string): Promise<string> {
  const text = `to_char((${expression}) at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')`;
  return String(await value(production.url(), `select ${text} || '+00'`));
}

/** Production's clock now; nothing else happens in this moment. */
async function moment(what: Moment): Promise<void> {
  await sleep(2);
  moments.set(what, await timeOf('clock_timestamp()'));
  await sleep(2);
}

async function history(): Promise<void> {
  const url = production.url();
  await query(url, `insert into note (what) values ('first')`);
  await query(url, `insert into note (what) values ('exactly')`);
  const exactly = `select pg_xact_commit_timestamp(xmin) from note where what = 'exactly'`;
  moments.set('of a commit, exactly', await timeOf(exactly));
  await query(url, `insert into note (what) values ('right after')`);

  await query(url, 'begin', 'create table left_open (n int)', `prepare transaction 'open'`);
  await query(url, `insert into note (what) values ('while it is prepared')`);
  await moment('while a transaction is prepared');
  await query(url, `commit prepared 'open'`);

  // What is in no transaction follows on the rollbacks: it is later than the moment as well.
  await moment('before a rollback');
  await query(url, 'begin', `insert into note (what) values ('never')`, 'rollback');
  await query(url, 'begin', `select nextval('drawn') from generate_series(1, 100)`, 'rollback');
  await query(url, 'begin', `insert into note (what) values ('prepared')`, `prepare transaction 'later'`);
  await moment('after a rollback, before the next commit');
  await query(url, `insert into note (what) values ('after the rollbacks')`);

  await underLoad();
  await query(url, `insert into note (what) values ('last')`);
}

/** Several at once: commit times do not ascend with places in the WAL. */
async function underLoad(): Promise<void> {
  const load = new TpcbLoad(6);
  load.start(production.url());
  const reached = (count: number) => () => load.transactions > count || load.faults.length > 0;
  await waitUntil('there are commits', reached(300), 60_000);
  moments.set('under load', await timeOf('clock_timestamp()'));
  await waitUntil('there are more', reached(600), 60_000);
  await load.stop();
  const exactly = 'select pg_xact_commit_timestamp(xmin) from history where client = 0 and n = 30';
  moments.set('of a commit under load, exactly', await timeOf(exactly));
  expect(load.faults).toEqual([]);
}

/** Not as a number of JavaScript's, which is too coarse. */
function aMicrosecondBefore(time: string): Promise<string> {
  return timeOf(`'${time}'::timestamptz - interval '1 microsecond'`);
}

async function expectSame(time: string, target: RecoveryTarget): Promise<void> {
  const recovered = await archive.recover(target, async (url) => ({
    content: await query(url, CONTENT),
    replayed: parseLsn(String(await value(url, REPLAYED))),
  }));
  const client = daemon.client();
  const name = `at-${Math.random().toString(36).slice(2)}`;
  const { branch } = await client.createBranch({ name, from: 'prod', at: time });
  await client.startCompute(name);
  const { url } = await client.connectionString(name, { via: 'socket' });
  const content = await query(url, CONTENT);
  await client.deleteBranch(name);
  expect(content).toEqual(recovered.content);
  const ahead = parseLsn(branch.base_lsn) - recovered.replayed;
  expect(ahead).toBeGreaterThanOrEqual(0n);
  expect(ahead).toBeLessThanOrEqual(HEADER_BYTES_MAX);
}

test.each(NAMES)('a branch at a time is what a point-in-time recovery makes of it: %s', async (what) => {
  const time = String(moments.get(what));
  await expectSame(time, { recovery_target_time: time, recovery_target_inclusive: 'on' });
});

test('a microsecond before a commit is what an exclusive recovery to its time makes of it', async () => {
  const time = String(moments.get('of a commit, exactly'));
  const before = await aMicrosecondBefore(time);
  await expectSame(before, { recovery_target_time: time, recovery_target_inclusive: 'off' });
});
