import { execFile } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test, vi } from 'vitest';
import { OTHER_TENANT, TENANT, TIMELINE } from './testing/fake-page-source.js';
import { BACKUP, PageServiceFixture } from './testing/page-service-fixture.js';
import { connectOptions, errorOf, frame, query, STARTUP, typesOf } from './testing/raw-client.js';

const fixture = PageServiceFixture.forEachTest();

describe('a Unix listener', () => {
  const path = () => join(fixture.directory, 's');

  test('takes the place of a socket that nobody listens on', async () => {
    const server = createServer().listen(path());
    await new Promise((resolve) => server.once('listening', resolve));
    await expect(fixture.start()).rejects.toMatchObject({ code: 'listen_failed' });
    await expect(fixture.start()).rejects.toThrow('another process');
    // A killed process leaves its socket behind.
    const left = promisify(execFile)(process.execPath, [
      '-e',
      `require('net').createServer().listen(${JSON.stringify(`${path()}2`)}, () => process.kill(process.pid, 'SIGKILL'))`,
    ]);
    await expect(left).rejects.toThrow();
    await fixture.start({ listeners: [{ kind: 'unix', path: `${path()}2`, mode: 0o600, auth: 'trust' }] });
    await fixture.expectAlive();
    server.close();
  });

  test('does not remove a file', async () => {
    writeFileSync(path(), 'precious');
    await expect(fixture.start()).rejects.toThrow('no socket');
    expect(existsSync(path())).toBe(true);
  });

  test('says when a path is too long', async () => {
    const listeners = [
      { kind: 'unix', path: `/tmp/${'x'.repeat(120)}`, mode: 0o600, auth: 'trust' },
    ] as const;
    await expect(fixture.start({ listeners })).rejects.toThrow('at most 107');
  });
});

describe('tokens', () => {
  const listeners = [{ kind: 'tcp', host: '127.0.0.1', port: 0, auth: 'token' }] as const;
  const granted = [
    { token: 'all', scope: 'all-tenants' },
    { token: 'other', scope: { tenant: OTHER_TENANT } },
  ] as const;

  test.each([
    ['all', 'RRSSSZ', 'HddcCZ'],
    ['other', 'RRSSSZ', 'EZ'],
    ['al', 'RE', ''],
    ['', 'RE', ''],
  ])('%j', async (token, handshake, answer) => {
    await fixture.start({ listeners, tokens: async () => granted });
    const client = await fixture.opened();
    client.send(STARTUP, frame('p', `${token}\0`));
    expect(typesOf(await (answer === '' ? client.rest() : client.until('Z')))).toBe(handshake);
    if (answer !== '') {
      client.send(query(BACKUP));
      expect(typesOf(await client.until('Z'))).toBe(answer);
    }
  });

  test('that cannot be checked let nobody in, and tell nothing', async () => {
    const alerts: unknown[] = [];
    const cause = new Error('secret trouble');
    const tokens = () => Promise.reject(cause);
    await fixture.start({ listeners, tokens, onAlert: (error) => alerts.push(error.cause) });
    const client = await fixture.opened();
    client.send(STARTUP, frame('p', 'all\0'));
    expect(errorOf((await client.rest()).at(-1))).toBe('XX000 the token could not be checked');
    expect(alerts).toEqual([cause]);
  });
});

const psql = ['/usr/bin/psql', '/usr/lib/postgresql/15/bin/psql'].find((path) => existsSync(path));

describe.skipIf(psql === undefined)('psql', () => {
  const run = async (text: string, environment: Record<string, string> = {}) => {
    const { host, port } = connectOptions(fixture.service.addresses[0] ?? 'unix:') as {
      host: string;
      port: number;
    };
    const url = `postgresql://u@${host}:${port}/d`;
    const env = { PATH: process.env.PATH, ...environment };
    return promisify(execFile)(psql ?? '', ['-XAt', url, '-c', text], { env });
  };
  const listeners = [{ kind: 'tcp', host: '127.0.0.1', port: 0, auth: 'token' }] as const;
  const tokens = () => [{ token: 'secret', scope: 'all-tenants' }] as const;

  test('fetches a backup and a lease', async () => {
    await fixture.start({ listeners, tokens });
    const environment = { PGPASSWORD: 'secret' };
    expect((await run(BACKUP, environment)).stdout).toBe('tar archive');
    const lease = await run(`lease lsn ${TENANT} ${TIMELINE} 0/5000`, environment);
    expect(Number(lease.stdout)).toBeGreaterThan(Date.now());
    await expect(run('show x', environment)).rejects.toThrow('unknown command');
  });

  test('is told of a wrong token, and of too many connections', async () => {
    await fixture.start({ listeners, tokens, settings: { connectionsMax: 1 } });
    await expect(run('set x', { PGPASSWORD: 'wrong' })).rejects.toThrow('the token was refused');
    await vi.waitFor(() => expect(fixture.service.counters.connectionsOpen).toBe(0));
    await fixture.opened();
    await expect(run('set x', { PGPASSWORD: 'secret' })).rejects.toThrow('too many connections');
  });
});
