import { gunzipSync } from 'node:zlib';
import { type Lsn, OffshootError } from '@offshoot/types';
import type { PagestreamRequest } from '@offshoot/wire';
import { describe, expect, test, vi } from 'vitest';
import { pageServiceError } from './page-service-error.js';
import { chunked, OTHER_TENANT, TENANT, TIMELINE } from './testing/fake-page-source.js';
import {
  BACKUP,
  FAR,
  getPage,
  getPages,
  PageServiceFixture,
  REL,
  request,
  STREAM,
  wordOf,
  words,
} from './testing/page-service-fixture.js';
import { errorOf, frame, query, type ServerMessage, STARTUP, typesOf } from './testing/raw-client.js';

const fixture = PageServiceFixture.forEachTest();

describe('a page stream', () => {
  test.each([2, 3] as const)('version %i answers all requests', async (version) => {
    await fixture.start();
    const client = await fixture.streaming(`pagestream_v${version} ${TENANT} ${TIMELINE}`);
    const requests: PagestreamRequest[] = [
      { kind: 'Exists', rel: REL },
      { kind: 'Nblocks', rel: REL },
      { kind: 'GetPage', rel: REL, block: 200 },
      { kind: 'DbSize', dbnode: 5 },
      { kind: 'GetSlruSegment', slruKind: 0, segno: 1 },
    ];
    client.send(...requests.map((one) => request(one, 1n as Lsn, version)));
    for (const expected of ['Exists', 'Nblocks', 'page 200', 'DbSize', 'GetSlruSegment']) {
      expect(wordOf(await client.message(), version)).toBe(expected);
    }
    expect(fixture.service.counters.requests).toEqual({
      exists: 1,
      nblocks: 1,
      get_page: 1,
      db_size: 1,
      get_slru_segment: 1,
      unknown: 0,
    });
  });

  test('thousands of pipelined requests are answered in order, in bounded calls', async () => {
    await fixture.start();
    const client = await fixture.streaming();
    const count = 5000;
    client.send(...getPages(count));
    for (let block = 0; block < count; block++) {
      expect(wordOf(await client.message())).toBe(`page ${block % 256}`);
    }
    expect(Math.max(...fixture.source.calls)).toBeLessThanOrEqual(63);
    expect(fixture.source.calls.length).toBeLessThan(count / 10);
    await vi.waitFor(() => expect(fixture.service.bytesInFlight).toBe(0));
  });

  test('byte by byte', async () => {
    await fixture.start();
    const client = await fixture.opened();
    for (const byte of Buffer.concat([STARTUP, query(STREAM), getPage(1), getPage(2)])) {
      client.send(Buffer.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await client.until('W');
    expect(await words(client, 2)).toEqual(['page 1', 'page 2']);
  });

  test('an error of one request is told in the stream', async () => {
    await fixture.start();
    const client = await fixture.streaming();
    client.send(getPage(1), getPage(1, 1n as Lsn, 0), getPage(2));
    expect(await words(client, 3)).toEqual(['page 1', 'error relation 0 does not exist', 'page 2']);
  });

  test('what concerns a whole batch is told to each of its requests', async () => {
    await fixture.start();
    fixture.source.pagesError = new OffshootError('invalid_argument', 'detached');
    const client = await fixture.streaming();
    client.send(getPage(1), getPage(2));
    expect(await words(client, 2)).toEqual(['error detached', 'error detached']);
    fixture.source.pagesError = undefined;
    client.send(getPage(3));
    expect(await words(client, 1)).toEqual(['page 3']);
    expect(fixture.service.counters.errors).toEqual({ invalid_argument: 2 });
  });

  test('an unknown timeline is told in the stream', async () => {
    await fixture.start();
    const client = await fixture.streaming(`pagestream_v3 ${OTHER_TENANT} ${TIMELINE}`);
    client.send(getPage(1), request({ kind: 'Nblocks', rel: REL }));
    expect(await words(client, 2)).toEqual(Array(2).fill('error there is no such timeline'));
  });

  test('a call to come back elsewhere ends the connection', async () => {
    await fixture.start();
    const client = await fixture.streaming();
    fixture.source.timelineError = pageServiceError('connection_lost', 'not here');
    client.send(getPage(1));
    const messages = await client.rest();
    expect(typesOf(messages)).toBe('E');
    expect(errorOf(messages[0])).toBe('08006 not here');
  });

  test('a malformed request ends the stream after the answers to those before it', async () => {
    await fixture.start();
    const client = await fixture.streaming();
    client.send(getPage(1), frame('d', 'x'), getPage(2), query('set x'));
    const messages = [await client.message(), ...(await client.until('Z')), ...(await client.until('Z'))];
    expect(wordOf(messages[0])).toBe('page 1');
    expect(messages.slice(1).map((one) => one?.type)).toEqual(['E', 'Z', 'C', 'Z']);
    expect(errorOf(messages[1])).toBe('XX000 malformed request');
  });

  test('requests accepted before the client stopped sending are answered', async () => {
    await fixture.start();
    const client = await fixture.streaming();
    client.send(getPage(1), getPage(2), getPage(3).subarray(0, 20));
    client.socket.end();
    expect((await client.rest()).map((message) => wordOf(message))).toEqual(['page 1', 'page 2']);
  });
});

describe('waiting for an LSN', () => {
  test('goes on when it comes', async () => {
    await fixture.start();
    const client = await fixture.streaming();
    client.send(getPage(1), getPage(2, FAR), getPage(3));
    expect(await words(client, 1)).toEqual(['page 1']);
    fixture.source.progress.advance(FAR);
    expect(await words(client, 2)).toEqual(['page 2', 'page 3']);
  });

  test('fails in the stream, for the requests that wait, once per batch', async () => {
    await fixture.start({ settings: { lsnWaitTimeoutMs: 100 } });
    const client = await fixture.streaming();
    client.send(getPage(1), getPage(2, FAR), getPage(3), getPage(4, FAR), getPage(5));
    const began = performance.now();
    const error = 'error LSN 0/2000000 did not come in time; 0/1000000 is reached';
    expect(await words(client, 5)).toEqual(['page 1', error, 'page 3', error, 'page 5']);
    expect(performance.now() - began).toBeLessThan(1000);
  });

  test('stalls nobody else, and ends with its client', async () => {
    await fixture.start();
    const waiting = await fixture.streaming();
    waiting.send(getPage(2, FAR));
    await fixture.expectAlive();
    waiting.close();
    fixture.source.progress.advance(FAR);
    await vi.waitFor(() => expect(fixture.service.counters.connectionsOpen).toBe(1));
  });

  test.each([
    ['basebackup', `${BACKUP} 0/2000000`],
    ['relations', `relations ${TENANT} ${TIMELINE} 0/2000000 1663 5`],
  ])('%s waits too', async (_name, text) => {
    await fixture.start({ settings: { lsnWaitTimeoutMs: 100 } });
    const client = await fixture.ready();
    client.send(query(text));
    const refused = await client.until('Z');
    expect(errorOf(refused[0])).toMatch('XX000 LSN 0/2000000 did not come in time');
    client.send(query(text));
    fixture.source.progress.advance(FAR);
    expect(typesOf(await client.until('Z'))).toMatch(/^Hd+cCZ$/);
  });
});

describe('commands', () => {
  const bodyOf = (messages: ServerMessage[]) =>
    Buffer.concat(messages.filter(({ type }) => type === 'd').map(({ body }) => body));
  const execute = [frame('B', '\0\0\0\0\0\0\0\0'), frame('E', '\0\0\0\0\0'), frame('S')];

  test('a base backup, by query and by execute', async () => {
    await fixture.start();
    const client = await fixture.ready();
    client.send(query(BACKUP));
    const plain = await client.until('Z');
    expect(typesOf(plain)).toBe('HddcCZ');
    expect(bodyOf(plain).toString()).toBe('tar archive');
    client.send(frame('P', `\0${BACKUP} 0/1000 --replica --first-page\0\0\0`), ...execute);
    expect(typesOf(await client.until('Z'))).toBe('12HddcCZ');
    client.send(query(`fullbackup ${TENANT} ${TIMELINE}`));
    expect(typesOf(await client.until('Z'))).toBe('HddcCZ');
    expect(fixture.source.backups).toEqual([
      { lsn: undefined, kind: 'base', wal: 'whole-segment', startAs: 'primary' },
      { lsn: 0x1000n, kind: 'base', wal: 'first-page', startAs: 'replica' },
      { lsn: undefined, kind: 'full', wal: 'whole-segment', startAs: 'primary' },
    ]);
  });

  test('a compressed base backup', async () => {
    await fixture.start();
    const chunk = Buffer.alloc(1_000_000, 'abc');
    fixture.source.archive = () => chunked([chunk, chunk, chunk]);
    const client = await fixture.ready();
    client.send(query(`${BACKUP} --gzip`));
    const body = bodyOf(await client.until('Z'));
    expect(body.length).toBeLessThan(100_000);
    expect(gunzipSync(body).equals(Buffer.concat([chunk, chunk, chunk]))).toBe(true);
  });

  test.each(['', ' --gzip'])('an error in the middle of a backup%s', async (flag) => {
    await fixture.start();
    let ended = false;
    fixture.source.archive = async function* () {
      try {
        yield Buffer.from('begin');
        throw new OffshootError('invalid_argument', 'lost it');
      } finally {
        ended = true;
      }
    };
    const client = await fixture.ready();
    client.send(query(BACKUP + flag));
    const messages = await client.until('Z');
    expect(typesOf(messages)).toMatch(/^Hd*EZ$/);
    expect(errorOf(messages.at(-2))).toBe('22023 lost it');
    expect(ended).toBe(true);
  });

  test.each(['', ' --gzip'])('a client that leaves a backup%s ends it', async (flag) => {
    await fixture.start();
    let ended = false;
    fixture.source.archive = async function* () {
      try {
        for (;;) {
          yield Buffer.from(crypto.getRandomValues(new Uint8Array(65_536)));
        }
      } finally {
        ended = true;
      }
    };
    const client = await fixture.ready();
    client.send(query(BACKUP + flag));
    await client.message();
    client.close();
    await vi.waitFor(() => expect(ended).toBe(true));
    await vi.waitFor(() => expect(fixture.service.counters.connectionsOpen).toBe(0));
  });

  test('relations', async () => {
    await fixture.start({ settings: { copyDataBytesMax: 26 } });
    const client = await fixture.ready();
    client.send(query(`relations ${TENANT} ${TIMELINE} latest 1663 5`));
    const messages = await client.until('Z');
    expect(typesOf(messages)).toBe('HddcCZ');
    expect(bodyOf(messages).equals(fixture.source.listing)).toBe(true);
  });

  test('leases', async () => {
    await fixture.start();
    const client = await fixture.ready();
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
    await fixture.start();
    const client = await fixture.ready();
    for (const text of ['show x', `${BACKUP} --gzip --gzip`, BACKUP.replace(TIMELINE, TENANT)]) {
      client.send(query(text));
      expect(typesOf(await client.until('Z'))).toBe('EZ');
    }
    client.send(query('set x'));
    expect(typesOf(await client.until('Z'))).toBe('CZ');
  });
});
