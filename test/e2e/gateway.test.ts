import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ctl, runCommand } from '../fixture/command-line.js';
import { DaemonProcess } from '../fixture/daemon-process.js';
import { postgresProgram } from '../fixture/postgres-program.js';
import { query, value } from '../fixture/query.js';
import { ScratchDirectory } from '../fixture/scratch-directory.js';
import { waitUntil } from '../fixture/wait-until.js';
import { World } from '../fixture/world.js';

let world: World;

beforeAll(async () => {
  world = await World.make([
    'create table shop (id int primary key)',
    'insert into shop select generate_series(1, 1000)',
    'create database "odd@name"',
    `create role app login password 'it''s a secret'`,
    'create role bare login superuser',
    'grant select on shop to app',
  ]);
});

afterAll(async () => world[Symbol.asyncDispose]());

/** A new branch without a compute; answers its URL by the gateway, with the superuser's password. */
async function branch(name: string, choice: { database?: string } = {}): Promise<string> {
  await world.client.createBranch({ name, from: 'prod' });
  expect((await world.client.connectionString(name, choice)).via).toBe('gateway');
  return world.gatewayUrl(name, choice);
}

async function counters() {
  const { gateway } = await world.client.status();
  if (gateway === undefined) throw new Error('there is no gateway');
  return gateway;
}

describe('a branch is reached by its name, and wakes for that', () => {
  test('by node-postgres', async () => {
    const url = await branch('by-node');
    expect((await world.client.branch('by-node')).compute).toBe('stopped');
    expect(await value(url, 'select count(*)::int from shop')).toBe(1000);
    expect((await world.client.branch('by-node')).compute).toBe('running');
    await query(url, 'insert into shop values (1001)');
    expect(await value(await world.url('by-node'), 'select count(*)::int from shop')).toBe(1001);
  });

  test.skipIf(postgresProgram('psql') === undefined)(
    'by psql, whatever way the branch is named',
    async () => {
      const url = await branch('by-psql');
      const psql = async (...args: string[]) =>
        runCommand(postgresProgram('psql') ?? '', ['-XAtc', 'select count(*) from shop', ...args]);
      const { host, port, user } = await world.client.connectionString('by-psql');
      const plain = `host=${host} port=${port} user=${user} password=${world.production.password}`;
      for (const target of [
        url,
        url.replace(/@(by-psql)$/, '%40$1'),
        `${url}?sslmode=disable`,
        `${url}?sslmode=require`,
        `${plain} dbname=postgres@by-psql`,
        `${plain} dbname=postgres options=-coffshoot.branch=by-psql`,
        `${plain} dbname=postgres options=--offshoot.branch=by-psql`,
      ]) {
        expect({ target, ...(await psql(target)) }).toEqual({
          target,
          code: 0,
          stdout: '1000\n',
          stderr: '',
        });
      }
      const refused = await psql(`${plain} dbname=postgres`);
      expect(refused.stderr).toMatch(/names no branch\nHINT: .*postgres@try-1/);
    },
  );

  test('in a database whose name has an @', async () => {
    const url = await branch('odd', { database: 'odd@name' });
    expect(await value(url, 'select current_database()')).toBe('odd@name');
  });

  test('by two hundred at once: one wake, and all are served', async () => {
    const url = await branch('by-many');
    const clients = Array.from({ length: 200 }, () => new pg.Client({ connectionString: url }));
    await Promise.all(clients.map((client) => client.connect()));
    // All of them at the same time.
    const answers = await Promise.all(
      clients.map((client) => client.query('select pg_postmaster_start_time()::text as at')),
    );
    expect(new Set(answers.map(({ rows }) => rows[0].at)).size).toBe(1);
    expect(await world.client.branch('by-many')).toMatchObject({
      activity: { state: 'awake', connections: 200, wakes: 1 },
    });
    await Promise.all(clients.map((client) => client.end()));
    await waitUntil('they have left', async () => {
      const { activity } = await world.client.branch('by-many');
      return activity.connections === 0;
    });
  });

  test.each(['postmaster', 'backend'])('again after its %s was killed amid commits', async (victim) => {
    const name = `killed-${victim}`;
    const url = await branch(name);
    const client = new pg.Client({ connectionString: url });
    client.on('error', () => {});
    await client.connect();
    const { rows } = await client.query('select pg_backend_pid() as pid');
    const [compute] = (await world.client.computes()).filter((each) => each.branch === name);
    const postmaster = Number(
      readFileSync(join(dirname(compute?.log_file ?? ''), '..', 'pgdata', 'postmaster.pid'), 'utf8').split(
        '\n',
      )[0],
    );
    let acknowledged = 2000;
    const writing = (async () => {
      for (let id = 2001; ; id += 1) {
        await client.query('insert into shop values ($1)', [id]);
        acknowledged = id;
      }
    })();
    const broken = expect(writing).rejects.toThrow();
    await waitUntil('there are commits', async () => acknowledged > 2050);
    process.kill(victim === 'backend' ? rows[0].pid : postmaster, 'SIGKILL');
    await broken;
    // At once: the next one waits for the wake and hears nothing of the crash.
    const seen = Number(await value(url, 'select max(id) from shop'));
    // The one that was not answered may be there.
    expect([acknowledged, acknowledged + 1]).toContain(seen);
    expect(await value(url, 'select count(*)::int from shop')).toBe(1000 + seen - 2000);
    expect((await world.client.branch(name)).activity.wakes).toBe(2);
  });
});

describe('a role', () => {
  test.each(['disable', 'require'])(
    'logs in with the password that the clone inherited, sslmode=%s',
    async (sslmode) => {
      const name = `login-${sslmode}`;
      await branch(name);
      const { host, port } = await world.client.connectionString(name);
      const app = { host, port, user: 'app', password: "it's a secret", database: `postgres@${name}` };
      const client = new pg.Client({
        ...app,
        ssl: sslmode === 'require' ? { rejectUnauthorized: false } : false,
      });
      await client.connect();
      expect(
        (await client.query('select current_user as who, count(*)::int as n from shop group by 1')).rows,
      ).toEqual([{ who: 'app', n: 1000 }]);
      await client.end();
      expect((await world.client.branch(name)).activity).toMatchObject({ state: 'awake', wakes: 1 });
      if (postgresProgram('psql') === undefined) return;
      await world.client.stopCompute(name);
      const url = `postgresql://app@${host}:${port}/postgres@${name}?sslmode=${sslmode}`;
      const env = { PGPASSWORD: "it's a secret" };
      const told = await runCommand(postgresProgram('psql') ?? '', ['-XAtc', 'select current_user', url], {
        env,
      });
      expect(told).toEqual({ code: 0, stdout: 'app\n', stderr: '' });
      expect((await world.client.branch(name)).activity.wakes).toBe(2);
    },
  );

  test('with a wrong password, or none, hears so from Postgres', async () => {
    await branch('locked');
    const { host, port } = await world.client.connectionString('locked');
    const login = (user: string, password: string) =>
      query(`postgresql://${user}:${password}@${host}:${port}/postgres@locked`, 'select 1');
    const before = (await counters()).refused.compute ?? 0;
    for (const [user, password] of [
      ['app', 'wrong'],
      ['bare', 'x'],
      ['nobody', 'x'],
    ] as const) {
      await expect(login(user, password)).rejects.toMatchObject({ code: '28P01', severity: 'FATAL' });
    }
    // The client may hear of it a moment earlier.
    await waitUntil('they are counted', async () => (await counters()).refused.compute === before + 3);
    // As the documents say.
    await query(await world.url('locked'), `alter role bare password 'given'`);
    await login('bare', 'given');
  });
});

describe('refused', () => {
  test('a branch that does not exist', async () => {
    const url = (await branch('known')).replace('@known', '@unknown');
    await expect(query(url, 'select 1')).rejects.toMatchObject({ code: '3D000', severity: 'FATAL' });
  });

  test('a branch that was deleted, whose connections end', async () => {
    const url = await branch('deleted');
    const client = new pg.Client({ connectionString: url });
    client.on('error', () => {});
    await client.connect();
    const ended = new Promise<void>((resolve) => client.once('end', resolve));
    await world.client.deleteBranch('deleted');
    await ended;
    await expect(query(url, 'select 1')).rejects.toMatchObject({ code: '3D000' });
  });
});

describe('pageserver-ctl', () => {
  test('connection-string: by the gateway, or with --socket', async () => {
    await branch('told');
    const { host, port } = await counters();
    const gateway = await ctl(world.data, 'connection-string', 'told');
    expect(gateway).toEqual({
      code: 0,
      stdout: `postgresql://postgres@${host}:${port}/postgres@told\n`,
      stderr: '',
    });
    expect((await ctl(world.data, 'connection-string', 'told', '--socket')).stderr).toContain(
      'no compute is running',
    );
    await world.client.startCompute('told');
    expect((await ctl(world.data, 'connection-string', 'told', '--socket')).stdout).toMatch(/\?host=%2F/);
  });

  test('status', async () => {
    const { port } = await counters();
    expect((await ctl(world.data, 'status')).stdout).toMatch(
      new RegExp(`^gateway +127\\.0\\.0\\.1:${port} \\(TLS allow\\): \\d+ connections`, 'm'),
    );
    expect(world.daemon.facts).toMatchObject({ gateway: `127.0.0.1:${port}` });
  });
});

describe('the daemon', () => {
  test('ends sessions with their computes, and does not wait for clients', async () => {
    await using own = await World.make([]);
    await own.client.createBranch({ name: 'a', from: 'prod' });
    const url = await own.gatewayUrl('a');
    const client = new pg.Client({ connectionString: url });
    client.on('error', () => {});
    await client.connect();
    // A client that says nothing and one that sleeps.
    const { host, port } = await own.client.connectionString('a');
    const script = `require('net').connect(${port}, '${host}', () => console.log('connected')).resume()`;
    const silent = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    // It may end before the daemon has.
    const silentEnds = once(silent, 'exit');
    await once(silent.stdout, 'data');
    const asleep = expect(client.query('select pg_sleep(60)')).rejects.toMatchObject({ code: '57P01' });
    expect(await own.daemon.end('SIGTERM')).toBe(0);
    await asleep;
    expect(await silentEnds).toEqual([0, null]);
  });

  test('tells Prometheus of connections and wakes', async () => {
    await query(await branch('counted'), 'select 1');
    const headers = { authorization: `Bearer ${world.daemon.token}` };
    const text = await (await fetch(`${world.daemon.facts.api_url}/metrics`, { headers })).text();
    const seen = (name: string) => Number(new RegExp(`^${name} (.*)$`, 'm').exec(text)?.[1]);
    for (const name of [
      'offshoot_gateway_connections_total',
      'offshoot_gateway_phase_seconds_count{phase="park"}',
      'offshoot_wake_phase_seconds_count{phase="first_query"}',
      'offshoot_branch_open_seconds_count{how="cold"}',
      'offshoot_branches_by_activity{state="awake"}',
    ]) {
      expect({ name, value: seen(name.replace(/[{}]/g, '\\$&')) > 0 }).toEqual({ name, value: true });
    }
    expect(text).not.toContain('counted');
  });

  test('without a gateway, and with one that wants TLS', async () => {
    using scratch = new ScratchDirectory('gateway-off');
    const off = await DaemonProcess.start(`${scratch.path}/data`, ['--gateway-listen', 'off']);
    expect(off.facts).not.toHaveProperty('gateway');
    expect(await off.client().status()).not.toHaveProperty('gateway');
    await off.end();
    const flags = ['--gateway-tls', 'require', '--gateway-listen', '127.0.0.1:0'];
    const strict = await DaemonProcess.start(`${scratch.path}/data`, flags);
    const { gateway } = await strict.client().status();
    const url = `postgresql://u@127.0.0.1:${gateway?.port}/d@b`;
    await expect(query(url, 'select 1')).rejects.toMatchObject({ code: '28000' });
    const encrypted = new pg.Client({ connectionString: url, ssl: { rejectUnauthorized: false } });
    await expect(encrypted.connect()).rejects.toMatchObject({ code: '3D000' });
    await strict.end();
  });

  test('does not start where it cannot listen', async () => {
    using scratch = new ScratchDirectory('gateway-taken');
    const { port } = await counters();
    const flags = ['--gateway-listen', `127.0.0.1:${port}`];
    await expect(DaemonProcess.start(`${scratch.path}/data`, flags)).rejects.toThrow('--gateway-listen');
  });
});
