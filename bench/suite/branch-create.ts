import { closeSync, fdatasyncSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { OffshootClient } from '@offshoot/client';
import { PageServer } from '@offshoot/pageserver';
import { type BranchName, parseBranchName, parseTenantName } from '@offshoot/types';
import type { Bench, BenchContext, Measurement } from '../bench.js';
import { DaemonProcess } from '../fixture/daemon-process.js';
import { fillOrders, placeOfOrders } from '../fixture/order-table.js';
import { expectEqual, resultHash } from '../fixture/result-hash.js';
import { SourceCluster } from '../fixture/source-cluster.js';
import { quantile } from '../fixture/statistics.js';
import { Rounds, timeRepeatedly } from '../fixture/timing.js';

const sizes = {
  full: {
    megabytes: [10, 100, 1_000],
    branches: [1, 1_000],
    rounds: 6,
    callsPerRound: 25,
    clients: [1, 16, 128],
    callsAtOnce: 512,
  },
  smoke: {
    megabytes: [1, 4],
    branches: [1, 20],
    rounds: 2,
    callsPerRound: 5,
    clients: [1, 4],
    callsAtOnce: 8,
  },
};
type Size = (typeof sizes)['full'];

export const branchCreate: Bench = {
  name: 'branch-create',
  about: 'durable creation of a branch over database sizes and numbers of branches',
  async run(context) {
    const size = sizes[context.size];
    const dataDir = join(context.directory, 'offshoot');
    // As the daemon makes it: Postgres' user passes through to its computes.
    mkdirSync(dataDir, { mode: 0o711 });
    const bytes = await importSizes(context, dataDir, size);
    const measurements: Measurement[] = [];
    for (const branches of size.branches) {
      context.remark(`measuring with ${branches} branches of each database`);
      measurements.push(...(await direct(context, dataDir, size, branches)));
      measurements.push(...(await throughApi(dataDir, size, branches)));
    }
    context.remark('measuring many clients at once');
    measurements.push(...(await manyClients(dataDir, size)));
    return { measurements, resultHash: resultHash(bytes, size.branches) };
  },
};

const tenantOf = (megabytes: number) => `size-${megabytes}`;

/** One source, imported again each time it has grown to the next size; answers the table's bytes at each. */
async function importSizes({ directory, remark }: BenchContext, dataDir: string, { megabytes }: Size) {
  await using source = await SourceCluster.start(join(directory, 'source'));
  const server = await PageServer.open({ dataDir });
  const bytes: number[] = [];
  try {
    for (const megabyte of megabytes) {
      remark(`filling and importing ${megabyte} MB`);
      await fillOrders(source.url(), megabyte);
      bytes.push((await placeOfOrders(source.url())).bytes);
      await server.importTenant({ name: parseTenantName(tenantOf(megabyte)), url: source.url() });
    }
  } finally {
    await server.close();
  }
  return bytes;
}

let made = 0;

/** In this process. Each measured branch is deleted again, so that their number stays what it is said to be. */
async function direct(
  { directory }: BenchContext,
  dataDir: string,
  size: Size,
  branches: number,
): Promise<Measurement[]> {
  const server = await PageServer.open({ dataDir });
  try {
    for (const megabytes of size.megabytes) await fillUp(server, megabytes, branches);
    const create = (megabytes: number) => {
      const parent = parseBranchName(tenantOf(megabytes));
      let name: BranchName;
      return () =>
        timeRepeatedly(
          size.callsPerRound,
          async () => {
            name = parseBranchName(`direct-${++made}`);
            await server.createBranch(name, parent);
          },
          async () => {
            expectEqual('base LSN', {
              parent: server.timelineOfBranch(parent).lastRecordLsn(),
              branch: server.timelineOfBranch(name).lastRecordLsn(),
            });
            await server.deleteBranch(name);
          },
        );
    };
    const floor = join(directory, 'floor');
    const sides = { ...sidesOf(size, create), floor: () => flushes(floor, size.callsPerRound) };
    return measurementsOf(await new Rounds<string>().run(size.rounds, sides), size, branches, 'PageServer');
  } finally {
    await server.close();
  }
}

/** What the disk takes for a page that must last: the least that a durable creation can take. */
async function flushes(path: string, calls: number): Promise<number[]> {
  const file = openSync(path, 'w');
  try {
    const page = Buffer.alloc(4096, 1);
    return await timeRepeatedly(calls, async () => {
      writeSync(file, page);
      fdatasyncSync(file);
    });
  } finally {
    closeSync(file);
  }
}

async function throughApi(dataDir: string, size: Size, branches: number): Promise<Measurement[]> {
  await using daemon = await DaemonProcess.start(dataDir);
  const { client } = daemon;
  expectEqual('branches', {
    expected: size.megabytes.length * (branches + 1),
    listed: (await client.branches()).length,
  });
  const sides = sidesOf(size, (megabytes) => () => createByApi(client, size, megabytes));
  return measurementsOf(await new Rounds<string>().run(size.rounds, sides), size, branches, 'API');
}

function createByApi(client: OffshootClient, { callsPerRound }: Size, megabytes: number): Promise<number[]> {
  let name = '';
  return timeRepeatedly(
    callsPerRound,
    async () => {
      name = `api-${++made}`;
      await client.createBranch({ name, from: tenantOf(megabytes) });
    },
    async () => {
      await client.deleteBranch(name);
    },
  );
}

/** Branches that many clients make at once, of the smallest database; with a role, whose password costs a hash, and without. */
async function manyClients(dataDir: string, size: Size): Promise<Measurement[]> {
  await using daemon = await DaemonProcess.start(dataDir);
  const { client } = daemon;
  const from = tenantOf(size.megabytes[0] ?? 1);
  const measurements: Measurement[] = [];
  for (const role of [null, {}]) {
    for (const clients of size.clients) {
      const names: string[] = [];
      const latencies: number[] = [];
      const work = async () => {
        while (names.length < size.callsAtOnce) {
          const name = `at-once-${++made}`;
          names.push(name);
          const began = performance.now();
          await client.createBranch({ name, from, role });
          latencies.push(performance.now() - began);
        }
      };
      const began = performance.now();
      await Promise.all(Array.from({ length: clients }, work));
      const seconds = (performance.now() - began) / 1000;
      const listed = new Set((await client.branches()).map(({ name }) => name));
      expectEqual('branches that are there', {
        made: names.length,
        listed: names.filter((name) => listed.has(name)).length,
      });
      const conditions = { clients, role: role === null ? 'none' : 'own', through: 'API' };
      measurements.push(
        ...[0.5, 0.95].map((q) => ({
          name: 'branch-create/at-once',
          unit: 'ms' as const,
          value: quantile(latencies, q),
          quantile: q,
          ...conditions,
        })),
        { name: 'branch-create/rate', unit: 'branches/s', value: names.length / seconds, ...conditions },
      );
      for (const name of names) await client.deleteBranch(name);
    }
  }
  return measurements;
}

/** Branches of one database up to `wanted`, besides its own first one. */
async function fillUp(server: PageServer, megabytes: number, wanted: number): Promise<void> {
  const parent = parseBranchName(tenantOf(megabytes));
  const tenant = server.catalog.branchNamed(parent).tenant;
  const there = server.catalog.branches().filter((branch) => branch.tenant === tenant).length;
  const names = Array.from({ length: wanted + 1 - there }, () => parseBranchName(`kept-${++made}`));
  await Promise.all(names.map((name) => server.createBranch(name, parent)));
}

function sidesOf(
  size: Size,
  side: (megabytes: number) => () => Promise<number[]>,
): Record<string, () => Promise<number[]>> {
  return Object.fromEntries(size.megabytes.map((megabytes) => [String(megabytes), side(megabytes)]));
}

function measurementsOf(seen: Rounds<string>, size: Size, branches: number, through: string): Measurement[] {
  const ours = size.megabytes.flatMap((megabytes) =>
    [0.5, 0.95].map(
      (q): Measurement => ({
        name: 'branch-create/latency',
        unit: 'ms',
        value: quantile(seen.of(String(megabytes)), q),
        quantile: q,
        through,
        megabytes,
        branches,
      }),
    ),
  );
  const floor = seen.of('floor');
  if (floor.length === 0) return ours;
  const value = quantile(floor, 0.5);
  return [...ours, { name: 'branch-create/flush-floor', unit: 'ms', value, quantile: 0.5, branches }];
}
