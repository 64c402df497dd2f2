import { once } from 'node:events';
import { existsSync, openAsBlob, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { ApiError, type DumpChoice, type Load, Offshoot, type OffshootClient } from '@offshoot/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ctl, runCommand } from '../fixture/command-line.js';
import { DaemonProcess } from '../fixture/daemon-process.js';
import { postgresProgram } from '../fixture/postgres-program.js';
import { query, value } from '../fixture/query.js';
import { ScratchDirectory } from '../fixture/scratch-directory.js';
import { waitUntil } from '../fixture/wait-until.js';

let scratch: ScratchDirectory;
let daemon: DaemonProcess;
let flags: string[];

beforeAll(async () => {
  scratch = new ScratchDirectory('databases');
  const settings = join(scratch.path, 'settings.json');
  // So soon that loads are answered either way.
  writeFileSync(settings, JSON.stringify({ database: { answerMsMax: 300, loadsMax: 2 } }));
  flags = ['--settings', settings];
  daemon = await DaemonProcess.start(join(scratch.path, 'data'), flags);
});

afterAll(async () => {
  await daemon.end('SIGTERM');
  scratch[Symbol.dispose]();
});

const pgDump = postgresProgram('pg_dump');

async function serve(answer: (response: ServerResponse) => void) {
  const server = createServer((_, response) => answer(response)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    [Symbol.asyncDispose]: async () => void server.close(),
  };
}

const client = (): OffshootClient => daemon.client();
const templateDirectory = () => join(daemon.dataDirectory, 'template');

describe('an empty database', () => {
  test('kill -9 while what they start from is made leaves nothing half made', async () => {
    const asked = client()
      .createDatabase({ name: 'never' })
      .catch((error: unknown) => error);
    await waitUntil('initdb is at work', () => existsSync(join(templateDirectory(), 'data')));
    await daemon.end('SIGKILL');
    expect(await asked).toBeInstanceOf(Error);
    daemon = await DaemonProcess.start(daemon.dataDirectory, flags);
    expect(existsSync(templateDirectory())).toBe(false);
    expect(await client().tenants()).toEqual([]);
    expect(await client().branches()).toEqual([]);
  });

  test('two at once have what they start from made once, and work at once', async () => {
    const made = await Promise.all(['one', 'two'].map((name) => client().createDatabase({ name })));
    expect(
      (await client().tenants()).map(({ name, template, state }) => ({ name, template, state })),
    ).toEqual([{ name: 'template0', template: true, state: 'active' }]);
    expect(existsSync(templateDirectory())).toBe(false);
    for (const { dsn, branch } of made) {
      expect(branch).toMatchObject({ parent: 'template0', tenant: 'template0', access: 'read_write' });
      await query(dsn ?? '', 'create table notes (text text)', "insert into notes values ('ä')");
      expect(await value(dsn ?? '', 'select upper(text) from notes')).toBe('Ä');
    }
  });

  test('is emptied by a reset, and made without delay from then on', async () => {
    const url = async () => {
      const { credentials } = await client().rotatePassword('one');
      return credentials.connection_string ?? '';
    };
    expect(await value(await url(), 'select count(*)::int from notes')).toBe(1);
    await client().resetBranch('one');
    expect(await value(await url(), "select to_regclass('notes')::text")).toBe(null);
    const { timings_ms: timings, expires_at: end } = await client().createDatabase({ name: 'three' });
    expect(timings).not.toHaveProperty('template');
    expect(Date.parse(end ?? '')).toBeGreaterThan(Date.now());
  });

  test('what they start from can be written by nobody, and its name is not for others', async () => {
    const refusal = (call: Promise<unknown>) => call.catch((error: { code: string }) => error.code);
    expect(await refusal(client().renameBranch('two', 'template0'))).toBe('name_taken');
    expect(
      await refusal(client().importTenant({ name: 'template0', source_url: 'postgres://127.0.0.1:1/x' })),
    ).toBe('name_taken');
    expect(await refusal(client().createRole('template0'))).toBe('branch_read_only');
    expect(await refusal(client().resetBranch('template0'))).toBe('branch_is_root');
    const { connection_string: url } = (await client().rotatePassword('two')).credentials;
    expect(await value(url ?? '', 'select usesuper from pg_user where usename = current_user')).toBe(false);
    expect((await client().tenant('template0')).receiver).toBeUndefined();
    expect((await client().status()).receivers).toEqual([]);
    const metrics = await fetch(`${daemon.facts.api_url}/metrics`, {
      headers: { authorization: `Bearer ${daemon.token}` },
    });
    expect(await metrics.text()).toContain('offshoot_tenant_available{tenant="template0"} 1');
    const doctor = JSON.parse((await ctl(daemon.dataDirectory, 'doctor', '--json')).stdout);
    expect(JSON.stringify(doctor)).not.toContain('template0');
  });

  test('a token makes them whose parents have what they start from, and no other', async () => {
    const agent = async (name: string, parents: string[]) => {
      const { secret } = await client().createToken({ name, scope: 'branch', parents });
      return new Offshoot({ url: daemon.facts.api_url, token: secret });
    };
    const may = await agent('may', ['template0']);
    await using database = await may.createDatabase({ name: 'agents', ttl: '15m' });
    expect(await value(database.connectionString, 'select 1')).toBe(1);
    expect(database.expiresAt?.getTime()).toBeLessThan(Date.now() + 1_000_000);
    const mayNot = await agent('may-not', ['one']);
    await expect(mayNot.createDatabase()).rejects.toMatchObject({ code: 'branch_not_found' });
  });

  test('by the command line', async () => {
    const { stdout } = await ctl(daemon.dataDirectory, 'database', 'create', 'as-text', '--ttl', '1h');
    expect(stdout).toContain('created database as-text');
    const [url = ''] = /postgresql:\S+/.exec(stdout) ?? [];
    expect(await value(url, 'select current_database()')).toBe('postgres');
  });
});

const SHOP = `--
-- PostgreSQL database dump
--

\\restrict k4

SET statement_timeout = 0;
SET transaction_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);

CREATE EXTENSION IF NOT EXISTS missing_extension WITH SCHEMA public;
COMMENT ON EXTENSION missing_extension IS 'not installed';

CREATE TABLE public.orders (
    id integer NOT NULL,
    what text,
    price numeric(10,2)
);
ALTER TABLE public.orders OWNER TO app;

CREATE TABLE public.notes (id integer, body text);
ALTER TABLE public.notes OWNER TO app;

CREATE FUNCTION public.total() RETURNS numeric
    LANGUAGE plpgsql
    AS $$ BEGIN RETURN (SELECT sum(price) FROM public.orders); END; $$;

COPY public.orders (id, what, price) FROM stdin;
1\tTasse; 'weiß'\t4.50
2\t\\N\t10.00
3\ttab\\there\\\\.\t0.50
\\.

ALTER TABLE ONLY public.orders ADD CONSTRAINT orders_pkey PRIMARY KEY (id);
GRANT SELECT ON TABLE public.orders TO reporting;

\\unrestrict k4

--
-- PostgreSQL database dump complete
--
`;

/** So much that it is looked at before there is an end. */
const PADDING = `-- ${'x'.repeat(600)}\n`;

const bytesOf = (text: string | Uint8Array) =>
  new Blob([typeof text === 'string' ? text : new Uint8Array(text)]);

/** It begins, and never ends. */
const endless = () =>
  new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(Buffer.from(`CREATE TABLE a ();\n${PADDING}`)),
  });

/** Loads a dump, and waits for its end where the answer comes before that. */
async function loaded(dump: Blob, choice: DumpChoice = {}) {
  const made = await client().createDatabaseFromDump(dump, choice);
  if (made.operation === undefined) return { ...made, load: made.load as Load };
  let operation = await client().operation(made.operation);
  while (operation.state === 'running') {
    await sleep(50);
    operation = await client().operation(made.operation);
  }
  if (operation.error !== undefined) throw new ApiError(operation.error);
  return { ...made, branch: await client().branch(made.name), load: operation.load as Load };
}

/** What became of an order to load that must fail. */
async function failure(dump: string | Uint8Array, choice: DumpChoice = {}) {
  const before = (await client().branches()).map(({ name }) => name);
  const error = await loaded(bytesOf(dump), choice).then(
    () => undefined,
    (refused: { code: string; message: string }) => refused,
  );
  expect((await client().branches()).map(({ name }) => name)).toEqual(before);
  return error;
}

describe('a database from a dump', () => {
  test.each([
    ['plain', SHOP],
    ['gzip', gzipSync(SHOP)],
  ])('%s', async (name, dump) => {
    const made = await loaded(bytesOf(dump), { name, labels: { from: 'dump' }, keep: true });
    expect(made.branch.expires_at).toBeUndefined();
    expect(made).toMatchObject({
      branch: { state: 'active', labels: { from: 'dump' } },
      load: {
        format: 'plain',
        compressed: name === 'gzip',
        rows: 3,
        database: 'postgres',
        warnings_omitted: 0,
      },
    });
    expect(made.load.warnings.map(({ kind, count, line }) => [kind, count, line])).toEqual([
      ['setting', 1, 8],
      ['extension', 1, 13],
      ['extension', 1, 14],
      ['owner', 2, 21],
      ['privilege', 1, 37],
    ]);
    const url = made.dsn ?? '';
    expect(await value(url, 'select public.total()::text')).toBe('15.00');
    expect(await value(url, 'select what from public.orders where id = 1')).toBe("Tasse; 'weiß'");
    expect(await value(url, 'select what from public.orders where id = 3')).toBe('tab\there\\.');
    expect(
      await value(url, "select tableowner = current_user from pg_tables where tablename = 'orders'"),
    ).toBe(true);
  });

  test('goes back to what was loaded, and is emptied', async () => {
    const { credentials } = await client().rotatePassword('plain');
    const url = credentials.connection_string ?? '';
    const count = 'select count(*)::int from public.orders';
    await query(url, 'delete from public.orders');
    await client().restoreBranch('plain', { at: '@loaded', preserve: false });
    expect(await value(url, count)).toBe(3);
    await client().resetBranch('plain');
    expect(await value(url, "select to_regclass('public.orders')::text")).toBe(null);
  });

  test.runIf(pgDump !== undefined)('custom, custom in gzip, and tar, as pg_dump writes them', async () => {
    const { credentials } = await client().rotatePassword('gzip');
    const dumpAs = async (format: string) => {
      const file = join(scratch.path, `shop.${format}`);
      const args = [
        '--format',
        format,
        '--file',
        file,
        '--create',
        '--dbname',
        credentials.connection_string ?? '',
      ];
      const { code, stderr } = await runCommand(pgDump ?? '', args);
      expect([code, stderr]).toEqual([0, '']);
      return file;
    };
    const file = await dumpAs('custom');
    const args = ['database', 'create', '--from-dump', file, '--json'];
    const { stdout } = await ctl(daemon.dataDirectory, ...args);
    const made = JSON.parse(stdout);
    expect(made).toMatchObject({ load: { format: 'custom', rows: 3 } });
    expect(await value(made.dsn, 'select public.total()::text')).toBe('15.00');
    for (const format of ['tar', 'plain']) {
      const dump = await openAsBlob(await dumpAs(format));
      expect(await loaded(dump)).toMatchObject({ load: { format, rows: 3 } });
    }
    const packed = gzipSync(readFileSync(join(scratch.path, 'shop.custom')));
    expect(await loaded(bytesOf(packed), {})).toMatchObject({
      load: { format: 'custom', compressed: true, rows: 3 },
    });
    expect(await failure(packed.subarray(0, packed.length / 2))).toMatchObject({ code: 'dump_damaged' });
    const cut = readFileSync(join(scratch.path, 'shop.custom'));
    expect(await failure(cut.subarray(0, cut.length / 2))).toMatchObject({ code: 'pg_restore_failed' });
  });

  test('one that takes long is answered before its end, and nobody gets in meanwhile', async () => {
    const dump = `${SHOP}SELECT pg_sleep(1.5);`;
    const made = await client().createDatabaseFromDump(bytesOf(dump), { name: 'slow' });
    expect(made).toMatchObject({ branch: { state: 'loading' }, operation: expect.any(String) });
    await expect(value(made.dsn ?? '', 'select 1')).rejects.toMatchObject({ code: '57P03' });
    await waitUntil(
      'it is loaded',
      async () => (await client().operation(made.operation ?? '')).state === 'done',
    );
    expect(await value(made.dsn ?? '', 'select public.total()::text')).toBe('15.00');
    expect((await client().branch('slow')).state).toBe('active');
  });

  test('unlogged tables are told of, which are empty when the compute was stopped', async () => {
    const dump = `CREATE TABLE kept (id int);
CREATE UNLOGGED TABLE sessions (id int);
CREATE UNLOGGED TABLE more_sessions (id int);
COPY kept FROM stdin;\n1\n\\.
COPY sessions FROM stdin;\n1\n\\.`;
    const { name, dsn = '', load } = await loaded(bytesOf(dump));
    expect(load.warnings).toMatchObject([
      { kind: 'unlogged', line: 2, statement: 'CREATE UNLOGGED TABLE sessions (id int)', count: 2 },
    ]);
    await client().startCompute(name);
    await client().stopCompute(name);
    expect(await value(dsn, 'select (select count(*) from kept)::int')).toBe(1);
    expect(await value(dsn, 'select (select count(*) from sessions)::int')).toBe(0);
  });

  test('one that makes a database of its own and connects to it', async () => {
    const dump = `CREATE DATABASE "my shop" WITH TEMPLATE = template0 ENCODING = 'UTF8';
ALTER DATABASE "my shop" OWNER TO app;
\\connect -reuse-previous=on "dbname='my shop'"
CREATE TABLE notes (id int);`;
    const { dsn, load } = await loaded(bytesOf(dump));
    expect(load).toMatchObject({ database: 'my shop', warnings: [{ kind: 'owner' }] });
    // Where the answer came before that was known, it names the first.
    const url = (dsn ?? '').replace('/postgres@', '/my%20shop@');
    expect(await value(url, "select current_database() || to_regclass('notes')")).toBe('my shopnotes');
  });

  test('by standard input and by a URL, which the command line reads', async () => {
    const bin = new URL('../../packages/ctl/bin/pageserver-ctl.js', import.meta.url).pathname;
    const args = [bin, '--data', daemon.dataDirectory, 'database', 'create', '--from-dump'];
    const more = ['--print-url', '--memory', '256MiB'];
    const piped = await runCommand(process.execPath, [...args, '-', 'piped', ...more], { input: SHOP });
    expect((await client().branch('piped')).size.memory_bytes).toBe(256 * 1024 ** 2);
    expect(await value(piped.stdout.trim(), 'select public.total()::text')).toBe('15.00');
    expect(piped.stderr).toContain('warning: owner: line 21: role "app" does not exist (2 times)');
    await using server = await serve((response) => response.end(gzipSync(SHOP)));
    const fetched = await runCommand(process.execPath, [
      ...args,
      `${server.url}/shop.sql.gz?token=secret`,
      '--print-url',
    ]);
    expect(await value(fetched.stdout.trim(), 'select public.total()::text')).toBe('15.00');
  });
});

describe('what fails leaves no database', () => {
  test('a statement, with its line', async () => {
    const dump = 'CREATE TABLE a (id int);\n\nCREATE TABLE b (\n  id nosuchtype);\n';
    const error = await failure(dump, { name: 'broken' });
    expect(error).toMatchObject({ code: 'dump_statement_failed' });
    expect(error?.message).toMatch(/line 3: type "nosuchtype" does not exist .*42704.*CREATE TABLE b/);
    // The name is free again.
    const made = await loaded(bytesOf(dump), {
      name: 'broken',
      on_error: 'continue',
    });
    expect(made.load.warnings).toMatchObject([{ kind: 'error', line: 3 }]);
    expect(await value(made.dsn ?? '', "select to_regclass('a')::text")).toBe('a');
  });

  test('data that does not fit, or has nowhere to go, is passed over', async () => {
    const dump = `CREATE TABLE a (id int);
COPY a FROM stdin;\n1\nx\n2\n\\.
COPY nowhere FROM stdin;\n1\n;DROP TABLE a;\n\\.
INSERT INTO a VALUES (7);`;
    const made = await loaded(bytesOf(dump), { on_error: 'continue' });
    expect(made.load).toMatchObject({ statements: 2, warnings: [{ line: 2 }, { line: 7 }] });
    expect(await value(made.dsn ?? '', 'select sum(id)::int from a')).toBe(7);
  });

  test.each([
    ['that breaks off', SHOP.slice(0, SHOP.indexOf('ALTER TABLE ONLY')), 'dump_damaged'],
    ['of no format', new Uint8Array([1, 0, 2]), 'dump_format_unknown'],
    ['that runs a program', 'CREATE TABLE a ();\n\\! touch HERE\n', 'dump_refused'],
    ['that copies to a program', "COPY (SELECT 1) TO PROGRAM 'touch HERE';", 'dump_statement_failed'],
  ])('a dump %s', async (_, dump, code) => {
    const here = join(scratch.path, 'touched');
    const text = typeof dump === 'string' ? dump.replaceAll('HERE', here) : dump;
    expect(await failure(text)).toMatchObject({ code });
    expect(existsSync(here)).toBe(false);
  });

  test('what a dump may not is refused by Postgres, also where errors do not end it', async () => {
    const here = join(scratch.path, 'here');
    const hostile = [
      `COPY (SELECT 1) TO PROGRAM 'touch ${here}'`,
      `COPY (SELECT 1) TO '${here}'`,
      "CREATE TABLE a AS SELECT pg_read_file('/etc/passwd')",
      "SELECT lo_import('/etc/passwd')",
      'CREATE TABLE b AS SELECT rolpassword FROM pg_authid',
      'SET SESSION AUTHORIZATION postgres',
      "LOAD '/tmp/x'",
      "ALTER SYSTEM SET archive_command = 'x'",
      'CREATE ROLE other SUPERUSER',
      'ALTER ROLE postgres PASSWORD $$x$$',
      'CREATE EXTENSION dblink',
      'CREATE LANGUAGE plpython3u',
    ];
    const dump = `${hostile.join(';\n')};\nCREATE TABLE made ();`;
    const made = await loaded(bytesOf(dump), { on_error: 'continue' });
    expect(made.load).toMatchObject({ statements: 1 });
    const refused = made.load.warnings.reduce((sum, { count }) => sum + count, 0);
    expect(refused).toBe(hostile.length);
    expect(existsSync(here)).toBe(false);
  });

  test('whoever hangs up, and who may not', async () => {
    const abort = new AbortController();
    const asked = ['given-up', 'given-up-too'].map((name) =>
      client()
        .createDatabaseFromDump(endless(), { name, signal: abort.signal })
        .catch((error: unknown) => error),
    );
    await waitUntil('it is loading', async () => {
      const branches = await client().branches();
      return (
        branches.filter(({ name, state }) => name.startsWith('given-up') && state === 'loading').length === 2
      );
    });
    expect(await failure(SHOP)).toMatchObject({ code: 'loads_exhausted' });
    await expect(client().startCompute('given-up')).rejects.toMatchObject({ code: 'branch_loading' });
    await expect(client().createBranch({ name: 'x', from: 'given-up' })).rejects.toMatchObject({
      code: 'branch_loading',
    });
    abort.abort();
    for (const error of await Promise.all(asked)) expect(error).toBeInstanceOf(Error);
    await waitUntil('they have ended', async () => {
      return (await client().operations()).every(({ state }) => state !== 'running');
    });
    expect((await client().branches()).filter(({ name }) => name.startsWith('given-up'))).toEqual([]);
    const ends = (await client().operations()).map(({ subject, error }) => [subject, error?.code]);
    expect(ends).toContainEqual(['given-up', 'load_cancelled']);
    const { secret } = await client().createToken({ name: 'no-loads', scope: 'branch', parents: ['one'] });
    const response = await fetch(`${daemon.facts.api_url}/v1/databases/from-dump`, {
      method: 'POST',
      headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/octet-stream' },
      body: SHOP,
    });
    expect([response.status, ((await response.json()) as { code: string }).code]).toEqual([
      404,
      'branch_not_found',
    ]);
  });

  test('a compute that ends in the middle', async () => {
    const choice = { name: 'stopped' };
    const made = await client().createDatabaseFromDump(bytesOf('SELECT pg_sleep(600);'), choice);
    const state = async () => (await client().operation(made.operation ?? '')).state;
    await waitUntil('it runs', async () => (await client().branch('stopped')).compute === 'running');
    await client().stopCompute('stopped');
    await waitUntil('it has failed', async () => (await state()) === 'failed');
    expect((await client().operation(made.operation ?? '')).error).toMatchObject({
      code: 'load_interrupted',
    });
    expect((await client().branches()).some(({ name }) => name === 'stopped')).toBe(false);
  });

  test('kill -9 while it is loaded', async () => {
    const asked = client()
      .createDatabaseFromDump(endless(), { name: 'killed' })
      .catch((error: unknown) => error);
    await waitUntil('it has loaded something', async () => {
      const operations = await client().operations();
      return operations.some(({ subject, load }) => subject === 'killed' && (load?.statements ?? 0) > 0);
    });
    await daemon.end('SIGKILL');
    expect(await asked).toBeInstanceOf(Error);
    daemon = await DaemonProcess.start(daemon.dataDirectory, flags);
    await waitUntil(
      'it is gone',
      async () => !(await client().branches()).some(({ name }) => name === 'killed'),
    );
    // What was there before is there, and what new ones start from is found again.
    const { timings_ms: timings } = await client().createDatabase({ name: 'killed' });
    expect(timings).not.toHaveProperty('template');
    const { credentials } = await client().rotatePassword('gzip');
    const url = credentials.connection_string ?? '';
    expect(await value(url, 'select public.total()::text')).toBe('15.00');
  });
});
