import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { resolveOsUser, resolvePostgres, ScratchPostgres } from '@offshoot/compute';
import {
  type BranchHost,
  type ComputeAddress,
  Gateway,
  type GatewayOptions,
  selfSignedCertificate,
} from '@offshoot/gateway';
import { frameLengthField, startupMessage } from '@offshoot/wire';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { runCommand } from '../fixture/command-line.js';
import { postgresProgram } from '../fixture/postgres-program.js';
import { ScratchDirectory } from '../fixture/scratch-directory.js';
import { waitUntil } from '../fixture/wait-until.js';

const scratch = new ScratchDirectory('gateway');
const connectionsMax = 250;
let postgres: ScratchPostgres;

/** One branch, `main`: an ordinary Postgres, asked for passwords by TCP or trusted by its socket. */
class OnePostgres implements BranchHost {
  openNow = 0;
  openMax = 0;
  by: 'tcp' | 'socket' = 'tcp';

  async open(branch: string) {
    expect(branch).toBe('main');
    this.openNow++;
    this.openMax = Math.max(this.openMax, this.openNow);
    return { address: this.#address(), release: () => void this.openNow-- };
  }

  #address(): ComputeAddress {
    const { port, socketDirectory } = postgres;
    return this.by === 'tcp'
      ? { host: '127.0.0.1', port }
      : { path: join(socketDirectory, `.s.PGSQL.${port}`) };
  }
}

let host: OnePostgres;
let gateway: Gateway;
const clients: pg.Client[] = [];

beforeAll(async () => {
  const osUser = await resolveOsUser();
  const installation = await resolvePostgres({ cacheDirectory: join(scratch.path, 'cache'), osUser });
  postgres = await ScratchPostgres.create({
    directory: join(scratch.path, 'postgres'),
    installation,
    osUser,
    listen: 'loopback',
    parameters: { max_connections: String(connectionsMax), wal_level: 'replica', fsync: 'off' },
  });
  await postgres.start();
});

afterAll(async () => {
  await postgres.destroy();
  scratch[Symbol.dispose]();
});

beforeEach(async () => {
  host = new OnePostgres();
  await start();
});

afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.end().catch(() => {})));
  await gateway.close();
  expect({ open: host.openNow, keys: gateway.cancelKeys }).toEqual({ open: 0, keys: 0 });
});

async function start(options: Partial<GatewayOptions> = {}): Promise<void> {
  await gateway?.close();
  const listen = { host: '127.0.0.1', port: 0 };
  gateway = await Gateway.start({ host, listen, tls: { policy: 'off' }, ...options });
}

function config(rest: pg.ClientConfig = {}): pg.ClientConfig {
  const { user, password } = postgres.connection();
  return {
    host: '127.0.0.1',
    port: gateway.address.port,
    user,
    password,
    database: 'postgres@main',
    ...rest,
  };
}

async function connected(rest: pg.ClientConfig = {}): Promise<pg.Client> {
  const client = new pg.Client(config(rest));
  client.on('error', () => {});
  await client.connect();
  clients.push(client);
  return client;
}

/** Resolves when the connection is gone, in whatever way. */
function endOf(client: pg.Client): Promise<void> {
  return new Promise((resolve) => client.once('end', resolve));
}

function url(): string {
  const { user, password } = postgres.connection();
  return `postgresql://${user}:${password}@127.0.0.1:${gateway.address.port}/postgres@main`;
}

describe('a session', () => {
  test('with Postgres’ own authentication, typed rows, prepared statements', async () => {
    const client = await connected();
    const asked = { name: 'named', text: 'select $1::int + 1 as n, current_database() as db' };
    for (const n of [1, 2]) {
      expect((await client.query(asked, [n])).rows).toEqual([{ n: n + 1, db: 'postgres' }]);
    }
    await expect(client.query('select 1/0')).rejects.toMatchObject({ code: '22012' });
    expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  });

  test('with a wrong password hears so from Postgres', async () => {
    const refused = new pg.Client(config({ password: 'wrong' })).connect();
    await expect(refused).rejects.toMatchObject({ code: '28P01', severity: 'FATAL' });
    await waitUntil('it is counted', async () => gateway.counters.refused.compute === 1);
  });

  test('in a database that is not there hears so from Postgres, without the branch', async () => {
    const refused = new pg.Client(config({ database: 'nowhere@main' })).connect();
    await expect(refused).rejects.toThrow('database "nowhere" does not exist');
  });

  test('keeps the options that are Postgres’ own', async () => {
    const options = '-c work_mem=9MB --offshoot.branch=main -c application_name=a\\ b';
    const client = await connected({ database: 'postgres', options });
    const { rows } = await client.query(
      "select current_setting('work_mem') as mem, current_setting('application_name') as name, current_setting('offshoot.branch', true) as branch",
    );
    expect(rows).toEqual([{ mem: '9MB', name: 'a b', branch: null }]);
  });

  test('knows its process id, in notifications too', async () => {
    const client = (await connected()) as pg.Client & { processID: number };
    expect((await client.query('select pg_backend_pid() as pid')).rows[0].pid).toBe(client.processID);
    const notified = once(client, 'notification');
    await client.query('listen l');
    await client.query('notify l');
    expect((await notified)[0]).toMatchObject({ processId: client.processID, channel: 'l' });
  });

  test('that an administrator ends hears so', async () => {
    const victim = (await connected()) as pg.Client & { processID: number };
    const asleep = victim.query('select pg_sleep(60)');
    const ended = expect(asleep).rejects.toMatchObject({ code: '57P01' });
    await (await connected()).query('select pg_terminate_backend($1)', [victim.processID]);
    await ended;
  });

  test('over TLS', async () => {
    const pem = await selfSignedCertificate(new Date(), undefined);
    await start({ tls: { policy: 'require', ...pem } });
    const client = await connected({ ssl: { ca: pem.cert } });
    const { rows } = await client.query("select repeat('x', 1000000) as x");
    expect(rows[0].x).toHaveLength(1_000_000);
    await expect(new pg.Client(config()).connect()).rejects.toMatchObject({ code: '28000' });
  });

  test.skipIf(postgresProgram('psql') === undefined)(
    'over TLS by psql, which checks who we are',
    async () => {
      const pem = await selfSignedCertificate(new Date(), undefined);
      await start({ tls: { policy: 'require', ...pem } });
      const root = join(scratch.path, 'gateway.crt');
      writeFileSync(root, pem.cert);
      const psql = (mode: string) => {
        const args = [
          `${url()}?sslmode=${mode}&sslrootcert=${encodeURIComponent(root)}`,
          '-XAtc',
          'select 1',
        ];
        return runCommand(postgresProgram('psql') ?? '', args);
      };
      expect(await psql('verify-full')).toEqual({ code: 0, stdout: '1\n', stderr: '' });
      expect((await psql('disable')).stderr).toContain(
        'FATAL:  this gateway takes encrypted connections only',
      );
    },
  );

  test('by a Unix socket', async () => {
    host.by = 'socket';
    const client = await connected({ password: '' });
    expect((await client.query('select inet_client_addr() as address')).rows).toEqual([{ address: null }]);
  });
});

describe('a query is cancelled', () => {
  const asleep =
    "select count(*)::int as n from pg_stat_activity where query like 'select pg_sleep(61)%' and state = 'active'";

  async function isAsleep(): Promise<void> {
    const watcher = await connected();
    await waitUntil('it is asleep', async () => (await watcher.query(asleep)).rows[0].n === 1);
  }

  test('by node-postgres', async () => {
    const client = await connected();
    const query = new pg.Query('select pg_sleep(61)');
    const failed = new Promise<Error>((resolve) => query.on('error', resolve));
    client.query(query);
    await isAsleep();
    const canceller = new pg.Client(config()) as pg.Client & {
      cancel(client: pg.Client, query: unknown): void;
    };
    canceller.cancel(client, query);
    expect(await failed).toMatchObject({ code: '57014' });
    expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
    expect(gateway.counters.cancelsForwarded).toBe(1);
  });

  test.skipIf(postgresProgram('psql') === undefined)('by psql', async () => {
    const child = spawn(postgresProgram('psql') ?? '', [url(), '-Xc', 'select pg_sleep(61)'], {
      stdio: 'pipe',
    });
    let said = '';
    child.stderr.on('data', (chunk) => {
      said += chunk;
    });
    await isAsleep();
    child.kill('SIGINT');
    await once(child, 'close');
    expect(said).toContain('canceling statement due to user request');
  });
});

test.each(['tcp', 'socket'] as const)('two hundred sessions at once, by %s', async (by) => {
  host.by = by;
  const sessions = await Promise.all(Array.from({ length: 200 }, () => connected()));
  const answers = await Promise.all(sessions.map((client, n) => client.query('select $1::int as n', [n])));
  expect(answers.map(({ rows }) => rows[0].n)).toEqual(sessions.map((_, n) => n));
  expect(host.openMax).toBe(200);
  expect(gateway.counters.connectionsSpliced).toBe(200);
});

/** A client of the bare protocol, trusted by the socket: what it does not read, nobody reads. */
class Bare {
  #received = 0;
  #tail = Buffer.alloc(0);

  private constructor(readonly socket: Socket) {
    socket.on('data', (chunk: Buffer) => {
      this.#received += chunk.length;
      this.#tail = Buffer.concat([this.#tail, chunk]).subarray(-6);
    });
  }

  static async open(): Promise<Bare> {
    host.by = 'socket';
    const socket = connect(gateway.address.port, '127.0.0.1');
    const client = new Bare(socket);
    const parameters = [
      ['user', 'postgres'],
      ['database', 'postgres@main'],
    ] as const;
    socket.write(startupMessage({ minorVersion: 0, parameters }));
    await client.ready();
    return client;
  }

  get received(): number {
    return this.#received;
  }

  message(type: string, body: string | Buffer): void {
    const bytes = Buffer.from(body as string);
    const head = Buffer.alloc(5, type);
    head.writeUInt32BE(bytes.length + 4, 1);
    this.socket.write(Buffer.concat([head, bytes]));
  }

  /** A ReadyForQuery was the last. */
  async ready(): Promise<void> {
    await waitUntil('it is ready', async () => {
      const { length } = this.#tail;
      return length === 6 && this.#tail[0] === 0x5a && frameLengthField(this.#tail, 0) === 5;
    });
    this.#tail = Buffer.alloc(0);
  }
}

/** What the gateway may hold of one connection: what waits to be written, and a read beyond it. */
const heldMax = 4 * 64 * 1024;

/** Waits until more has come than there was before, and then nothing more. */
async function standstill(bytes: () => number, before: number): Promise<void> {
  await waitUntil('it has begun', () => bytes() > before);
  let seen: number;
  do {
    seen = bytes();
    await sleep(300);
  } while (bytes() !== seen);
}

describe.each([
  { by: 'native threads', spliceThreads: 1 },
  { by: 'the event loop', spliceThreads: 0 },
])('COPY, passed by $by,', ({ spliceThreads }) => {
  beforeEach(() => start({ settings: { spliceThreads } }));

  test('to a client that does not read is held back, and then complete', async () => {
    const client = await Bare.open();
    const before = client.received;
    client.socket.pause();
    const sentBefore = gateway.counters.bytesToClients;
    const rows = 40_000;
    client.message('Q', `copy (select repeat('x', 1000) from generate_series(1, ${rows})) to stdout\0`);
    await standstill(() => gateway.counters.bytesToClients, sentBefore);
    expect(gateway.bytesHeld).toBeLessThanOrEqual(heldMax);
    // Far from the end.
    expect(gateway.counters.bytesToClients).toBeLessThan(rows * 1000);
    client.socket.resume();
    await client.ready();
    expect(client.received - before).toBeGreaterThan(rows * 1006);
    client.socket.end();
  });

  test('from a client to a session that does not read is held back, and then complete', async () => {
    const admin = await connected();
    await admin.query('create table copied (t text)');
    await admin.query('begin');
    await admin.query('lock table copied in access exclusive mode');
    host.by = 'socket';
    const client = await Bare.open();
    const receivedBefore = gateway.counters.bytesFromClients;
    client.message('Q', 'copy copied from stdin\0');
    const line = Buffer.from(`${'x'.repeat(999)}\n`.repeat(64));
    const messages = 600;
    for (let sent = 0; sent < messages; sent++) client.message('d', line);
    client.message('c', '');
    await standstill(() => gateway.counters.bytesFromClients, receivedBefore);
    expect(gateway.bytesHeld).toBeLessThanOrEqual(heldMax);
    expect(client.socket.writableLength).toBeGreaterThan(0);
    await admin.query('commit');
    await client.ready();
    client.socket.end();
    const { rows } = await admin.query('select count(*)::int as n, sum(length(t))::int as bytes from copied');
    expect(rows).toEqual([{ n: messages * 64, bytes: messages * 64 * 999 }]);
    await admin.query('drop table copied');
  });

  test.skipIf(postgresProgram('psql') === undefined)('by psql, both ways', async () => {
    const psql = postgresProgram('psql') ?? '';
    const input = Array.from({ length: 100_000 }, (_, n) => `${n}\n`).join('');
    const result = await runCommand(
      psql,
      [
        url(),
        '-XAtqc',
        'create table c (n int)',
        '-c',
        '\\copy c from pstdin',
        '-c',
        '\\copy (select n from c order by n) to pstdout',
        '-c',
        'drop table c',
      ],
      { input },
    );
    expect(result.stderr).toBe('');
    expect(result.stdout === input).toBe(true);
  });
});

describe('a client that is killed', () => {
  const psql = postgresProgram('psql') ?? '';

  test.skipIf(psql === '').each([
    ['amid its answer', "copy (select repeat('x', 1000) from generate_series(1, 10000000)) to stdout"],
    ['in silence', 'select pg_backend_pid()'],
  ])('%s leaves no session behind', async (_name, query) => {
    const admin = await connected();
    // Reads on as long as its input is open.
    const child = spawn(psql, [url(), '-XAtq'], { stdio: ['pipe', 'pipe', 'ignore'] });
    child.stdin.write(`${query};\n`);
    await once(child.stdout, 'readable');
    child.kill('SIGKILL');
    await once(child, 'exit');
    child.stdout.destroy();
    await waitUntil('its session has ended', async () => {
      const { rows } = await admin.query(
        "select count(*)::int as n from pg_stat_activity where backend_type = 'client backend'",
      );
      return rows[0].n === 1 && gateway.counters.connectionsSpliced === 1;
    });
  });
});

test.skipIf(postgresProgram('psql') === undefined)(
  'a session goes on while the event loop stands still',
  async () => {
    const input = join(scratch.path, 'input');
    const output = join(scratch.path, 'output');
    const psql = `exec "$0" "$1" -XAtq <"$2" >"$3"`;
    await runCommand('mkfifo', [input]);
    writeFileSync(output, '');
    const child = spawn('sh', ['-c', psql, postgresProgram('psql') ?? '', url(), input, output]);
    const exit = once(child, 'exit');
    // Waits until the other end is open, too.
    const fifo = await open(input, 'w');
    const said = () => readFileSync(output, 'utf8');
    await fifo.write('select 1;\n');
    await waitUntil('it is connected', () => said() === '1\n');
    for (let n = 2; n <= 5; n++) {
      const before = said();
      writeSync(fifo.fd, `select ${n};\n`);
      for (const deadline = Date.now() + 60_000; said() === before && Date.now() < deadline; );
      expect(said()).toBe(`${before}${n}\n`);
    }
    await fifo.close();
    await exit;
  },
);

describe('replication', () => {
  test('of both kinds is let through', async () => {
    for (const [replication, database] of [
      ['true', undefined],
      ['database', 'postgres@main'],
    ] as const) {
      const options = '-c offshoot.branch=main';
      const client = await connected({ replication, options, database: database ?? 'x' } as pg.ClientConfig);
      const { rows } = await client.query('IDENTIFY_SYSTEM');
      expect(rows[0]).toMatchObject({ timeline: 1, dbname: database === undefined ? null : 'postgres' });
    }
  });

  test.skipIf(postgresProgram('pg_receivewal') === undefined)('by pg_receivewal', async () => {
    const directory = join(scratch.path, 'received');
    mkdirSync(directory);
    const { user, password } = postgres.connection();
    const where = ['-h', '127.0.0.1', '-p', String(gateway.address.port), '-U', user];
    const child = spawn(postgresProgram('pg_receivewal') ?? '', [...where, '-w', '-n', '-D', directory], {
      env: { ...process.env, PGPASSWORD: password, PGOPTIONS: '-c offshoot.branch=main' },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let said = '';
    child.stderr.on('data', (chunk) => {
      said += chunk;
    });
    const admin = await connected();
    await waitUntil('it streams', async () => {
      if (child.exitCode !== null) throw new Error(said);
      const { rows } = await admin.query(
        "select count(*)::int as n from pg_stat_replication where state = 'streaming'",
      );
      return rows[0].n === 1;
    });
    await admin.query('select pg_switch_wal()');
    await waitUntil('a segment is whole', async () =>
      readdirSync(directory).some((name) => /^[0-9A-F]{24}$/.test(name)),
    );
    child.kill('SIGINT');
    await once(child, 'exit');
  });
});

test('a Postgres that is killed ends its sessions, and the next connection is told', async () => {
  await start({ settings: { reopensMax: 5 } });
  const client = await connected();
  const ended = endOf(client);
  const asleep = expect(client.query('select pg_sleep(60)')).rejects.toThrow();
  await postgres.stop('immediate');
  await asleep;
  await ended;
  await expect(new pg.Client(config()).connect()).rejects.toMatchObject({ code: '57P03' });
  await postgres.start();
  expect((await (await connected()).query('select 1 as one')).rows).toEqual([{ one: 1 }]);
});

test('a backend that is killed ends all sessions, and new ones come once Postgres has recovered', async () => {
  const [victim, witness] = [await connected(), await connected()];
  const { rows } = await victim.query('select pg_backend_pid() as pid');
  const ends = [endOf(victim), endOf(witness)];
  process.kill(rows[0].pid, 'SIGKILL');
  await Promise.all(ends);
  await waitUntil('both are gone', () => gateway.counters.connectionsOpen === 0);
  expect((await (await connected()).query('select 1 as one')).rows).toEqual([{ one: 1 }]);
});
