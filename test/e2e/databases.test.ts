import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Offshoot, type OffshootClient } from '@offshoot/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ctl } from '../fixture/command-line.js';
import { DaemonProcess } from '../fixture/daemon-process.js';
import { query, value } from '../fixture/query.js';
import { ScratchDirectory } from '../fixture/scratch-directory.js';
import { waitUntil } from '../fixture/wait-until.js';

let scratch: ScratchDirectory;
let daemon: DaemonProcess;

beforeAll(async () => {
  scratch = new ScratchDirectory('databases');
  daemon = await DaemonProcess.start(join(scratch.path, 'data'));
});

afterAll(async () => {
  await daemon.end('SIGTERM');
  scratch[Symbol.dispose]();
});

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
    daemon = await DaemonProcess.start(daemon.dataDirectory);
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

  test('outlives a restart, and reset empties it', async () => {
    await daemon.end('SIGKILL');
    daemon = await DaemonProcess.start(daemon.dataDirectory);
    const url = async () => {
      const { credentials } = await client().rotatePassword('one');
      return credentials.connection_string ?? '';
    };
    expect(await value(await url(), 'select count(*)::int from notes')).toBe(1);
    await client().resetBranch('one');
    expect(await value(await url(), "select to_regclass('notes')::text")).toBe(null);
    // Found again, and not made anew.
    const { timings_ms: timings } = await client().createDatabase({ name: 'three' });
    expect(timings).not.toHaveProperty('template');
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
    const { stdout } = await ctl(daemon.dataDirectory, 'database', 'create', 'by-ctl', '--print-url');
    expect(await value(stdout.trim(), 'select current_database()')).toBe('postgres');
    const json = await ctl(daemon.dataDirectory, 'database', 'create', '--ttl', '1h', '--json');
    expect(JSON.parse(json.stdout)).toMatchObject({ parent: 'template0', created: true });
    const text = await ctl(daemon.dataDirectory, 'database', 'create', 'as-text');
    expect(text.stdout).toContain('created database as-text');
    expect(text.stdout).toContain('@as-text');
  });
});
