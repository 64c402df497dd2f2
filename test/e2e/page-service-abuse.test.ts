import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { query } from '../fixture/query.js';
import { waitUntil } from '../fixture/wait-until.js';
import { World } from '../fixture/world.js';

let world: World;

beforeAll(async () => {
  world = await World.make(['create table t as select generate_series(1, 1000) i']);
});

afterAll(async () => world[Symbol.asyncDispose]());

beforeEach(async () => {
  expect(world.daemon.running).toBe(true);
});

function connect(): Promise<net.Socket> {
  const path = world.daemon.facts.page_service.find((address) => address.startsWith('unix:'))?.slice(5);
  if (path === undefined) throw new Error('the page service has no Unix socket');
  return new Promise((resolve, reject) => {
    const socket = net.connect(path, () => resolve(socket)).once('error', reject);
  });
}

interface Exchange {
  readonly answer: Buffer;
  readonly closed: boolean;
}

/** Sends the bytes and collects what comes until that is `enough` or the server closes; throws when it never is. */
async function exchange(
  parts: readonly Buffer[],
  enough: (answer: Buffer, sinceMs: number) => boolean,
): Promise<Exchange> {
  const socket = await connect();
  let answer = Buffer.alloc(0);
  let closed = false;
  socket.on('error', () => {});
  socket.on('close', () => {
    closed = true;
  });
  socket.on('data', (chunk) => {
    answer = Buffer.concat([answer, chunk]);
  });
  for (const part of parts) {
    socket.write(part);
    await sleep(20);
  }
  const sent = Date.now();
  await waitUntil('the answer is enough', () => closed || enough(answer, Date.now() - sent)).finally(() =>
    socket.destroy(),
  );
  return { answer, closed };
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}

function startup(): Buffer {
  const body = Buffer.from('user\0x\0database\0y\0\0');
  return Buffer.concat([int32(8 + body.length), int32(196608), body]);
}

function message(type: string, body: Buffer): Buffer {
  return Buffer.concat([Buffer.from(type), int32(4 + body.length), body]);
}

const text = (words: string) => message('Q', Buffer.from(`${words}\0`));
const ids = '0'.repeat(32);
const random = Buffer.from(Array.from({ length: 4096 }, (_, i) => (i * 7919 + (i >> 3) * 104729) & 0xff));

/** A pagestream v3 request with a valid frame and this body. */
const request = (...bytes: number[]) => message('d', Buffer.from(bytes));

test.each<[string, Buffer[]]>([
  ['random bytes', [random]],
  ['an HTTP request', [Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')]],
  ['a start-up packet of 2 GB', [int32(0x7fffffff)]],
  ['a start-up packet of length 0', [int32(0)]],
  ['a start-up packet of a protocol of the future', [Buffer.concat([int32(8), int32(0x00090000)])]],
  ['a message of 2 GB', [startup(), Buffer.concat([Buffer.from('Q'), int32(0x7fffffff)])]],
  ['a message of negative length', [startup(), Buffer.concat([Buffer.from('Q'), int32(0xffffffff)])]],
  ['a message of length 3', [startup(), Buffer.concat([Buffer.from('Q'), int32(3)])]],
  ['an unknown message', [startup(), message('H', Buffer.alloc(0)), message('~', Buffer.alloc(0))]],
  ['random bytes after start-up', [startup(), random]],
])('%s: an error or a closed connection', async (_what, parts) => {
  const { answer, closed } = await exchange(parts, (seen) => seen.includes('E', 0));
  const refused = closed || answer.includes('E', 0);
  expect(refused).toBe(true);
  expect(world.daemon.running).toBe(true);
});

test.each<[string, Buffer[]]>([
  ['an unknown command', [text('frobnicate')]],
  ['too few words', [text('pagestream_v3 x')]],
  ['a bad id', [text('basebackup xyz xyz')]],
  ['an unknown tenant', [text(`basebackup ${ids} ${ids}`)]],
  ['a bad LSN', [text(`basebackup ${ids} ${ids} 0/XYZ`)]],
  ['a text with no end', [message('Q', Buffer.from('set x'))]],
])('%s: ErrorResponse, and the connection goes on or is closed', async (_what, parts) => {
  const { answer } = await exchange([startup(), ...parts, text('set x to y')], (seen) =>
    seen.includes('SERROR'),
  );
  expect(answer.toString('latin1')).toMatch(/SERROR/);
});

test.each<[string, Buffer[]]>([
  ['an unknown tag', [request(77)]],
  ['an empty request', [request()]],
  ['a truncated GetPage', [request(2, 0, 0, 0)]],
  ['a frame of 2 GB', [Buffer.concat([Buffer.from('d'), int32(0x7fffffff)])]],
  ['half a frame, then silence', [Buffer.concat([Buffer.from('d'), int32(46), Buffer.alloc(10)])]],
  ['CopyFail', [message('f', Buffer.from('why\0'))]],
])('%s inside a page stream: the daemon lives', async (_what, parts) => {
  await exchange([startup(), text(`pagestream_v3 ${ids} ${ids}`), ...parts], (_, sinceMs) => sinceMs > 300);
  expect(world.daemon.running).toBe(true);
});

test('after all that, a fork works', async () => {
  const url = await world.fork('alive');
  expect(await query(url, 'select count(*)::int as n from t')).toEqual([{ n: 1000 }]);
});

test('a reader that never reads stalls only itself', async () => {
  const branch = await world.client.branch('alive');
  const tenant = await world.client.tenant('prod');
  const socket = await connect();
  socket.pause();
  socket.on('error', () => {});
  const get = Buffer.alloc(42);
  get.writeUInt8(2, 0);
  get.writeBigUInt64BE(0xffffffffffffffffn, 9);
  get.writeBigUInt64BE(8n, 17);
  get.writeUInt32BE(1664, 25);
  get.writeUInt32BE(1262, 33);
  socket.write(Buffer.concat([startup(), text(`pagestream_v3 ${tenant.id} ${branch.timeline}`)]));
  const batch = Buffer.concat(Array.from({ length: 2000 }, () => message('d', get)));
  for (let i = 0; i < 10; i += 1) socket.write(batch);
  await sleep(500);
  const url = await world.fork('quick');
  expect(await query(url, 'select count(*)::int as n from t')).toEqual([{ n: 1000 }]);
  socket.destroy();
});
