import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gunzipSync } from 'node:zlib';
import { LSN_MAX, type Lsn, OffshootError } from '@offshoot/types';
import {
  type PagestreamRequest,
  pagestreamRequestFrame,
  parsePagestreamResponse,
  type RelationFork,
} from '@offshoot/wire';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { PageService, type PageServiceOptions } from './page-service.js';
import { pageServiceError } from './page-service-error.js';
import { chunked, FakePageSource, OTHER_TENANT, TENANT, TIMELINE } from './testing/fake-page-source.js';
import {
  CANCEL_REQUEST,
  connectOptions,
  errorOf,
  frame,
  query,
  RawClient,
  type ServerMessage,
  STARTUP,
  typesOf,
} from './testing/raw-client.js';

const STREAM = `pagestream_v3 ${TENANT} ${TIMELINE}`;
const BACKUP = `basebackup ${TENANT} ${TIMELINE}`;
const rel: RelationFork = { spcnode: 1663, dbnode: 5, relnode: 16384, fork: 0 };
const FAR = 0x200_0000n as Lsn;

let directory: string;
let source: FakePageSource;
let service: PageService;
let clients: RawClient[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'page-service-'));
  source = new FakePageSource();
  clients = [];
});

afterEach(async () => {
  for (const client of clients) {
    client.close();
  }
  await service?.close();
  rmSync(directory, { recursive: true, force: true });
});

async function start(options: Partial<PageServiceOptions> = {}): Promise<void> {
  const listeners = [{ kind: 'unix', path: join(directory, 's'), mode: 0o600, auth: 'trust' }] as const;
  service = await PageService.start({ source, listeners, ...options });
}

async function opened(open: typeof RawClient.open = RawClient.open): Promise<RawClient> {
  const client = await open(service.addresses[0] ?? 'unix:');
  clients.push(client);
  return client;
}

const ready = () => opened(RawClient.ready);

async function streaming(text = STREAM): Promise<RawClient> {
  const client = await ready();
  client.send(query(text));
  await client.until('W');
  return client;
}

function request(request: PagestreamRequest, notModifiedSince = 1n as Lsn, version: 2 | 3 = 3): Buffer {
  return pagestreamRequestFrame(version, { requestId: 7n, requestLsn: LSN_MAX, notModifiedSince }, request);
}

const getPage = (block: number, since?: Lsn, relnode = rel.relnode) =>
  request({ kind: 'GetPage', rel: { ...rel, relnode }, block }, since);

/** What an answer says, in a word. */
function wordOf(message: ServerMessage | undefined, version: 2 | 3 = 3): string {
  if (message?.type !== 'd') {
    return message?.type ?? 'closed';
  }
  const response = parsePagestreamResponse(version, message.body);
  switch (response.kind) {
    case 'GetPage':
      return `page ${response.page[0]}`;
    case 'Error':
      return `error ${response.message}`;
    default:
      return response.kind;
  }
}

async function words(client: RawClient, count: number): Promise<string[]> {
  const answers: string[] = [];
  while (answers.length < count) {
    answers.push(wordOf(await client.message()));
  }
  return answers;
}

/** A client that still gets its answer: the service lives. */
async function expectAlive(): Promise<void> {
  const client = await streaming();
  client.send(getPage(3));
  expect(wordOf(await client.message())).toBe('page 3');
}

describe('a page stream', () => {
  test.each([2, 3] as const)('version %i answers all requests', async (version) => {
    await start();
    const client = await streaming(`pagestream_v${version} ${TENANT} ${TIMELINE}`);
    const requests: PagestreamRequest[] = [
      { kind: 'Exists', rel },
      { kind: 'Nblocks', rel },
      { kind: 'GetPage', rel, block: 200 },
      { kind: 'DbSize', dbnode: 5 },
      { kind: 'GetSlruSegment', slruKind: 0, segno: 1 },
    ];
    client.send(...requests.map((one) => request(one, 1n as Lsn, version)));
    for (const expected of ['Exists', 'Nblocks', 'page 200', 'DbSize', 'GetSlruSegment']) {
      expect(wordOf(await client.message(), version)).toBe(expected);
    }
    expect(service.counters.requests).toEqual({
      exists: 1,
      nblocks: 1,
      get_page: 1,
      db_size: 1,
      get_slru_segment: 1,
      unknown: 0,
    });
  });

  test('thousands of pipelined requests are answered in order, in bounded calls', async () => {
    await start();
    const client = await streaming();
    const count = 5000;
    client.send(...Array.from({ length: count }, (_, block) => getPage(block)));
    for (let block = 0; block < count; block++) {
      expect(wordOf(await client.message())).toBe(`page ${block % 256}`);
    }
    expect(Math.max(...source.calls)).toBeLessThanOrEqual(63);
    expect(source.calls.length).toBeLessThan(count / 10);
    expect(service.bytesInFlight).toBe(0);
  });

  test('byte by byte', async () => {
    await start();
    const client = await opened();
    for (const byte of Buffer.concat([STARTUP, query(STREAM), getPage(1), getPage(2)])) {
      client.send(Buffer.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await client.until('W');
    expect(await words(client, 2)).toEqual(['page 1', 'page 2']);
  });

  test('an error of one request is told in the stream', async () => {
    await start();
    const client = await streaming();
    client.send(getPage(1), getPage(1, 1n as Lsn, 0), getPage(2));
    expect(await words(client, 3)).toEqual(['page 1', 'error relation 0 does not exist', 'page 2']);
  });

  test('what concerns a whole batch is told to each of its requests', async () => {
    await start();
    source.pagesError = new OffshootError('invalid_argument', 'detached');
    const client = await streaming();
    client.send(getPage(1), getPage(2));
    expect(await words(client, 2)).toEqual(['error detached', 'error detached']);
    source.pagesError = undefined;
    client.send(getPage(3));
    expect(await words(client, 1)).toEqual(['page 3']);
    expect(service.counters.errors).toEqual({ invalid_argument: 2 });
  });

  test('an unknown timeline is told in the stream', async () => {
    await start();
    const client = await streaming(`pagestream_v3 ${OTHER_TENANT} ${TIMELINE}`);
    client.send(getPage(1), request({ kind: 'Nblocks', rel }));
    expect(await words(client, 2)).toEqual(Array(2).fill('error there is no such timeline'));
  });

  test('a call to come back elsewhere ends the connection', async () => {
    await start();
    const client = await streaming();
    source.timelineError = pageServiceError('connection_lost', 'not here');
    client.send(getPage(1));
    const messages = await client.rest();
    expect(typesOf(messages)).toBe('E');
    expect(errorOf(messages[0])).toBe('08006 not here');
  });

  test('a malformed request ends the stream after the answers to those before it', async () => {
    await start();
    const client = await streaming();
    client.send(getPage(1), frame('d', 'x'), getPage(2), query('set x'));
    const messages = [await client.message(), ...(await client.until('Z')), ...(await client.until('Z'))];
    expect(wordOf(messages[0])).toBe('page 1');
    expect(messages.slice(1).map((one) => one?.type)).toEqual(['E', 'Z', 'C', 'Z']);
    expect(errorOf(messages[1])).toBe('XX000 malformed request');
  });

  test('requests accepted before the client stopped sending are answered', async () => {
    await start();
    const client = await streaming();
    client.send(getPage(1), getPage(2), getPage(3).subarray(0, 20));
    client.socket.end();
    expect((await client.rest()).map((message) => wordOf(message))).toEqual(['page 1', 'page 2']);
  });
});

describe('waiting for an LSN', () => {
  test('goes on when it comes', async () => {
    await start();
    const client = await streaming();
    client.send(getPage(1), getPage(2, FAR), getPage(3));
    expect(await words(client, 1)).toEqual(['page 1']);
    source.progress.advance(FAR);
    expect(await words(client, 2)).toEqual(['page 2', 'page 3']);
  });

  test('fails in the stream, for the requests that wait, once per batch', async () => {
    await start({ settings: { lsnWaitTimeoutMs: 100 } });
    const client = await streaming();
    client.send(getPage(1), getPage(2, FAR), getPage(3), getPage(4, FAR), getPage(5));
    const began = performance.now();
    const error = 'error LSN 0/2000000 did not come in time; 0/1000000 is reached';
    expect(await words(client, 5)).toEqual(['page 1', error, 'page 3', error, 'page 5']);
    expect(performance.now() - began).toBeLessThan(1000);
  });

  test('stalls nobody else, and ends with its client', async () => {
    await start();
    const waiting = await streaming();
    waiting.send(getPage(2, FAR));
    await expectAlive();
    waiting.close();
    source.progress.advance(FAR);
    await vi.waitFor(() => expect(service.counters.connectionsOpen).toBe(1));
  });

  test.each([
    ['basebackup', `${BACKUP} 0/2000000`],
    ['relations', `relations ${TENANT} ${TIMELINE} 0/2000000 1663 5`],
  ])('%s waits too', async (_name, text) => {
    await start({ settings: { lsnWaitTimeoutMs: 100 } });
    const client = await ready();
    client.send(query(text));
    const refused = await client.until('Z');
    expect(errorOf(refused[0])).toMatch('XX000 LSN 0/2000000 did not come in time');
    client.send(query(text));
    source.progress.advance(FAR);
    expect(typesOf(await client.until('Z'))).toMatch(/^Hd+cCZ$/);
  });
});

describe('commands', () => {
  const bodyOf = (messages: ServerMessage[]) =>
    Buffer.concat(messages.filter(({ type }) => type === 'd').map(({ body }) => body));
  const execute = [frame('B', '\0\0\0\0\0\0\0\0'), frame('E', '\0\0\0\0\0'), frame('S')];

  test('a base backup, by query and by execute', async () => {
    await start();
    const client = await ready();
    client.send(query(BACKUP));
    const plain = await client.until('Z');
    expect(typesOf(plain)).toBe('HddcCZ');
    expect(bodyOf(plain).toString()).toBe('tar archive');
    client.send(frame('P', `\0${BACKUP} 0/1000 --replica --first-page\0\0\0`), ...execute);
    expect(typesOf(await client.until('Z'))).toBe('12HddcCZ');
    client.send(query(`fullbackup ${TENANT} ${TIMELINE}`));
    expect(typesOf(await client.until('Z'))).toBe('HddcCZ');
    expect(source.backups).toEqual([
      { lsn: undefined, kind: 'base', wal: 'whole-segment', startAs: 'primary' },
      { lsn: 0x1000n, kind: 'base', wal: 'first-page', startAs: 'replica' },
      { lsn: undefined, kind: 'full', wal: 'whole-segment', startAs: 'primary' },
    ]);
  });

  test('a compressed base backup', async () => {
    await start();
    const chunk = Buffer.alloc(1_000_000, 'abc');
    source.archive = () => chunked([chunk, chunk, chunk]);
    const client = await ready();
    client.send(query(`${BACKUP} --gzip`));
    const body = bodyOf(await client.until('Z'));
    expect(body.length).toBeLessThan(100_000);
    expect(gunzipSync(body).equals(Buffer.concat([chunk, chunk, chunk]))).toBe(true);
  });

  test.each(['', ' --gzip'])('an error in the middle of a backup%s', async (flag) => {
    await start();
    let ended = false;
    source.archive = async function* () {
      try {
        yield Buffer.from('begin');
        throw new OffshootError('invalid_argument', 'lost it');
      } finally {
        ended = true;
      }
    };
    const client = await ready();
    client.send(query(BACKUP + flag));
    const messages = await client.until('Z');
    expect(typesOf(messages)).toMatch(/^Hd*EZ$/);
    expect(errorOf(messages.at(-2))).toBe('22023 lost it');
    expect(ended).toBe(true);
  });

  test.each(['', ' --gzip'])('a client that leaves a backup%s ends it', async (flag) => {
    await start();
    let ended = false;
    source.archive = async function* () {
      try {
        for (;;) {
          yield Buffer.from(crypto.getRandomValues(new Uint8Array(65_536)));
        }
      } finally {
        ended = true;
      }
    };
    const client = await ready();
    client.send(query(BACKUP + flag));
    await client.message();
    client.close();
    await vi.waitFor(() => expect(ended).toBe(true));
    await vi.waitFor(() => expect(service.counters.connectionsOpen).toBe(0));
  });

  test('relations', async () => {
    await start({ settings: { copyDataBytesMax: 26 } });
    const client = await ready();
    client.send(query(`relations ${TENANT} ${TIMELINE} latest 1663 5`));
    const messages = await client.until('Z');
    expect(typesOf(messages)).toBe('HddcCZ');
    expect(bodyOf(messages).equals(source.listing)).toBe(true);
  });

  test('leases', async () => {
    await start();
    const client = await ready();
    const value = async (lsn: string) => {
      client.send(query(`lease lsn ${TENANT} ${TIMELINE} ${lsn} `));
      const messages = await client.until('Z');
      expect(typesOf(messages)).toBe('TDCZ');
      return messages[1]?.body.subarray(6).toString();
    };
    const tenMinutes = Date.now() + 600_000;
    expect(Number(await value('0/123456'))).toBeGreaterThanOrEqual(tenMinutes);
    expect(await value(`0/FF8`)).toBe('');
  });

  test('errors leave the connection usable', async () => {
    await start();
    const client = await ready();
    for (const text of ['show x', `${BACKUP} --gzip --gzip`, BACKUP.replace(TIMELINE, TENANT)]) {
      client.send(query(text));
      expect(typesOf(await client.until('Z'))).toBe('EZ');
    }
    client.send(query('set x'));
    expect(typesOf(await client.until('Z'))).toBe('CZ');
  });
});

describe('limits', () => {
  test('a slow reader stalls only itself, and little is made for it', async () => {
    await start({ settings: { inFlightBytesPerConnectionMax: 1_000_000, inFlightBytesTotalMax: 1_000_000 } });
    const slow = await streaming();
    slow.socket.pause();
    const count = 3000;
    slow.send(...Array.from({ length: count }, (_, block) => getPage(block)));
    await vi.waitFor(() => expect(service.bytesInFlight).toBeGreaterThan(100_000));
    await expectAlive();
    await new Promise((resolve) => setTimeout(resolve, 100));
    const made = source.calls.reduce((sum, calls) => sum + calls, 0);
    expect(made * 8239).toBeLessThan(5_000_000);
    expect(service.bytesInFlight).toBeLessThan(1_100_000);
    slow.socket.resume();
    expect((await words(slow, count)).at(-1)).toBe(`page ${(count - 1) % 256}`);
    expect(service.bytesInFlight).toBe(0);
  });

  test('a slow reader that leaves gives back what it held', async () => {
    await start();
    const slow = await streaming();
    slow.socket.pause();
    slow.send(...Array.from({ length: 2000 }, (_, block) => getPage(block)));
    await vi.waitFor(() => expect(service.bytesInFlight).toBeGreaterThan(100_000));
    slow.close();
    await vi.waitFor(() => expect(service.bytesInFlight).toBe(0));
    await vi.waitFor(() => expect(service.counters.connectionsOpen).toBe(0));
  });

  test('input that is not looked at is bounded', async () => {
    await start();
    let open = () => {};
    source.gate = new Promise((resolve) => {
      open = resolve;
    });
    const client = await streaming();
    const requests = Array.from({ length: 100_000 }, (_, block) => getPage(block, 1n as Lsn, 0));
    client.send(...requests);
    await vi.waitFor(() => expect(service.counters.bytesReceived).toBeGreaterThan(200_000));
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(service.counters.bytesReceived).toBeLessThan(500_000);
    open();
    expect(new Set(await words(client, requests.length))).toEqual(
      new Set(['error relation 0 does not exist']),
    );
  });

  test('too many connections are told so', async () => {
    await start({ settings: { connectionsMax: 1, connectionsRefusedMax: 1, closeLingerMs: 100 } });
    const first = await ready();
    const second = await opened();
    const third = await opened();
    expect(await third.rest()).toEqual([]);
    second.send(STARTUP);
    const messages = await second.rest();
    expect(errorOf(messages[0])).toBe('53300 too many connections');
    expect(messages.length).toBe(1);
    first.close();
    await vi.waitFor(() => expect(service.counters.connectionsOpen).toBe(0));
    await ready();
    expect(service.counters).toMatchObject({ connectionsAccepted: 2, connectionsRefused: 2 });
  });

  test('a handshake has its time', async () => {
    await start({ settings: { handshakeTimeoutMs: 100 } });
    const fast = await ready();
    const slow = await opened();
    slow.send(STARTUP.subarray(0, 10));
    expect(await slow.rest()).toEqual([]);
    fast.send(query('set x'));
    expect(typesOf(await fast.until('Z'))).toBe('CZ');
  });

  test('an idle connection is closed; one that works is not', async () => {
    await start({ settings: { idleTimeoutMs: 150 } });
    const idle = await ready();
    const working = await streaming();
    working.send(getPage(1, FAR));
    expect(await idle.rest()).toEqual([]);
    await new Promise((resolve) => setTimeout(resolve, 200));
    source.progress.advance(FAR);
    expect(await words(working, 1)).toEqual(['page 1']);
  });

  test.each([
    ['garbage', Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')],
    ['a startup packet of 2 GB', Buffer.from('7fffffff00030000', 'hex')],
    ['a startup packet of length 0', Buffer.alloc(8)],
    ['a CancelRequest', CANCEL_REQUEST],
    ['a message of 2 GB', Buffer.concat([STARTUP, Buffer.from('517fffffff', 'hex')])],
    ['a request of 2 GB', Buffer.concat([STARTUP, query(STREAM), Buffer.from('647fffffff', 'hex')])],
    ['an unknown message', Buffer.concat([STARTUP, Buffer.from('H\0\0\0\x04')])],
    ['random bytes', Buffer.from(Array.from({ length: 10_000 }, (_, at) => (at * 7919) % 256))],
  ])('%s ends that connection only', async (_name, bytes) => {
    await start();
    const client = await opened();
    client.send(bytes);
    const messages = await client.rest();
    expect(['', 'E']).toContain(typesOf(messages.filter(({ type }) => !'RSZW'.includes(type))));
    await expectAlive();
  });

  test('settings must make sense', async () => {
    await expect(start({ settings: { requestsPerCallMax: 0 } })).rejects.toThrow('requestsPerCallMax');
    await expect(start({ settings: { inputBytesMax: 10 } })).rejects.toThrow('inputBytesMax');
    const listeners = [{ kind: 'tcp', host: '127.0.0.1', port: 0, auth: 'token' }] as const;
    await expect(start({ listeners })).rejects.toThrow('token provider');
  });
});

describe('shutdown', () => {
  test('says so to everyone and leaves nothing', async () => {
    await start({ settings: { closeLingerMs: 200 } });
    const idle = await ready();
    const streams = await streaming();
    const waiting = await streaming();
    waiting.send(getPage(1, FAR));
    const slow = await streaming();
    slow.socket.pause();
    slow.send(...Array.from({ length: 2000 }, (_, block) => getPage(block)));
    await vi.waitFor(() => expect(service.bytesInFlight).toBeGreaterThan(100_000));
    const closing = service.close();
    for (const client of [idle, streams, waiting]) {
      const messages = await client.rest();
      expect(errorOf(messages[0])).toBe('57P01 the page server is shutting down');
      expect(messages.length).toBe(1);
    }
    await closing;
    expect(service.counters.connectionsOpen).toBe(0);
    expect(service.bytesInFlight).toBe(0);
    expect(existsSync(join(directory, 's'))).toBe(false);
  });

  test('interrupts a backup', async () => {
    await start({ settings: { closeLingerMs: 200 } });
    source.archive = async function* () {
      for (;;) {
        yield* chunked([Buffer.alloc(65_536)]);
      }
    };
    const client = await ready();
    client.send(query(BACKUP));
    await client.message();
    const [messages] = await Promise.all([client.rest(), service.close()]);
    expect(errorOf(messages.at(-1))).toMatch('57P01');
  });
});

describe('a Unix listener', () => {
  const path = () => join(directory, 's');

  test('takes the place of a socket that nobody listens on', async () => {
    const server = createServer().listen(path());
    await new Promise((resolve) => server.once('listening', resolve));
    await expect(start()).rejects.toMatchObject({ code: 'listen_failed' });
    await expect(start()).rejects.toThrow('another process');
    // A killed process leaves its socket behind.
    const left = promisify(execFile)(process.execPath, [
      '-e',
      `require('net').createServer().listen(${JSON.stringify(`${path()}2`)}, () => process.kill(process.pid, 'SIGKILL'))`,
    ]);
    await expect(left).rejects.toThrow();
    await start({ listeners: [{ kind: 'unix', path: `${path()}2`, mode: 0o600, auth: 'trust' }] });
    await expectAlive();
    server.close();
  });

  test('does not remove a file', async () => {
    writeFileSync(path(), 'precious');
    await expect(start()).rejects.toThrow('no socket');
    expect(existsSync(path())).toBe(true);
  });

  test('says when a path is too long', async () => {
    const listeners = [
      { kind: 'unix', path: `/tmp/${'x'.repeat(120)}`, mode: 0o600, auth: 'trust' },
    ] as const;
    await expect(start({ listeners })).rejects.toThrow('at most 107');
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
    await start({ listeners, tokens: async () => granted });
    const client = await opened();
    client.send(STARTUP, frame('p', `${token}\0`));
    expect(typesOf(await (answer === '' ? client.rest() : client.until('Z')))).toBe(handshake);
    if (answer !== '') {
      client.send(query(BACKUP));
      expect(typesOf(await client.until('Z'))).toBe(answer);
    }
  });
});

const psql = ['/usr/bin/psql', '/usr/lib/postgresql/15/bin/psql'].find((path) => existsSync(path));

describe.skipIf(psql === undefined)('psql', () => {
  const run = async (text: string, environment: Record<string, string> = {}) => {
    const { host, port } = connectOptions(service.addresses[0] ?? 'unix:') as { host: string; port: number };
    const url = `postgresql://u@${host}:${port}/d`;
    const env = { PATH: process.env.PATH, ...environment };
    return promisify(execFile)(psql ?? '', ['-XAt', url, '-c', text], { env });
  };
  const listeners = [{ kind: 'tcp', host: '127.0.0.1', port: 0, auth: 'token' }] as const;
  const tokens = () => [{ token: 'secret', scope: 'all-tenants' }] as const;

  test('fetches a backup and a lease', async () => {
    await start({ listeners, tokens });
    const environment = { PGPASSWORD: 'secret' };
    expect((await run(BACKUP, environment)).stdout).toBe('tar archive');
    const lease = await run(`lease lsn ${TENANT} ${TIMELINE} 0/5000`, environment);
    expect(Number(lease.stdout)).toBeGreaterThan(Date.now());
    await expect(run('show x', environment)).rejects.toThrow('unknown command');
  });

  test('is told of a wrong token, and of too many connections', async () => {
    await start({ listeners, tokens, settings: { connectionsMax: 1 } });
    await expect(run('set x', { PGPASSWORD: 'wrong' })).rejects.toThrow('the token was refused');
    await vi.waitFor(() => expect(service.counters.connectionsOpen).toBe(0));
    await opened();
    await expect(run('set x', { PGPASSWORD: 'secret' })).rejects.toThrow('too many connections');
  });
});
