import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { Worker } from 'node:worker_threads';
import { afterEach, expect, test, vi } from 'vitest';
import { SplicePump, type SplicePumpOptions } from './splice-pump.js';

const options: SplicePumpOptions = { threads: 1, bufferBytes: 65_536, turnBytes: 65_536, lingerMs: 100 };
const none = Buffer.alloc(0);
const sockets: Socket[] = [];

afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
});

/** One end with the descriptor of the other, which nothing reads. */
async function end(): Promise<{ far: Socket; fd: number; letGo: () => void }> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const far = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1' });
  const [near] = (await once(server, 'connection')) as [Socket];
  server.close();
  sockets.push(near, far);
  far.on('error', () => {});
  const { fd } = (near as unknown as { _handle: { fd: number } })._handle;
  return { far, fd, letGo: () => near.destroy() };
}

test('passes bytes, tells how it ended, and counts', async () => {
  const pump = SplicePump.start(options);
  const [client, compute] = [await end(), await end()];
  const connection = pump.adopt({
    client: client.fd,
    compute: compute.fd,
    toClient: Buffer.from('hello '),
    toCompute: none,
  });
  client.letGo();
  compute.letGo();
  compute.far.end('client');
  const [words] = (await once(client.far, 'data')) as [Buffer];
  expect('hello client'.startsWith(words.toString())).toBe(true);
  expect(await connection.ended).toEqual({
    by: 'compute',
    how: 'ended',
    bytesToClient: 12,
    bytesToCompute: 0,
  });
  await connection.gone;
  connection.cut();
  expect(pump.sums).toEqual({ bytesToClient: 12, bytesToCompute: 0, bytesHeld: 0 });
  pump.close();
});

test('what is left at its close is told, too, and nothing more is taken', async () => {
  const pump = SplicePump.start(options);
  const [client, compute] = [await end(), await end()];
  const pair = { client: client.fd, compute: compute.fd, toClient: none, toCompute: none };
  const connection = pump.adopt(pair);
  pump.close();
  expect(await connection.ended).toMatchObject({ by: 'gateway', how: 'broken' });
  await connection.gone;
  expect(() => pump.adopt(pair)).toThrow(expect.objectContaining({ code: 'splice_failed' }));
  connection.cut();
  pump.close();
  expect(pump.sums.bytesHeld).toBe(0);
});

test('what is no socket, and options without sense, are refused', async () => {
  expect(() => SplicePump.start({ ...options, threads: 0 })).toThrow(
    expect.objectContaining({ code: 'engine_argument' }),
  );
  const pump = SplicePump.start(options);
  const { fd } = await end();
  const file = openSync('/dev/null', 'r');
  for (const other of [-1, file, 1_000_000]) {
    const pair = { client: fd, compute: other, toClient: none, toCompute: none };
    expect(() => pump.adopt(pair)).toThrow(expect.objectContaining({ code: 'splice_failed' }));
  }
  closeSync(file);
  pump.close();
});

test('one that is not closed ends with the JavaScript around it', async () => {
  const [client, compute] = [await end(), await end()];
  const worker = new Worker(
    `const { parentPort, workerData: { engine, options, pair } } = require('node:worker_threads');
    import(engine).then(({ SplicePump }) => {
      const none = Buffer.alloc(0);
      SplicePump.start(options).adopt({ ...pair, toClient: none, toCompute: none });
      parentPort.postMessage('adopted');
    });`,
    {
      eval: true,
      workerData: {
        engine: new URL('../dist/index.js', import.meta.url).href,
        options,
        pair: { client: client.fd, compute: compute.fd },
      },
    },
  );
  await once(worker, 'message');
  client.letGo();
  compute.letGo();
  client.far.write('through');
  expect(String(((await once(compute.far, 'data')) as [Buffer])[0])).toBe('through');
  await worker.terminate();
  await vi.waitFor(() => expect([client.far.closed, compute.far.closed]).toEqual([true, true]), 10_000);
});
