import { mkdtempSync, rmSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseTenantName } from '@offshoot/types';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Catalog } from '../catalog/catalog.js';
import type { ImportProgress } from './import-progress.js';
import { importDefaults } from './import-settings.js';
import { type ImportPlace, type ImportRequest, importTenant } from './import-tenant.js';
import { type Answer, errorResponse, fakeSource, message, reply, resultSet } from './testing/fake-source.js';
import { type FakeStore, fakeStore } from './testing/fake-store.js';

const START = 0x200_0028n;
const WAL = Buffer.from(Array.from({ length: 5000 }, (_, at) => at & 0xff));
const END = START + 4000n;
const MAIN = Buffer.alloc(70_000, 'main');
const FAST = Buffer.alloc(3_000, 'fast');

const position = (lsn: bigint) => resultSet(['recptr', 'tli'], [`0/${lsn.toString(16)}`, '3']);
const archive = (name: string, location: string) => message('d', 'n', name, '\0', location, '\0');
const data = (bytes: Buffer) => message('d', 'd', bytes);
const progress = message('d', 'p', Buffer.alloc(8));

const backupHead = [
  position(START),
  resultSet(['spcoid', 'spclocation', 'size'], ['16999', '/srv/fast', '3'], [null, null, '69']),
  message('H', Buffer.from([0, 0, 0])),
];
const backupBody = [
  archive('16999.tar', '/srv/fast'),
  data(FAST),
  progress,
  archive('base.tar', ''),
  data(MAIN.subarray(0, 32_768)),
  data(MAIN.subarray(32_768)),
];
const backupTail = [message('c'), position(END), message('C', 'BASE_BACKUP\0')];

function xlogData(start: bigint, wal: Buffer): Buffer {
  const head = Buffer.alloc(25);
  head.write('w');
  head.writeBigUInt64BE(start, 1);
  return message('d', head, wal);
}

const keepalive = message('d', 'k', Buffer.alloc(16), Buffer.from([1]));
const walStream: Answer = (socket) =>
  socket.write(
    Buffer.concat([
      message('W', Buffer.from([0, 0, 0])),
      xlogData(START, WAL.subarray(0, 1000)),
      keepalive,
      xlogData(START + 1000n, WAL.subarray(1000)),
    ]),
  );

const wholeSource: Readonly<Record<string, Answer>> = {
  BASE_BACKUP: reply(...backupHead, ...backupBody, ...backupTail),
  START_REPLICATION: walStream,
};

let dir: string;
let catalog: Catalog;
let fake: FakeStore;
let removed: number;
/** Connection strings that were kept, and sources that were left, in the words of each. */
let urls: string[];
let left: string[];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'offshoot-import-'));
  catalog = Catalog.open(dir);
  fake = fakeStore();
  removed = 0;
  urls = [];
  left = [];
});

afterEach(async () => {
  await catalog.close();
  rmSync(dir, { recursive: true });
});

function place(settings: Partial<ImportPlace['settings']> = {}): ImportPlace {
  return {
    catalog,
    settings: { ...importDefaults, batchBytes: 16_384, ...settings },
    openStore: async () => fake.store,
    keepUrl: async (_, url) => void urls.push(url),
    leaveSource: async ({ source }, url) => void left.push(`${source.slot} ${url}`),
    removeFiles: async () => {
      removed += 1;
    },
    log: () => {},
  };
}

const request = (url: string, rest: Partial<ImportRequest> = {}): ImportRequest => ({
  name: parseTenantName('shop'),
  url,
  ...rest,
});

const coded = (code: string, text: RegExp = /./) =>
  expect.objectContaining({ code, message: expect.stringMatching(text) });

/** Nothing of the tenant is left, and the name can be used again. */
async function expectNothingLeft(): Promise<void> {
  expect(catalog.tenants()).toEqual([]);
  expect(catalog.branches()).toEqual([]);
  fake = fakeStore();
  await using source = await fakeSource(wholeSource);
  await importTenant(place(), request(source.url));
  expect(catalog.tenants()).toHaveLength(1);
}

describe('an import', () => {
  it('stores every archive, and WAL from the start to exactly the end', async () => {
    await using source = await fakeSource(wholeSource);
    const told: ImportProgress[] = [];
    const onProgress = (step: ImportProgress) => told.push(step);
    const { tenant, root } = await importTenant(
      place({ progressIntervalMs: 0 }),
      request(source.url, { onProgress }),
    );
    expect(fake.imports).toEqual([
      {
        index: tenant.rootIndex,
        startLsn: START,
        tli: 3,
        segmentBytes: 16 * 1024 * 1024,
        major: 15,
        systemIdentifier: 7000000000000000001n,
      },
    ]);
    expect([...fake.archives.keys()]).toEqual([16999, 0]);
    expect(fake.archives.get(16999)?.equals(FAST)).toBe(true);
    expect(fake.archives.get(0)?.equals(MAIN)).toBe(true);
    expect(Buffer.concat(fake.wal).equals(WAL.subarray(0, 4000))).toBe(true);
    expect(fake.calls.at(-1)).toBe('attach');
    expect(root.branch.name).toBe('shop');
    expect(root.timeline).toMatchObject({ readableFrom: END, lastRecordLsn: END, index: tenant.rootIndex });
    expect(tenant).toMatchObject({
      state: 'active',
      tli: 3,
      defaultUser: 'postgres',
      source: {
        url: source.url.replace(':secret', ''),
        systemIdentifier: '7000000000000000001',
        slot: `offshoot_${tenant.id.slice(0, 16)}`,
      },
      importStats: { startLsn: START, endLsn: END, archiveBytes: MAIN.length + FAST.length },
    });
    expect([...new Set(told.map(({ phase }) => phase))]).toEqual([
      'connect',
      'base_backup',
      'wal',
      'finish',
      'done',
    ]);
    expect(told.at(-1)).toMatchObject({
      bytesDone: MAIN.length + FAST.length,
      bytesTotal: 72 * 1024,
      walLsn: END,
    });
    const slot = `"offshoot_${tenant.id.slice(0, 16)}"`;
    expect(source.commands).toContain(`CREATE_REPLICATION_SLOT ${slot} PHYSICAL RESERVE_WAL`);
    expect(source.commands.at(-1)).toBe(`START_REPLICATION SLOT ${slot} PHYSICAL 0/2000028 TIMELINE 3`);
    expect(urls).toEqual([source.url]);
    expect(left).toEqual([]);
  });

  it.each([
    [
      'another major',
      { server_version_num: '160002' },
      'source_unsupported',
      /Postgres 16; only Postgres 15/,
    ],
    ['blocks of another size', { block_size: '16384' }, 'source_unsupported', /block size of 16384 bytes/],
    [
      'relation segments of another size',
      { segment_size: '2GB' },
      'source_unsupported',
      /relation segment size/,
    ],
    ['too little WAL', { wal_level: 'minimal' }, 'source_settings', /set it to replica/],
  ])('refuses %s before it stores anything', async (_, changed, code, text) => {
    const shows = Object.entries(changed).map(([name, value]) => [
      `SHOW ${name}`,
      reply(resultSet([name], [value])),
    ]);
    await using source = await fakeSource({ ...wholeSource, ...Object.fromEntries(shows) });
    await expect(importTenant(place(), request(source.url))).rejects.toEqual(coded(code, text));
    expect(fake.calls).toEqual([]);
    expect(catalog.tenants()).toEqual([]);
  });

  const fatal =
    (sqlState: string, text: string): Answer =>
    (socket: Socket) =>
      socket.end(errorResponse(sqlState, text, 'FATAL'));

  it.each<[string, Record<string, Answer>, string, RegExp]>([
    [
      'no entry in pg_hba',
      { login: fatal('28000', 'no pg_hba.conf entry for replication connection') },
      'source_access_denied',
      /host replication/,
    ],
    [
      'a wrong password',
      { login: fatal('28P01', 'password authentication failed') },
      'source_access_denied',
      /\.pgpass/,
    ],
    [
      'no WAL sender',
      {
        login: fatal(
          '53300',
          'number of requested standby connections exceeds max_wal_senders (currently 0)',
        ),
      },
      'source_settings',
      /raise max_wal_senders/,
    ],
    [
      'no permission',
      { login: fatal('42501', 'must be superuser or replication role to start walsender') },
      'source_access_denied',
      /REPLICATION attribute/,
    ],
    [
      'no slot',
      { CREATE_REPLICATION_SLOT: reply(errorResponse('53400', 'all replication slots are in use')) },
      'source_settings',
      /raise max_replication_slots/,
    ],
    [
      'an error in the backup',
      {
        BASE_BACKUP: reply(
          ...backupHead,
          archive('base.tar', ''),
          data(MAIN),
          errorResponse('58P01', 'could not open file'),
        ),
      },
      'source_failed',
      /sending its base backup: could not open file/,
    ],
    [
      'a connection that ends in the backup',
      { BASE_BACKUP: (socket) => socket.end(Buffer.concat([...backupHead, ...backupBody])) },
      'source_lost',
      /closed the connection/,
    ],
    [
      'garbage',
      { BASE_BACKUP: (socket) => socket.write(Buffer.alloc(100, 0xff)) },
      'source_protocol_violation',
      /length/,
    ],
    [
      'an archive with a strange name',
      { BASE_BACKUP: reply(...backupHead, archive('../x.tar', '')) },
      'source_protocol_violation',
      /named/,
    ],
    [
      'an archive before the start',
      { BASE_BACKUP: reply(message('H', Buffer.from([0, 0, 0])), archive('base.tar', '')) },
      'source_protocol_violation',
      /before its start/,
    ],
    [
      'a backup without its end',
      { BASE_BACKUP: reply(...backupHead, ...backupBody, message('c')) },
      'source_protocol_violation',
      /without its end/,
    ],
    [
      'WAL with a gap',
      { START_REPLICATION: (socket) => socket.write(xlogData(START + 8n, WAL)) },
      'source_protocol_violation',
      /0\/2000030 where 0\/2000028 was next/,
    ],
    [
      'WAL that ends early',
      { START_REPLICATION: reply(xlogData(START, WAL.subarray(0, 100)), message('c')) },
      'source_protocol_violation',
      /ended its WAL at 0\/200008C/,
    ],
    [
      'a source that falls silent',
      { BASE_BACKUP: (socket) => socket.write(Buffer.concat(backupHead)) },
      'source_lost',
      /said nothing/,
    ],
  ])('ends with a clear error on %s, leaves nothing, and can be repeated', async (_, answers, code, text) => {
    await using source = await fakeSource({ ...wholeSource, ...answers });
    const hasty = place({ silenceMsMax: 300 });
    await expect(importTenant(hasty, request(source.url))).rejects.toEqual(coded(code, text));
    const opened = fake.calls.length > 0;
    expect(fake.calls.includes('close')).toBe(opened);
    expect(fake.calls.includes('abort')).toBe(fake.calls.includes('begin'));
    expect(left).toEqual(urls.map((url) => expect.stringContaining(url)));
    await expectNothingLeft();
  });

  it.each(['begin', 'archive', 'write', 'finishBackup', 'wal', 'finish', 'attach'])(
    'leaves nothing when the engine fails at %s',
    async (call) => {
      fake = fakeStore(call);
      await using source = await fakeSource(wholeSource);
      await expect(importTenant(place(), request(source.url))).rejects.toThrow(`${call} failed`);
      expect(fake.calls.at(-1)).toBe('close');
      expect(removed).toBe(1);
      await expectNothingLeft();
    },
  );

  it.each([
    ['while it connects', { login: () => {} }],
    ['while it asks for names', { sql: () => {} }],
    [
      'in the backup',
      { BASE_BACKUP: (socket: Socket) => socket.write(Buffer.concat([...backupHead, ...backupBody])) },
    ],
    [
      'in the WAL',
      { START_REPLICATION: (socket: Socket) => socket.write(xlogData(START, WAL.subarray(0, 100))) },
    ],
  ])('can be cancelled %s', async (_, answers: Record<string, Answer>) => {
    await using source = await fakeSource({ ...wholeSource, ...answers });
    const abort = new AbortController();
    const running = importTenant(place(), request(source.url, { signal: abort.signal }));
    let abortedAtMs = 0;
    setTimeout(() => {
      abortedAtMs = Date.now();
      abort.abort();
    }, 100);
    await expect(running).rejects.toEqual(coded('import_cancelled'));
    expect(Date.now() - abortedAtMs).toBeLessThan(5000);
    await expectNothingLeft();
  });

  it('does not begin with a name that is taken, a signal that is aborted, or no connection string', async () => {
    await using source = await fakeSource(wholeSource);
    const aborted = request(source.url, { signal: AbortSignal.abort() });
    await expect(importTenant(place(), aborted)).rejects.toEqual(coded('import_cancelled'));
    await expect(importTenant(place(), request('db.example'))).rejects.toEqual(coded('source_url_invalid'));
    const odd = 'postgres://alice:secret@db:port/shop?sslrootcert=/no/such/file';
    const error = await importTenant(place(), request(odd)).catch((thrown: unknown) => thrown);
    expect(error).toEqual(coded('source_url_invalid'));
    expect(JSON.stringify([error, String((error as Error).cause)])).not.toContain('secret');
    const fileless = 'postgres://alice:secret@db/shop?sslmode=verify-full&sslrootcert=/no/such/file';
    const told = await importTenant(place(), request(fileless)).catch((thrown: unknown) => thrown);
    expect(told).toEqual(coded('source_url_invalid', /\/no\/such\/file/));
    expect(String(told)).not.toContain('secret');
    await importTenant(place(), request(source.url));
    const commands = source.commands.length;
    await expect(importTenant(place(), request(source.url))).rejects.toEqual(coded('name_taken'));
    expect(source.commands).toHaveLength(commands);
  });

  it('says that nothing answers', async () => {
    const source = await fakeSource();
    await source[Symbol.asyncDispose]();
    await expect(importTenant(place(), request(source.url))).rejects.toEqual(
      coded('source_unreachable', /ECONNREFUSED/),
    );
  });

  it('keeps a tenant whose files cannot be removed, as failed', async () => {
    fake = fakeStore('finish');
    await using source = await fakeSource(wholeSource);
    const stuck = { ...place(), removeFiles: () => Promise.reject(new Error('read-only file system')) };
    await expect(importTenant(stuck, request(source.url))).rejects.toThrow('finish failed');
    expect(catalog.tenants()).toEqual([
      expect.objectContaining({ state: 'failed', failure: 'finish failed' }),
    ]);
  });

  it('holds the source back when the engine is slow', async () => {
    const piece = data(Buffer.alloc(256 * 1024, 'large'));
    const total = 64 * 1024 * 1024;
    let sent = 0;
    const send = (socket: Socket): void => {
      if (sent < total) {
        sent += piece.length;
        socket.write(piece, () => send(socket));
      } else {
        reply(...backupTail)(socket);
      }
    };
    const begin: Answer = (socket) => {
      socket.write(Buffer.concat([...backupHead, archive('base.tar', '')]));
      send(socket);
    };
    let stored = 0;
    let aheadMax = 0;
    fake = fakeStore('', async (bytes) => {
      await new Promise((resolve) => setTimeout(resolve, 2));
      stored += bytes;
      aheadMax = Math.max(aheadMax, sent - stored);
    });
    await using source = await fakeSource({ ...wholeSource, BASE_BACKUP: begin });
    await importTenant(place({ batchBytes: 256 * 1024 }), request(source.url));
    expect(stored).toBeGreaterThanOrEqual(total);
    // Three batches here; the rest is what sockets hold.
    expect(aheadMax).toBeLessThan(24 * 1024 * 1024);
  });
});
