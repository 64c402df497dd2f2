import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Branch } from '@offshoot/client';
import { TenantStore } from '@offshoot/engine';
import { pageServerDefaults } from '@offshoot/pageserver';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { branchFaults } from '../fixture/churn/branch-faults.js';
import { catalogFaults } from '../fixture/churn/catalog-faults.js';
import { ChurnClient } from '../fixture/churn/churn-client.js';
import { ChurnPlace } from '../fixture/churn/churn-place.js';
import { markTables } from '../fixture/churn/marks.js';
import { outcomeOf } from '../fixture/churn/outcome.js';
import { churnShared, sharedNames } from '../fixture/churn/shared-churn.js';
import { Strikes, untilNoPostgres } from '../fixture/churn/strikes.js';
import { freePorts } from '../fixture/free-ports.js';
import { query } from '../fixture/query.js';
import { Randomness } from '../fixture/randomness.js';
import { waitUntil } from '../fixture/wait-until.js';
import { World } from '../fixture/world.js';

/** Longer by hand: OFFSHOOT_CHURN_SECONDS=600; another course of things: OFFSHOOT_SEED. */
const seconds = Number(process.env.OFFSHOOT_CHURN_SECONDS ?? 20);
const seed = Number(process.env.OFFSHOOT_SEED ?? 20);
const OWN_CLIENTS = 3;
const SHARED_CLIENTS = 2;
const COMPUTES_MAX = 4;
const HISTORY_SECONDS = 10;
const events = { fileBytesMax: 32 * 1024, filesMax: 3 };
const idempotencyKeysMax = 100;
/** A branch that expires so soon is waited for. */
const EXPIRY_NEAR_MS = 5000;
const tuning = {
  computeLimits: { computesMax: COMPUTES_MAX, sparesMax: 0 },
  wake: { idleTimeoutSeconds: 1, queueTimeoutMs: 60_000 },
  retention: { historySeconds: HISTORY_SECONDS, intervalMs: 1000, busyPercentMax: 50 },
  expiry: { checkMs: 500 },
  access: { idempotencyKeysMax },
  events,
};
/**
 * What may be stored more than before, when all branches are gone: production's own last ten seconds, and its counters, which
 * it goes on writing; and what of a store's pages is not full. A branch that writes anything takes as much.
 */
const SLACK_BYTES = 512 * 1024;

let world: World;
let place: ChurnPlace;
let strikes: Strikes;
let flags: string[];

beforeAll(async () => {
  world = await World.make([...markTables, 'create table tick (n int)', 'insert into tick values (0)'], {
    tuning,
  });
  const [api = 0, gateway = 0] = await freePorts(2);
  flags = [
    ...['--settings', join(world.scratch.path, 'settings.json')],
    ...['--api-listen', `127.0.0.1:${api}`, '--gateway-listen', `127.0.0.1:${gateway}`],
  ];
  strikes = new Strikes(world, flags, new Randomness(seed));
  await strikes.restart('SIGTERM');
  place = new ChurnPlace(
    ...([`http://127.0.0.1:${api}`, world.daemon.token, gateway] as const),
    ...([world.production.password, HISTORY_SECONDS * 1000] as const),
  );
});

afterAll(async () => world?.[Symbol.asyncDispose]());

/** Production goes on in little steps, so that its history is one that moves. */
async function tick(untilMs: number): Promise<void> {
  while (Date.now() < untilMs) {
    await query(world.production.url(), 'update tick set n = n + 1');
    await sleep(250);
  }
}

/** Rounds are asked for as well, whoever else is at it. */
async function collect(untilMs: number): Promise<void> {
  while (Date.now() < untilMs) {
    await place.persist(() => place.patient.client.collectGarbage('prod')).catch(() => {});
    await sleep(2000);
  }
}

async function collected(): Promise<number> {
  const { client } = place.patient;
  const { id } = await client.collectGarbage('prod');
  await waitUntil('the round ends', async () => (await client.operation(id)).state !== 'running');
  return (await client.tenant('prod')).stored_bytes ?? 0;
}

const tenantDirectory = () => {
  const [id = ''] = readdirSync(join(world.data, 'tenants'));
  return join(world.data, 'tenants', id);
};

const computeLeftovers = () =>
  readdirSync(join(world.data, 'computes')).filter((id) =>
    ['pgdata', 'socket-directory'].some((each) => existsSync(join(world.data, 'computes', id, each))),
  );

/** All branches but production's, once those are gone whose time is over and that nothing starts from. */
async function settledBranches(): Promise<Branch[]> {
  let branches: Branch[] = [];
  await waitUntil('what has expired is gone', async () => {
    branches = (await place.patient.list()).filter(({ name }) => name !== 'prod');
    const parents = new Set(branches.map(({ parent }) => parent));
    const isDue = ({ name, expires_at: at }: Branch) =>
      at !== undefined && Date.parse(at) < Date.now() + EXPIRY_NEAR_MS && !parents.has(name);
    return !branches.some(isDue);
  });
  return branches;
}

/** What has not expired by now shall not while it is looked into. */
async function keptBranches(): Promise<Branch[]> {
  const { client } = place.patient;
  for (;;) {
    let allKept = true;
    for (const { name, state, expires_at: at } of await settledBranches()) {
      if (state === 'expired' || at === undefined) continue;
      // On a slow machine its time may be over by now; then it is waited for as well.
      const { kind } = await outcomeOf(client.updateBranch(name, { expires_at: null }));
      allKept &&= kind === 'done';
    }
    if (allKept) return (await place.patient.list()).filter(({ name }) => name !== 'prod');
  }
}

async function deleteAll(): Promise<void> {
  const { client } = place.patient;
  const branches = (await place.patient.list()).filter(({ name }) => name !== 'prod');
  for (const each of branches.filter((branch) => branch.protected)) {
    await client.updateBranch(each.name, { protected: false });
  }
  for (const each of branches.filter(({ parent }) => parent === 'prod')) {
    await place.patient.deleteFork(each.name, { recursive: true });
  }
  expect((await place.patient.list()).map(({ name }) => name)).toEqual(['prod']);
}

/** Timelines that anything is stored of. The daemon has ended. */
async function storedTimelines(): Promise<number[]> {
  const store = await TenantStore.open(tenantDirectory(), pageServerDefaults.store);
  try {
    return await store.storedTimelines();
  } finally {
    await store.close();
  }
}

function expectNone(faults: readonly string[]): void {
  if (faults.length > 0) console.log(place.notes.join('\n'));
  expect(faults).toEqual([]);
}

test(
  'branches made, moved and deleted at random while all is killed are whole, and nothing is left of the others',
  async () => {
    const before = await collected();
    const untilMs = Date.now() + seconds * 1000;
    const clients = Array.from(
      { length: OWN_CLIENTS },
      (_, at) => new ChurnClient(place, at, new Randomness(seed * 100 + at)),
    );
    await Promise.all([
      ...clients.map((client) => client.run(untilMs)),
      ...Array.from({ length: SHARED_CLIENTS }, (_, at) =>
        churnShared(place, new Randomness(seed * 1000 + at), untilMs),
      ),
      strikes.run(untilMs),
      tick(untilMs),
      collect(untilMs),
    ]);
    const course = Object.fromEntries([...strikes.counts, ...[...place.counts].sort()]);
    console.log(`seed ${seed}, ${seconds} s: ${JSON.stringify(course)}`);
    expectNone(place.faults);

    const known = clients.flatMap(({ branches }) => branches);
    const maybe = clients.flatMap(({ gone }) => gone);
    const there = await keptBranches();
    const settledMs = Date.now();
    const names = new Set([...known, ...maybe].map(({ name }) => name));
    const strangers = there.filter(({ name }) => !names.has(name) && !sharedNames.includes(name));
    expect(strangers.map(({ name }) => name)).toEqual([]);
    const still = known.filter(({ expiresAtMs = Number.POSITIVE_INFINITY }) => expiresAtMs > settledMs);
    expectNone(await branchFaults(place, there, still, maybe, COMPUTES_MAX));

    await untilNoPostgres(world.data);
    await waitUntil('directories of computes are gone', () => computeLeftovers().length === 0);
    await strikes.restart('SIGTERM');
    await world.daemon.end('SIGTERM');
    expect(await catalogFaults(join(world.data, 'catalog'))).toEqual([]);
    expect(readdirSync(join(world.data, 'run'))).toEqual([]);
    await strikes.restart('SIGTERM');

    await deleteAll();
    let after = await collected();
    await waitUntil('the room is free again', async () => {
      after = await collected();
      return after < before + SLACK_BYTES;
    });
    console.log(`stored ${before} bytes before, ${after} after`);
    const logs = join(tenantDirectory(), 'wal');
    await waitUntil('logs are gone', () => !existsSync(logs) || readdirSync(logs).length === 0);
    await world.daemon.end('SIGTERM');
    expect(await storedTimelines()).toHaveLength(1);
    expect(await catalogFaults(join(world.data, 'catalog'))).toEqual([]);
    const eventFiles = readdirSync(join(world.data, 'events')).map((name) =>
      join(world.data, 'events', name),
    );
    const eventBytes = eventFiles.reduce((sum, file) => sum + statSync(file).size, 0);
    expect(eventBytes).toBeLessThan(events.filesMax * events.fileBytesMax + 4096);
  },
  600_000 + seconds * 2000,
);
