import { parseLsn } from '@offshoot/types';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { postgresUnder } from '../fixture/processes.js';
import { query, value, withDatabase } from '../fixture/query.js';
import { waitUntil } from '../fixture/wait-until.js';
import { World } from '../fixture/world.js';

let world: World;

beforeAll(async () => {
  world = await World.make([
    // Nobody can rename itself.
    'create role other login superuser',
    'create role copier login replication',
    'create database elsewhere',
    'create table notes (id int)',
    'insert into notes values (1)',
  ]);
});

afterAll(async () => world[Symbol.asyncDispose]());

const asUser = (url: string, user: string) => url.replace(/\/\/[^/@]*@/, `//${user}@`);

const names = 'select string_agg(rolname, $$ $$ order by oid) from pg_roles where rolsuper';

describe('the superuser that initdb made gets another name', () => {
  test('on a branch, which goes on, has children, sleeps and wakes', async () => {
    const url = await world.fork('renamed');
    const other = asUser(url, 'other');
    // With a row moved to another page, in a file of another name.
    await query(other, 'vacuum full pg_authid', 'alter role postgres rename to root');
    await query(other, 'alter role other nologin');
    const root = asUser(url, 'root');
    await query(root, 'insert into notes values (2)');
    expect(await value(root, names)).toBe('root other');

    await world.client.createBranch({ name: 'child-of-renamed', from: 'renamed' });
    await world.client.startCompute('child-of-renamed');
    const child = await world.url('child-of-renamed');
    expect(child).toContain('//root@');
    expect(await value(child, 'select count(*)::int from notes')).toBe(2);

    await world.client.stopCompute('renamed');
    await world.client.startCompute('renamed');
    expect(await value(await world.url('renamed'), 'select count(*)::int from notes')).toBe(2);
  });

  test('on a branch whose compute is killed', async () => {
    const url = await world.fork('killed');
    await query(asUser(url, 'other'), 'alter role postgres rename to root', 'alter role other nologin');
    const { id } = await world.client.startCompute('killed');
    for (const pid of postgresUnder(id)) process.kill(pid, 'SIGKILL');
    await waitUntil('it is gone', async () => (await world.client.branch('killed')).compute === 'crashed');
    await world.client.startCompute('killed');
    expect(await value(await world.url('killed'), names)).toBe('root other');
  });

  test('no superuser may log in any more: a role that may do replication does', async () => {
    const url = await world.fork('locked');
    await query(url, 'alter role other nologin', 'alter role postgres nologin');
    await world.client.createBranch({ name: 'child-of-locked', from: 'locked' });
    await world.client.stopCompute('locked');
    for (const name of ['locked', 'child-of-locked']) {
      await world.client.startCompute(name);
      const user = await value(await world.url(name), 'select current_user::text');
      expect(user).toBe('copier');
    }
  });

  test('in a transaction that is given up', async () => {
    const url = await world.fork('given-up');
    await query(asUser(url, 'other'), 'begin', 'alter role postgres rename to root', 'rollback');
    await world.client.stopCompute('given-up');
    await world.client.startCompute('given-up');
    expect(await value(await world.url('given-up'), names)).toBe('postgres other');
  });

  test('on production, after it was imported', async () => {
    const production = asUser(world.production.url(), 'other');
    const [row] = await query<{ lsn: string }>(
      production,
      'alter role postgres rename to root',
      'select pg_current_wal_lsn()::text as lsn',
    );
    await waitUntil('it has arrived', async () => {
      const { last_record_lsn: lsn } = await world.client.tenant('prod');
      return parseLsn(lsn ?? '0/0') >= parseLsn(row?.lsn ?? '');
    });
    try {
      const url = await world.fork('of-renamed');
      expect(await value(url, names)).toBe('root other');
      // Production's own state, which a standby shows.
      await world.client.startCompute('prod');
      expect(await value(await world.url('prod'), 'select current_user::text')).toBe('root');
    } finally {
      await query(production, 'alter role root rename to postgres');
    }
  });
});

test('the database that is asked is dropped while its compute runs', async () => {
  const url = await world.fork('dropped');
  await query(withDatabase(url, 'elsewhere'), 'drop database postgres with (force)');
  await world.client.createBranch({ name: 'child-of-dropped', from: 'dropped' });
  await world.client.startCompute('child-of-dropped');
  const child = await world.url('child-of-dropped');
  // Nothing is left of what is usually there.
  await query(
    withDatabase(child, 'elsewhere'),
    'alter database template1 is_template false',
    'drop database template1',
  );
  await world.client.stopCompute('child-of-dropped');
  await world.client.startCompute('child-of-dropped');
  const left = await world.url('child-of-dropped');
  expect(await value(left, 'select string_agg(datname, $$ $$ order by datname) from pg_database')).toBe(
    'elsewhere template0',
  );
});
