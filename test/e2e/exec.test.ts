import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ctl, runCommand } from '../fixture/command-line.js';
import { query, value } from '../fixture/query.js';
import { waitUntil } from '../fixture/wait-until.js';
import { World } from '../fixture/world.js';

const bin = new URL('../../packages/ctl/bin/pageserver-ctl.js', import.meta.url).pathname;
/** Asks what DATABASE_URL leads to, as node-postgres reads it. */
const ASK = `
  import pg from '${createRequire(import.meta.url).resolve('pg')}';
  const client = new pg.Client({ connectionString: process.env.DATABASE_URL });
  await client.connect();
  const { rows } = await client.query(process.argv[1]);
  console.log(JSON.stringify({ rows, branch: process.env.OFFSHOOT_BRANCH, user: process.env.PGUSER }));
  await client.end();`;
const asking = (statement: string) => [process.execPath, '--input-type=module', '-e', ASK, statement];

let world: World;

beforeAll(async () => {
  world = await World.make([
    'create table notes (id int)',
    'insert into notes values (1)',
    'create database shop',
  ]);
  await world.client.createBranch({ name: 'try-1', from: 'prod' });
});

afterAll(async () => world[Symbol.asyncDispose]());

const exec = (...args: string[]) => ctl(world.data, 'exec', ...args);

describe('exec', () => {
  test('gives a sleeping branch to a command, as its user may have it', async () => {
    const { code, stdout } = await exec('try-1', '--', ...asking('select count(*)::int from notes'));
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ rows: [{ count: 1 }], branch: 'try-1' });
    const shop = await exec('try-1', '--database', 'shop', '--', ...asking('select current_database()'));
    expect(JSON.parse(shop.stdout).rows).toEqual([{ current_database: 'shop' }]);
  });

  test('goes by the gateway with a password of the caller', async () => {
    const args = ['--data', world.data, 'exec', 'try-1', '--user', 'postgres', '--'];
    const ask = asking(`select inet_client_addr() is not null as far`);
    const right = { PGPASSWORD: world.production.password };
    const { stdout } = await runCommand(process.execPath, [bin, ...args, ...ask], { env: right });
    expect(JSON.parse(stdout).rows).toEqual([{ far: true }]);
    const wrong = await runCommand(process.execPath, [bin, ...args, ...ask], { env: { PGPASSWORD: 'x' } });
    expect(wrong.code).toBe(1);
    expect(wrong.stderr).toContain('password authentication failed');
  });

  test('makes a branch with a role of its own, and throws it away', async () => {
    const made = ['--create', '--from', 'try-1', '--destroy', '--'];
    const { code, stdout } = await exec(
      'once',
      ...made,
      ...asking('select current_user, inet_client_addr() is null as near'),
    );
    expect(code).toBe(0);
    const { rows, user } = JSON.parse(stdout);
    expect(rows).toEqual([{ current_user: user, near: false }]);
    expect(user).toMatch(/^once_/);
    await expect(world.client.branch('once')).rejects.toMatchObject({ code: 'branch_not_found' });
  });

  test('ends as the command does, and destroys even so', async () => {
    for (const [name, command, code] of [
      ['fails', ['sh', '-c', 'exit 7'], 7],
      ['killed', ['sh', '-c', 'kill -9 $$'], 137],
      ['missing', [join(world.scratch.path, 'nowhere')], 127],
      ['no-program', [world.scratch.path], 126],
    ] as const) {
      const ended = await exec(name, '--create', '--from', 'prod', '--destroy', '--', ...command);
      expect([name, ended.code]).toEqual([name, code]);
      await expect(world.client.branch(name)).rejects.toMatchObject({ code: 'branch_not_found' });
    }
  });

  test('hands signals on, and cleans up after the command', async () => {
    const mark = join(world.scratch.path, 'started');
    const script = `trap 'exit 5' TERM; touch ${mark}; while true; do sleep 0.1; done`;
    const args = ['--data', world.data, 'exec', 'signalled', '--create', '--from', 'prod', '--destroy'];
    const child = spawn(process.execPath, [bin, ...args, '--', 'sh', '-c', script], { stdio: 'ignore' });
    await waitUntil('it runs', async () => existsSync(mark));
    child.kill('SIGTERM');
    const [code] = await once(child, 'exit');
    expect(code).toBe(5);
    await expect(world.client.branch('signalled')).rejects.toMatchObject({ code: 'branch_not_found' });
  });

  test('says what is wrong', async () => {
    expect(await exec('nobody', '--', 'true')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('nobody'),
    });
    expect((await exec('try-1')).code).toBe(2);
    expect(await exec('try-1', '--from', 'prod', '--', 'true')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--create'),
    });
    const taken = await exec('try-1', '--create', '--from', 'prod', '--destroy', '--', 'true');
    expect(taken).toMatchObject({ code: 1, stderr: expect.stringContaining('try-1') });
    // What is not ours is not destroyed.
    expect((await world.client.branch('try-1')).name).toBe('try-1');
  });
});

test.each([['branch', 'create'], ['fork'], ['clone']])(
  '%s %s prints a URL that works at once',
  async (...words) => {
    const name = `by-${words.join('-')}`;
    const { code, stdout } = await ctl(world.data, ...words, name, '--from', 'prod', '--print-url');
    expect(code).toBe(0);
    expect(stdout.trim().split('\n')).toHaveLength(1);
    expect(await value(stdout.trim(), 'select count(*)::int from notes')).toBe(1);
  },
);

describe('psql', () => {
  /** Stands for psql: prints its arguments. */
  const psql = ['--psql', process.execPath];

  test('gets the URL and its own arguments', async () => {
    const { code, stderr } = await ctl(world.data, 'psql', 'try-1', ...psql, '--', '-x');
    // Node.js takes the URL for a program.
    expect(code).toBe(1);
    expect(stderr).toMatch(/postgresql:.*postgres/);
  });

  test('says how to go on without it', async () => {
    const missing = await ctl(world.data, 'psql', 'try-1', '--psql', '/nowhere/psql');
    expect(missing).toMatchObject({ code: 127, stderr: expect.stringMatching(/not found[\s\S]*install it/) });
  });

  test('reads production, and no more', async () => {
    const ask = asking('create table x ()');
    const { stderr, code } = await exec('prod', '--', ...ask);
    expect(code).toBe(1);
    expect(stderr).toContain('read-only');
    expect(await value(await world.url('prod'), 'select count(*)::int from notes')).toBe(1);
  });
});

describe('doctor', () => {
  const states = (checks: { name: string; state: string }[]) =>
    Object.fromEntries(checks.map(({ name, state }) => [name, state]));

  test('finds nothing in the way at a source that can be imported', async () => {
    const { code, stdout } = await ctl(world.data, 'doctor', '--source', world.production.url(), '--json');
    const { machine, source } = JSON.parse(stdout);
    expect([code, Object.values(states(source)).includes('failed')]).toEqual([0, false]);
    expect(states(source)).toMatchObject({ replication: 'ok', sql: 'ok', version: 'ok', role: 'ok' });
    // Postgres' default has no limit, and it is said how there is one.
    expect(states(source).slot_limit).toBe('warning');
    expect(states(machine)).toMatchObject({ disk: expect.anything(), open_files: expect.anything() });
    expect((await ctl(world.data, 'doctor')).stdout).toContain('This machine');
  });

  test('says what is in the way, and prints what mends it', async () => {
    await query(world.production.url(), `create role reader login password 'of reader'`);
    const url = world.production.url().replace(/\/\/[^/]*@/, '//reader:of%20reader@');
    const { code, stdout } = await ctl(world.data, 'doctor', '--source', url, '--print-sql');
    expect(code).toBe(1);
    expect(stdout).toContain('ALTER ROLE "reader" REPLICATION;');
    expect(await ctl(world.data, 'doctor', '--source', 'mysql://x')).toMatchObject({ code: 1 });
    expect((await ctl(world.data, 'doctor', '--print-sql')).code).toBe(2);
  });
});
