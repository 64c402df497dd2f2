import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { DaemonProcess } from '../fixture/daemon-process.js';
import { postgresUnder } from '../fixture/processes.js';
import { query, value } from '../fixture/query.js';
import { waitUntil } from '../fixture/wait-until.js';
import { importInto, World } from '../fixture/world.js';

/** More of them by hand: OFFSHOOT_KILL_ROUNDS=100. */
const rounds = Number(process.env.OFFSHOOT_KILL_ROUNDS ?? 6);
const timeout = 120_000 + rounds * 30_000;
let world: World;

beforeAll(async () => {
  world = await World.make([
    `create table t as select i as id, md5(i::text) as v from generate_series(1, 10000) i`,
    'create index on t (id)',
  ]);
});

afterAll(async () => world[Symbol.asyncDispose]());

async function killAndRestart(): Promise<void> {
  await world.daemon.end('SIGKILL');
  await waitUntil('no Postgres outlives its daemon', () => postgresUnder(world.data).length === 0);
  world.daemon = await DaemonProcess.start(world.data);
}

test(
  'kill -9 at random moments: acknowledged branches stay, nothing is half made, no process is left',
  async () => {
    const acknowledged = new Set<string>(['prod']);
    for (let round = 0; round < rounds; round += 1) {
      const client = world.client;
      const work = Promise.all(
        [0, 1, 2].map(async (worker) => {
          for (let i = 0; ; i += 1) {
            const name = `r${round}-w${worker}-${i}`;
            await client.createBranch({ name, from: 'prod' });
            acknowledged.add(name);
            if (i % 5 === 4) {
              acknowledged.delete(name);
              await client.deleteBranch(name);
            } else if (i === 0) await client.startCompute(name);
          }
        }),
      ).catch(() => undefined);
      await sleep(100 + ((round * 397) % 900));
      await killAndRestart();
      await work;
      const listed = (await world.client.branches()).map(({ name }) => name);
      for (const name of acknowledged) expect(listed).toContain(name);
      for (const branch of await world.client.branches()) expect(branch.compute).toBe('stopped');
    }
    const url = await world.fork('after');
    expect(await value(url, `select md5(string_agg(v, '' order by id)) from t`)).toBe(
      await value(world.production.url(), `select md5(string_agg(v, '' order by id)) from t`),
    );
  },
  timeout,
);

test('an import killed half way leaves nothing and can be repeated', async () => {
  await query(
    world.production.url(),
    `create table bulk as select i, repeat('b', 500) as v from generate_series(1, 200000) i`,
  );
  let cutShort = 0;
  for (const pauseMs of [10, 60, 120, 200, 300]) {
    const client = world.client;
    await client.importTenant({ name: 'again', source_url: world.production.url() });
    await sleep(pauseMs);
    await killAndRestart();
    const again = (await world.client.tenants()).find(({ name }) => name === 'again');
    // A fast machine may have finished it; then it is whole.
    if (again === undefined) cutShort += 1;
    else expect((await world.client.deleteTenant('again')).state).toBe('deleting');
    expect((await world.client.tenants()).map(({ name }) => name)).toEqual(['prod']);
  }
  expect(cutShort).toBeGreaterThan(0);
  await importInto(world.client, 'again', world.production.url());
  const url = await world.fork('of-again', { from: 'again' });
  expect(await value(url, 'select count(*)::int from bulk')).toBe(200000);
}, 240_000);

test('a cancelled import leaves nothing and can be repeated', async () => {
  const started = await world.client.importTenant({ name: 'third', source_url: world.production.url() });
  await sleep(60);
  const ended = await world.client.cancelOperation(started.id);
  expect(['cancelled', 'done']).toContain(ended.state);
  if (ended.state === 'cancelled') {
    expect((await world.client.tenants()).map(({ name }) => name)).not.toContain('third');
    await importInto(world.client, 'third', world.production.url());
  }
  await world.client.deleteTenant('third');
  expect((await world.client.tenants()).map(({ name }) => name)).not.toContain('third');
}, 240_000);

test('SIGTERM stops everything and leaves no process', async () => {
  await world.fork('to-the-end');
  expect(await world.daemon.end('SIGTERM')).toBe(0);
  expect(postgresUnder(world.data)).toEqual([]);
  world.daemon = await DaemonProcess.start(world.data);
  expect((await world.client.branches()).map(({ name }) => name)).toContain('to-the-end');
});

test('a second daemon on the same directory is refused', async () => {
  await expect(DaemonProcess.start(world.data)).rejects.toThrow(/lock|another|already/i);
});
