import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseLsn } from '@offshoot/types';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Production } from '../fixture/production.js';
import { query, value } from '../fixture/query.js';
import { ScratchDirectory } from '../fixture/scratch-directory.js';
import { waitUntil } from '../fixture/wait-until.js';
import { World } from '../fixture/world.js';

const scratch = new ScratchDirectory('publisher');
const archived = join(scratch.path, 'archived');
let publisher: Production;
/** Production: subscribes, publishes, archives, and has standbys. */
let world: World;
/** By the Unix socket, as the superuser: may do everything there. */
let clone: string;

/** As this test; whoever else connects to the publisher has another name. */
const SELF = 'the-test';
const atPublisher = () => `${publisher.url()}&application_name=${SELF}`;

beforeAll(async () => {
  publisher = await Production.start(join(scratch.path, 'publisher'), {
    parameters: {
      wal_level: 'logical',
      max_prepared_transactions: '5',
      log_connections: 'on',
      log_replication_commands: 'on',
    },
  });
  const tables = ['create table news (id int primary key)', 'create table twophase (id int primary key)'];
  await query(
    atPublisher(),
    ...tables,
    'create publication pub for table news',
    'insert into news values (1)',
  );
  await query(atPublisher(), 'create publication pub2 for table twophase');
  const at = publisher.url().replace(/^.*host=([^&]+)&port=(\d+)$/, (_all, host, port) => {
    return `host=${decodeURIComponent(host)} port=${port} user=postgres dbname=postgres`;
  });
  publisher.own(scratch.path);
  world = await World.make(
    [
      ...tables,
      `create subscription live connection '${at}' publication pub`,
      `create subscription prepared connection '${at}' publication pub2 with (two_phase = true)`,
      `create subscription resting connection '${at}' publication pub2 with (enabled = false, create_slot = true, connect = true)`,
      'create publication mine for all tables',
      `select pg_create_logical_replication_slot('cdc', 'pgoutput')`,
      `select pg_create_physical_replication_slot('standby', true)`,
      `alter system set primary_conninfo = '${at.replaceAll("'", "''")}'`,
      `alter system set max_logical_replication_workers = 8`,
      'create role app login',
      `alter role app set session_preload_libraries = 'not_there'`,
      `alter database postgres set cron.launch_active_jobs = 'on'`,
      'create schema cron',
      'create table cron.job (jobid int, schedule text, command text, active boolean)',
      `insert into cron.job values (1, '* * * * *', 'delete from news', true)`,
    ],
    {
      parameters: {
        wal_level: 'logical',
        max_prepared_transactions: '5',
        'cron.database_name': 'postgres',
        archive_mode: 'on',
        archive_command: `echo %f >> '${archived}'`,
        synchronous_standby_names: 'standby_of_production',
        synchronous_commit: 'local',
      },
    },
  );
  await waitUntil('production has what was published', async () => (await count(production())) === 1);
  // Until then its worker for two-phase commits begins anew.
  await waitUntil('its subscriptions have settled', async () => {
    const settled = `select bool_and(subtwophasestate <> 'p') from pg_subscription where subenabled`;
    const active = (await slots()).filter(({ active_pid }) => active_pid !== null).length;
    return (await value(production(), settled)) === true && active === 2;
  });
  clone = await world.fork('clone');
});

afterAll(async () => {
  await world[Symbol.asyncDispose]();
  await publisher.stop();
  scratch[Symbol.dispose]();
});

const production = () => world.production.url();
const count = async (url: string) => Number(await value(url, 'select count(*) from news'));

/** Who has connected to the publisher, since a place in its log, other than this test. */
function strangers(since: number): string[] {
  return readFileSync(publisherLog(), 'utf8')
    .slice(since)
    .split('\n')
    .filter((line) => line.includes('connection authorized') && !line.includes(`application_name=${SELF}`));
}

const publisherLog = () => join(publisher.dataDirectory, '..', 'postgres.log');
const logLength = () => readFileSync(publisherLog(), 'utf8').length;
const archivedFiles = () => readFileSync(archived, 'utf8').split('\n').filter(Boolean);

interface SlotOfPublisher {
  slot_name: string;
  active_pid: number | null;
}

const slots = () =>
  query<SlotOfPublisher & Record<string, unknown>>(
    atPublisher(),
    'select slot_name, active_pid from pg_replication_slots order by 1',
  );

/** All that can be told of a clone which does nothing of what production does. */
async function expectQuiet(url: string): Promise<void> {
  const processes = await query<{ backend_type: string }>(
    url,
    'select distinct backend_type from pg_stat_activity',
  );
  const usual = [
    'autovacuum launcher',
    'background writer',
    'checkpointer',
    'client backend',
    'walsender',
    'walwriter',
  ];
  expect(usual).toEqual(expect.arrayContaining(processes.map(({ backend_type }) => backend_type)));
  expect(await query(url, 'select slot_name from pg_replication_slots')).toEqual([{ slot_name: 'offshoot' }]);
  expect(await query(url, 'select pid from pg_stat_subscription where pid is not null')).toEqual([]);
  const settings = [
    'archive_mode',
    'primary_conninfo',
    'synchronous_standby_names',
    'max_logical_replication_workers',
    'shared_preload_libraries',
  ];
  const rows = await query<{ name: string; setting: string }>(
    url,
    `select name, setting from pg_settings where name in (${settings.map((name) => `'${name}'`)})`,
  );
  expect(Object.fromEntries(rows.map(({ name, setting }) => [name, setting]))).toEqual({
    archive_mode: 'off',
    primary_conninfo: '',
    synchronous_standby_names: 'offshoot',
    max_logical_replication_workers: '0',
    shared_preload_libraries: '',
  });
  expect(await value(url, `select current_setting('cron.database_name', true)`)).toBeNull();
}

describe('a clone of a production that subscribes, publishes, archives and has standbys', () => {
  test('does none of it, and can be written to', async () => {
    const log = logLength();
    const before = await slots();
    expect(before.map(({ slot_name }) => slot_name)).toEqual(['live', 'prepared', 'resting']);
    await expectQuiet(clone);
    await query(clone, 'insert into news values (1000)', 'checkpoint', 'select pg_switch_wal()');
    // What is published goes to production and not to the clone.
    await query(atPublisher(), 'insert into news values (2)');
    await waitUntil('production has it', async () => (await count(production())) === 2);
    expect((await query(clone, 'select id from news order by id')).map(({ id }) => id)).toEqual([1, 1000]);
    expect(await slots()).toEqual(before);
    expect(strangers(log)).toEqual([]);
  });

  test('archives nothing', async () => {
    const before = archivedFiles().length;
    await query(clone, 'insert into news values (1001)', 'select pg_switch_wal()', 'checkpoint');
    await query(production(), 'create table filled (id int)', 'select pg_switch_wal()');
    await waitUntil('production has archived its own', () => archivedFiles().length > before);
    expect(archivedFiles().length).toBe(before + 1);
    expect(await value(clone, 'select archived_count + failed_count from pg_stat_archiver')).toBe('0');
  });

  test('has its tables of jobs and its settings as data', async () => {
    expect(await value(clone, 'select command from cron.job')).toBe('delete from news');
    expect(await value(clone, `select count(*)::int from pg_db_role_setting`)).toBe(2);
  });

  test('is as quiet after it slept, and so is a branch of it', async () => {
    const log = logLength();
    const before = await slots();
    await world.client.stopCompute('clone');
    await world.client.startCompute('clone');
    clone = await world.url('clone');
    const child = await world.fork('child-of-clone', { from: 'clone' });
    for (const url of [clone, child]) {
      await expectQuiet(url);
      await query(url, 'insert into news values (2000)');
    }
    expect(await slots()).toEqual(before);
    expect(strangers(log)).toEqual([]);
  });
});

describe('what is done by hand on a clone with production’s subscriptions', () => {
  test('reaches no publisher', async () => {
    const log = logLength();
    const before = await slots();
    for (const [statement, why] of [
      ['alter subscription live enable', /does not have a slot name/],
      ['alter subscription live refresh publication', /disabled|could not connect/],
      ['alter subscription live disable', undefined],
      ['drop subscription resting', undefined],
      ['drop subscription live', undefined],
    ] as const) {
      const done = query(clone, statement);
      if (why === undefined) await done;
      else await expect(done, statement).rejects.toThrow(why);
    }
    // The one of `resting` is in nobody's use: whoever asked the publisher could have dropped it.
    expect(await slots()).toEqual(before);
    expect(strangers(log)).toEqual([]);
    expect(await value(production(), 'select count(*)::int from pg_subscription')).toBe(3);
  });

  test('shows no connection string of production’s', async () => {
    const known = await value(clone, `select string_agg(subconninfo, ' ') from pg_subscription`);
    expect(known).toBe('host=/subscriptions-do-not-run-on-branches');
  });

  test('cannot start workers, though they are turned on there', async () => {
    const log = logLength();
    const own = (await value(
      production(),
      `select subconninfo from pg_subscription where subname = 'live'`,
    )) as string;
    await query(
      clone,
      `create subscription own connection '${own.replaceAll("'", "''")}' publication pub with (connect = false, slot_name = 'live')`,
      'alter subscription own enable',
      'alter system set max_logical_replication_workers = 4',
      'select pg_reload_conf()',
    );
    await expectQuiet(clone);
    await query(clone, 'alter subscription own disable', 'alter subscription own set (slot_name = none)');
    expect(strangers(log)).toEqual([]);
  });
});

test('a clone starts where a session of production loads a library that is not here', async () => {
  const without = `${production()}&options=${encodeURIComponent('-c session_preload_libraries=')}`;
  const of = 'alter role postgres';
  const [row] = await query<{ lsn: string }>(
    without,
    `${of} set session_preload_libraries = 'not_there'`,
    'select pg_current_wal_lsn()::text as lsn',
  );
  await waitUntil('it has arrived', async () => {
    const { last_record_lsn: lsn } = await world.client.tenant('prod');
    return parseLsn(lsn ?? '0/0') >= parseLsn(row?.lsn ?? '');
  });
  const { branch } = await world.client.createBranch({ name: 'with-library', from: 'prod' });
  await query(without, `${of} reset session_preload_libraries`);
  await world.client.startCompute(branch.name);
  const url = `${await world.url(branch.name)}&options=${encodeURIComponent('-c session_preload_libraries=')}`;
  await query(url, 'insert into news values (3000)');
  await world.client.stopCompute(branch.name);
});
