import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AcknowledgedLoad, ledgerFaults, ledgerTables } from '../fixture/acknowledged-load.js';
import { DaemonProcess } from '../fixture/daemon-process.js';
import { postgresUnder } from '../fixture/processes.js';
import { query, value } from '../fixture/query.js';
import { structureFaults } from '../fixture/structure-faults.js';
import { waitUntil } from '../fixture/wait-until.js';
import { World } from '../fixture/world.js';

/** More of them by hand: OFFSHOOT_KILL_ROUNDS=100. */
const rounds = Number(process.env.OFFSHOOT_KILL_ROUNDS ?? 6);
const timeout = 120_000 + rounds * 30_000;
const clients = 6;
let world: World;

beforeAll(async () => {
  world = await World.make([...ledgerTables, 'vacuum analyze']);
});

afterAll(async () => world?.[Symbol.asyncDispose]());

/** At another moment in each round, some within a segment switch, a checkpoint or a vacuum. */
const momentMs = (round: number) => 150 + ((round * 389) % 1200);

async function postmasterOf(branch: string): Promise<{ id: string; pid: number }> {
  const [compute] = (await world.client.computes()).filter((each) => each.branch === branch);
  const pid = Number(
    await value(await world.url(branch), `select pg_read_file('postmaster.pid')`).then(firstLine),
  );
  return { id: compute?.id ?? '', pid };
}

function firstLine(text: unknown): string {
  return String(text).split('\n', 1)[0] ?? '';
}

/** Something for every round that is more than transfers. */
async function disturb(url: string, round: number): Promise<void> {
  const statements = [
    'checkpoint',
    'vacuum ledger',
    'select pg_switch_wal()',
    'reindex table ledger',
    'analyze',
  ];
  await query(url, statements[round % statements.length] ?? 'select 1').catch(() => undefined);
}

test(
  'kill -9 of a compute under load: no acknowledged commit is lost, nothing is torn',
  async () => {
    const load = new AcknowledgedLoad(clients);
    let url = await world.fork('killed');
    for (let round = 0; round < rounds; round += 1) {
      const before = load.commits;
      load.start(url);
      const { pid } = await postmasterOf('killed');
      await waitUntil('there are commits', () => load.commits > before);
      void disturb(url, round);
      await sleep(momentMs(round));
      process.kill(pid, 'SIGKILL');
      await load.stop();
      await waitUntil(
        'its end is known',
        async () => (await world.client.branch('killed')).compute === 'crashed',
      );
      await world.client.startCompute('killed');
      url = await world.url('killed');
      expect(await ledgerFaults(url, load)).toEqual([]);
    }
    expect(await structureFaults(url)).toEqual([]);
  },
  timeout,
);

/** Its processes as soon as there are any, while it starts. */
async function killWhileStarting(branch: string, delayMs: number): Promise<void> {
  const others = new Set(postgresUnder(world.data));
  const started = world.client.startCompute(branch).then(
    () => 'started',
    () => 'failed',
  );
  const isNew = () => postgresUnder(world.data).filter((pid) => !others.has(pid));
  await waitUntil('it has a process', () => isNew().length > 0);
  await sleep(delayMs);
  for (const pid of isNew().slice(0, 1)) process.kill(pid, 'SIGKILL');
  await started;
}

test(
  'kill -9 of a compute, and of the daemon, while it starts: it can be started and branched all the same',
  async () => {
    const load = new AcknowledgedLoad(2);
    load.start(await world.fork('starting'));
    await waitUntil('there are commits', () => load.commits > 20);
    await load.stop();
    for (let round = 0; round < rounds; round += 1) {
      await world.client.stopCompute('starting').catch(() => undefined);
      if (round % 3 === 2) {
        const start = world.client.startCompute('starting').catch(() => undefined);
        await sleep(momentMs(round) / 6);
        await world.daemon.end('SIGKILL');
        await start;
        await waitUntil('no Postgres outlives its daemon', () => postgresUnder(world.data).length === 0);
        world.daemon = await DaemonProcess.start(world.data);
      } else {
        await killWhileStarting('starting', round * 10);
      }
      const child = await world.fork(`of-starting-${round}`, { from: 'starting' });
      expect(await ledgerFaults(child, load)).toEqual([]);
      await world.client.startCompute('starting');
      expect(await ledgerFaults(await world.url('starting'), load)).toEqual([]);
      await world.client.deleteBranch(`of-starting-${round}`);
    }
  },
  timeout,
);

test(
  'kill -9 of the daemon under load on two branches: the same',
  async () => {
    const branches = ['daemon-a', 'daemon-b'];
    const loads = branches.map(() => new AcknowledgedLoad(clients / 2));
    await world.fork('daemon-a');
    await world.fork('daemon-b', { from: 'daemon-a' });
    for (let round = 0; round < rounds; round += 1) {
      for (const [i, branch] of branches.entries()) loads[i]?.start(await world.url(branch));
      void disturb(await world.url('daemon-a'), round);
      await sleep(momentMs(round + 3));
      await world.daemon.end('SIGKILL');
      await waitUntil('no Postgres outlives its daemon', () => postgresUnder(world.data).length === 0);
      await Promise.all(loads.map((load) => load.stop()));
      world.daemon = await DaemonProcess.start(world.data);
      for (const [i, branch] of branches.entries()) {
        await world.client.startCompute(branch);
        expect(await ledgerFaults(await world.url(branch), loads[i] as AcknowledgedLoad)).toEqual([]);
      }
    }
    for (const branch of branches) expect(await structureFaults(await world.url(branch))).toEqual([]);
  },
  timeout,
);

test(
  'kill -9 of a compute with durability=async: the last moments may be gone, and nothing is torn',
  async () => {
    await world.client.createBranch({ name: 'async', from: 'prod', durability: 'async' });
    await world.client.startCompute('async');
    const load = new AcknowledgedLoad(clients);
    for (let round = 0; round < rounds; round += 1) {
      load.start(await world.url('async'));
      const { pid } = await postmasterOf('async');
      await sleep(momentMs(round));
      process.kill(pid, 'SIGKILL');
      await load.stop();
      load.acknowledged.clear();
      await waitUntil(
        'its end is known',
        async () => (await world.client.branch('async')).compute === 'crashed',
      );
      await world.client.startCompute('async');
      expect(await ledgerFaults(await world.url('async'), load)).toEqual([]);
    }
    expect(await structureFaults(await world.url('async'))).toEqual([]);
  },
  timeout,
);

test(
  'kill -9 of a compute while branches are made of it: each holds what was acknowledged before',
  async () => {
    const load = new AcknowledgedLoad(clients);
    const url = await world.fork('source');
    load.start(url);
    const { pid } = await postmasterOf('source');
    const made: { name: string; acknowledged: Map<number, number> }[] = [];
    const branching = (async () => {
      for (let i = 0; i < 20; i += 1) {
        const acknowledged = new Map(load.acknowledged);
        const name = `source-${i}`;
        await world.client.createBranch({ name, from: 'source' });
        made.push({ name, acknowledged });
      }
    })();
    await sleep(300);
    process.kill(pid, 'SIGKILL');
    await branching;
    await load.stop();
    expect(made.length).toBe(20);
    for (const { name, acknowledged } of made.filter((_, i) => i % 5 === 0 || i === 19)) {
      await world.client.startCompute(name);
      const seen = new AcknowledgedLoad(clients);
      for (const [client, n] of acknowledged) seen.acknowledged.set(client, n);
      expect(await ledgerFaults(await world.url(name), seen)).toEqual([]);
      await world.client.stopCompute(name);
    }
  },
  timeout,
);
