import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AcknowledgedLoad, ledgerFaults, ledgerTables } from '../fixture/acknowledged-load.js';
import { DaemonProcess } from '../fixture/daemon-process.js';
import { postgresUnder } from '../fixture/processes.js';
import { Randomness } from '../fixture/randomness.js';
import { structureFaults } from '../fixture/structure-faults.js';
import { waitUntil } from '../fixture/wait-until.js';
import { World, withPassword } from '../fixture/world.js';

/** More of them by hand: OFFSHOOT_KILL_ROUNDS=100; another course of things: OFFSHOOT_SEED. */
const rounds = Number(process.env.OFFSHOOT_KILL_ROUNDS ?? 4);
const random = new Randomness(Number(process.env.OFFSHOOT_SEED ?? 20));
/** More branches than computes: they push each other out all the time. */
const computesMax = 3;
const branches = ['a', 'b', 'c', 'd'];
const clientsPerBranch = 2;
/** What a client may be told: the connection broke (in node-postgres' words too), nobody listens (`no_connection` at
 * the API), no room in time, Postgres' own words of an end. */
const endings =
  /^(Connection terminated unexpectedly|Client has encountered a connection error.*|no_connection|ECONNREFUSED|ECONNRESET|EPIPE|ENOENT|53300|57P0[123]|58000|08006)$/;
/** Longer than any deadline of the gateway and the wake. */
const answerMs = 120_000;
let world: World;
let settings: string[];

beforeAll(async () => {
  world = await World.make([...ledgerTables, 'vacuum analyze']);
  const file = join(world.scratch.path, 'settings.json');
  const tuning = {
    computeLimits: { computesMax, sparesMax: 0 },
    wake: { idleTimeoutSeconds: 1, queueTimeoutMs: answerMs / 2 },
  };
  writeFileSync(file, JSON.stringify(tuning));
  settings = ['--settings', file];
  await restart('SIGTERM');
});

afterAll(async () => world?.[Symbol.asyncDispose]());

async function restart(signal: NodeJS.Signals): Promise<void> {
  await world.daemon.end(signal);
  await waitUntil('no Postgres outlives its daemon', () => postgresUnder(world.data).length === 0);
  world.daemon = await DaemonProcess.start(world.data, settings);
}

/** One thing that goes wrong. */
async function strike(): Promise<string> {
  const what = random.of(['any process', 'any process', 'postmaster', 'daemon', 'daemon, politely']);
  if (what === 'daemon') {
    await restart('SIGKILL');
  } else if (what === 'daemon, politely') {
    await restart('SIGTERM');
  } else {
    const pids = postgresUnder(world.data);
    if (pids.length > 0) killIfThere(what === 'postmaster' ? Math.min(...pids) : random.of(pids));
  }
  return what;
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself meanwhile.
  }
}

/** Asked for each time: another daemon has another port. */
async function gatewayUrl(branch: string): Promise<string> {
  const { url } = await world.client.connectionString(branch, { via: 'gateway' });
  return withPassword(url, world.production.password);
}

const leftovers = () =>
  readdirSync(join(world.data, 'computes')).filter((id) =>
    existsSync(join(world.data, 'computes', id, 'pgdata')),
  );

test('kill -9 of anything at random: each connection is answered, each commit is kept, nothing stays behind', async () => {
  for (const [i, name] of branches.entries())
    await world.client.createBranch({ name, from: i === 0 ? 'prod' : (branches[i - 1] ?? 'prod') });
  const loads = branches.map((name) => {
    const load = new AcknowledgedLoad(clientsPerBranch);
    load.keepOn(() => gatewayUrl(name), answerMs);
    return load;
  });
  for (let round = 0; round < rounds; round += 1) {
    const before = loads.map((load) => load.commits);
    await waitUntil(
      'there are commits',
      () => loads.some((load, i) => load.commits > (before[i] ?? 0) + 10),
      answerMs,
    );
    await sleep(random.below(1500));
    await strike();
  }
  await Promise.all(loads.map((load) => load.stop()));
  expect(loads.flatMap((load) => load.hung)).toEqual([]);
  const told = loads.flatMap((load) => [...load.refusals.keys()]);
  expect(told.filter((words) => !endings.test(words))).toEqual([]);
  for (const [i, name] of branches.entries()) {
    const url = await gatewayUrl(name);
    expect(await ledgerFaults(url, loads[i] as AcknowledgedLoad)).toEqual([]);
    expect(await structureFaults(url)).toEqual([]);
  }
  await waitUntil('all sleep', () => postgresUnder(world.data).length === 0);
  await waitUntil('their directories are gone', () => leftovers().length === 0);
  await world.daemon.end('SIGTERM');
  expect(readdirSync(join(world.data, 'run'))).toEqual([]);
}, 600_000);
