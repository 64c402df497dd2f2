import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Credentials } from '@offshoot/client';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ctl } from '../fixture/command-line.js';
import { DaemonProcess } from '../fixture/daemon-process.js';
import { query, value, withDatabase } from '../fixture/query.js';
import { World, withPassword } from '../fixture/world.js';

let world: World;

beforeAll(async () => {
  world = await World.make([
    `create role owner_role nologin`,
    `create role app login password 'of production'`,
    `create role deploy login createrole password 'of production, too'`,
    `create role reader login password 'of production, three'`,
    'grant pg_read_all_data to reader',
    // Owned by a superuser, by a role without a password, and by one that can make roles.
    'create table by_superuser (id int primary key, kind text)',
    'insert into by_superuser select n from generate_series(1, 100) n',
    'create view seen as select * from by_superuser where id < 10',
    `create type mood as enum ('good')`,
    `create function twice(n int) returns int language sql as 'select 2 * n'`,
    'create schema inner_schema authorization owner_role',
    'create table inner_schema.by_owner (id int)',
    'alter table inner_schema.by_owner owner to owner_role',
    'create table by_deploy (id int)',
    'alter table by_deploy owner to deploy',
    'create table guarded (id int)',
    'insert into guarded values (1)',
    'alter table guarded enable row level security',
    'create database second owner owner_role',
    'revoke connect on database second from public',
    'create database audited',
  ]);
  // What runs as a superuser there, and comes upon tables and functions that a branch's role is given.
  await query(
    withDatabase(world.production.url(), 'audited'),
    'create table ddl_log (tag text)',
    `create function log_ddl() returns event_trigger language plpgsql as
       'begin insert into public.ddl_log values (tg_tag); end'`,
    'create event trigger audit on ddl_command_end execute function log_ddl()',
    'create table visits (n int)',
    `create function visit() returns void language sql security definer as 'insert into public.visits values (1)'`,
  );
});

afterAll(async () => world[Symbol.asyncDispose]());

async function branch(
  name: string,
  {
    from = 'prod',
    role = {},
    at = 'latest',
  }: { from?: string; role?: { name?: string; rights?: 'superuser' }; at?: string } = {},
) {
  const { credentials } = await world.client.createBranch({ name, from, role, at });
  if (credentials?.connection_string === undefined) throw new Error('no credentials');
  return { ...credentials, url: credentials.connection_string };
}

const badPassword = { code: '28P01' };

describe('a branch’s own role', () => {
  test('works before the branch ever had a compute, and outlives sleep', async () => {
    const { url, role, password } = await branch('first');
    expect((await world.client.branch('first')).compute).toBe('stopped');
    expect(password).toMatch(/^[\w-]{32}$/);
    expect(role).toMatch(/^first_[0-9a-f]{6}$/);
    expect(url).toMatch(new RegExp(`^postgresql://${role}:${password}@127.0.0.1:\\d+/postgres@first$`));
    expect(await value(url, 'select current_user::text')).toBe(role);
    await expect(query(withPassword(url, 'wrong'), 'select')).rejects.toMatchObject(badPassword);
    await query(url, 'create table mine (id int)');
    await world.client.stopCompute('first');
    expect(await value(url, `select tableowner::text from pg_tables where tablename = 'mine'`)).toBe(role);
    expect(await world.client.connectionString('first')).toMatchObject({ user: role });
  });

  test('migrates whatever is there, whoever owned it', async () => {
    // The name needs quoting wherever it stands.
    const name = `Agent "7" o'neil@x`;
    const { url, role } = await branch('migrated', { role: { name } });
    expect([role, await value(url, 'select current_user::text')]).toEqual([name, name]);
    await query(
      url,
      `alter table by_superuser add column note text default 'x'`,
      'create index on by_superuser (note)',
      'update by_superuser set note = id::text',
      'create or replace view seen as select *, 1 as one from by_superuser',
      `alter type mood add value 'bad'`,
      'drop function twice(int)',
      'create function twice(n int) returns bigint language sql as $$ select 2::bigint * n $$',
      'alter table inner_schema.by_owner add column more int',
      'drop table by_deploy',
      'create schema made_here',
      'create table public.made_here (id int)',
      'create extension pgcrypto',
      'create database shadow',
      'drop database shadow',
      'set role app',
    );
    expect(await value(url, 'select count(*)::int from guarded')).toBe(1);
    const second = url.replace('/postgres@', '/second@');
    await query(second, 'create table there (id int)');
    // What production's roles own stays theirs.
    const owner = `select tableowner::text from pg_tables where tablename = 'by_owner'`;
    expect(await value(url, owner)).toBe('owner_role');
  });

  test('does not get out of the database, nor at production’s passwords', async () => {
    const { url, role } = await branch('contained');
    expect(await value(url, 'select rolsuper from pg_roles where rolname = current_user')).toBe(false);
    for (const forbidden of [
      'select rolpassword from pg_authid',
      `copy by_superuser to program 'true'`,
      `select pg_read_file('pg_hba.conf')`,
      'create role another',
      'set role postgres',
      'set role deploy',
      'set role reader',
      `alter role ${role} superuser`,
      `alter role app password 'x'`,
      `comment on role ${role} is 'of nobody'`,
      'alter system set work_mem = 1024',
    ]) {
      await expect(query(url, forbidden), forbidden).rejects.toMatchObject({ code: '42501' });
    }
  });

  test('does not come upon a superuser by what production’s superusers left there', async () => {
    const made = await branch('escalates', { at: 'now' });
    const url = withDatabase(made.url, 'audited@escalates');
    const evil = `begin if (select rolsuper from pg_roles where rolname = current_user)
      then alter role ${made.role} superuser; end if; return`;
    await query(
      url,
      // By the event trigger, which the script of a trusted extension fires as a superuser.
      `create or replace function log_ddl() returns event_trigger language plpgsql as $$ ${evil}; end $$`,
      `create function on_write() returns trigger language plpgsql as $$ ${evil} new; end $$`,
      'create trigger t before insert on ddl_log for each row execute function on_write()',
      'create extension hstore',
      // By a function that ran with a superuser's rights.
      'create trigger t before insert on visits for each row execute function on_write()',
      'select visit()',
    );
    expect(await value(url, 'select count(*)::int from visits')).toBe(1);
    expect(await value(url, 'select rolsuper from pg_roles where rolname = current_user')).toBe(false);
    // Nor by what is done for it: a role is taken away, and made anew.
    await world.client.deleteRole('escalates');
    const { credentials } = await world.client.createRole('escalates');
    const again = withDatabase(credentials.connection_string ?? '', 'audited@escalates');
    expect(await value(again, 'select count(*)::int from pg_roles where rolsuper')).toBe(1);
  });

  test('gets a new password at once: the old one is refused, open sessions go on', async () => {
    const first = await branch('rotated');
    const open = new pg.Client({ connectionString: first.url });
    await open.connect();
    const { credentials } = await world.client.rotatePassword('rotated');
    await expect(query(first.url, 'select')).rejects.toMatchObject(badPassword);
    expect(await value(credentials.connection_string ?? '', 'select current_user::text')).toBe(first.role);
    await open.query('select');
    const ended = new Promise((resolve) => open.once('end', resolve));
    open.on('error', () => {});
    const third = await world.client.rotatePassword('rotated', { sessions: 'end' });
    await ended;
    // While it sleeps, too.
    await world.client.stopCompute('rotated');
    const fourth = await world.client.rotatePassword('rotated');
    await expect(query(url(third.credentials), 'select')).rejects.toMatchObject(badPassword);
    await query(url(fourth.credentials), 'select');
  });

  test('can be removed, and made again for a branch that runs', async () => {
    const first = await branch('removed');
    await query(first.url, 'create table mine (id int)');
    const open = new pg.Client({ connectionString: first.url });
    open.on('error', () => {});
    await open.connect();
    const ended = new Promise((resolve) => open.once('end', resolve));
    expect((await world.client.deleteRole('removed')).role).toBeUndefined();
    await ended;
    await expect(query(first.url, 'select')).rejects.toMatchObject({ code: /28000|28P01/ });
    await expect(world.client.rotatePassword('removed')).rejects.toMatchObject({
      code: 'branch_role_absent',
    });
    // Of the same name as before: it has what it made, and what others made since.
    await query(await world.url('removed'), 'create table of_superuser (id int)');
    const { credentials } = await world.client.createRole('removed', { name: first.role });
    await query(url(credentials), 'alter table mine add column more int', 'drop table of_superuser');
    await expect(world.client.createRole('removed')).rejects.toMatchObject({ code: 'branch_role_exists' });
  });

  test('cannot take the name of a role that came with the data', async () => {
    const taken = { code: 'role_name_taken', message: expect.stringContaining('has a role app already') };
    await expect(branch('refused', { role: { name: 'app' } })).rejects.toMatchObject(taken);
    await expect(world.client.branch('refused')).rejects.toMatchObject({ code: 'branch_not_found' });
    await world.client.createBranch({ name: 'collides', from: 'prod' });
    const collides = () => world.client.createRole('collides', { name: 'app' });
    await expect(collides()).rejects.toMatchObject(taken);
    await world.client.startCompute('collides');
    await expect(collides()).rejects.toMatchObject(taken);
    expect((await world.client.branch('collides')).role).toBeUndefined();
    // Production's is as it was.
    const asApp = withPassword(
      (await world.client.connectionString('collides', { user: 'app' })).url,
      'of production',
    );
    expect(await value(asApp, 'select current_user::text')).toBe('app');
  });

  test('may be called as one that is gone, or another branch’s', async () => {
    const production = world.production.url();
    await query(production, 'create role passing', 'drop role passing', 'create role before');
    await query(production, 'alter role before rename to after');
    for (const name of ['passing', 'before']) {
      const { url } = await branch(`gone-${name}`, { at: 'now', role: { name } });
      expect(await value(url, 'select current_user::text')).toBe(name);
    }
    await expect(branch('renamed', { at: 'now', role: { name: 'after' } })).rejects.toMatchObject({
      code: 'role_name_taken',
    });
    await query(production, 'drop role after');
    const parent = await branch('has-shared', { role: { name: 'shared' } });
    await query(parent.url, 'create table of_shared (id int)');
    const child = await branch('shares', { from: 'has-shared', role: { name: 'shared' } });
    await query(child.url, 'drop table of_shared');
    await world.client.deleteRole('shares');
    await world.client.createRole('shares', { name: 'shared' });
    const anew = await branch('of-shares', { from: 'shares', role: { name: 'shared' } });
    expect(await value(anew.url, 'select current_user::text')).toBe('shared');
  });

  test('is refused when its name is none', async () => {
    for (const name of ['pg_agent', 'public', ' ', 'caf\u00e9']) {
      const refused = world.client.createBranch({ name: 'bad-role', from: 'prod', role: { name } });
      await expect(refused, name).rejects.toMatchObject({ code: 'invalid_argument' });
    }
    await expect(world.client.branch('bad-role')).rejects.toMatchObject({ code: 'branch_not_found' });
  });
});

describe('parent and child', () => {
  test('do not take each other’s', async () => {
    const parent = await branch('parent');
    await query(parent.url, 'create table of_parent (id int)');
    const child = await branch('child', { from: 'parent' });
    await world.client.createBranch({ name: 'plain-child', from: 'parent' });
    for (const name of ['child', 'plain-child']) {
      const there = parent.url.replace('@parent', `@${name}`);
      await expect(query(there, 'select')).rejects.toMatchObject(badPassword);
    }
    await expect(query(child.url.replace('@child', '@parent'), 'select')).rejects.toMatchObject(badPassword);
    // It has what the parent's role made.
    await query(child.url, 'alter table of_parent add column more int', 'create table public.more (id int)');
    await query(parent.url, 'select');
  });

  test('nor when they are called the same, or were superusers', async () => {
    const parent = await branch('parent-of-namesake', { role: { name: 'agent', rights: 'superuser' } });
    await query(parent.url, 'create table of_parent (id int)', 'select rolpassword from pg_authid');
    expect((await world.client.branch('parent-of-namesake')).role).toMatchObject({ rights: 'superuser' });
    const child = await branch('namesake', { from: 'parent-of-namesake', role: { name: 'agent' } });
    const there = parent.url.replace('@parent-of-namesake', '@namesake');
    await expect(query(there, 'select')).rejects.toMatchObject(badPassword);
    await query(child.url, 'alter table of_parent add column more int');
    expect(await value(child.url, `select rolsuper from pg_roles where rolname = 'agent'`)).toBe(false);
    const grandchild = await branch('grandchild', { from: 'namesake', role: { name: 'other' } });
    const left = `select rolcanlogin or rolsuper as yes from pg_roles where rolname = 'agent'`;
    expect(await value(grandchild.url, left)).toBe(false);
  });
});

describe('the daemon', () => {
  test('killed with a role that no compute knows yet, makes it at the next start', async () => {
    const { url: before } = await branch('killed');
    await query(before, 'select');
    const { credentials } = await world.client.rotatePassword('killed');
    const fresh = await branch('killed-fresh');
    await world.daemon.end('SIGKILL');
    world.daemon = await DaemonProcess.start(world.data);
    const port = new URL((await world.client.connectionString('killed')).url).port;
    const here = (from: string) => from.replace(/:\d+\//, `:${port}/`);
    expect(await value(here(url(credentials)), 'select current_user::text')).toBe(credentials.role);
    await expect(query(here(before), 'select')).rejects.toMatchObject(badPassword);
    expect(await value(here(fresh.url), 'select current_user::text')).toBe(fresh.role);
  });

  test('has the password nowhere', async () => {
    const { url: connect, password } = await branch('unseen');
    await query(connect, 'select');
    const { credentials } = await world.client.rotatePassword('unseen', { sessions: 'end' });
    const branches = JSON.stringify(await world.client.branches());
    expect(branches).not.toContain('SCRAM-SHA-256');
    for (const file of filesOf(world.data)) {
      const bytes = readFileSync(file);
      for (const secret of [password, credentials.password]) expect(bytes.includes(secret), file).toBe(false);
    }
  });
});

test('by the command line', async () => {
  const run = async (...args: string[]) => {
    const { code, stdout, stderr } = await ctl(world.data, ...args);
    expect({ args, code, stderr }).toEqual({ args, code: 0, stderr: '' });
    return stdout;
  };
  const made = await run('branch', 'create', 'by-ctl', '--from', 'prod', '--role');
  const [connect] = /postgresql:\S+/.exec(made) ?? [''];
  expect(await value(connect, 'select current_user::text')).toMatch(/^by_ctl_[0-9a-f]{6}$/);
  expect(await run('branch', 'show', 'by-ctl')).toMatch(/own role +by_ctl_\w+, password of 2/);
  const rotated = JSON.parse(await run('branch', 'role', 'rotate', 'by-ctl', '--end-sessions', '--json'));
  expect(await value(rotated.credentials.connection_string, 'select 1')).toBe(1);
  expect(await run('branch', 'role', 'delete', 'by-ctl')).toMatch(/no role of its own/);
  const again = await run('branch', 'role', 'create', 'by-ctl', 'agent', '--superuser', '--json');
  expect(JSON.parse(again).credentials).toMatchObject({ rights: 'superuser', role: 'agent' });
});

function url({ connection_string: text }: Credentials): string {
  if (text === undefined) throw new Error('no connection string');
  return text;
}

function filesOf(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

test('production is asked for nothing and has none of them', async () => {
  const roles = `select count(*)::int from pg_roles where rolname !~ '^pg_'`;
  expect(await value(world.production.url(), roles)).toBe(5);
});
