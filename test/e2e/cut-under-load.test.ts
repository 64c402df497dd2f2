import { setTimeout as sleep } from 'node:timers/promises';
import type { Receiver } from '@offshoot/client';
import { parseLsn } from '@offshoot/types';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { DaemonProcess } from '../fixture/daemon-process.js';
import { Production } from '../fixture/production.js';
import { query, value } from '../fixture/query.js';
import { ScratchDirectory } from '../fixture/scratch-directory.js';
import { structureFaults } from '../fixture/structure-faults.js';
import { TcpProxy } from '../fixture/tcp-proxy.js';
import { finishAllPrepared, TpcbLoad, tpcbFaults, tpcbTables } from '../fixture/tpcb-load.js';
import { waitUntil } from '../fixture/wait-until.js';
import { importInto } from '../fixture/world.js';

/** Of the cut. Longer by hand: OFFSHOOT_CUT_SECONDS=60. */
const seconds = Number(process.env.OFFSHOOT_CUT_SECONDS ?? 5);
const timeout = 240_000 + seconds * 6000;
/** Before the cut, and after it. */
const STEADY_MS = Math.max(3000, seconds * 500);
const CATCH_UP_MS = 60_000 + seconds * 1000;

/** At rest, this is the same in production and in a branch of it. */
const CONTENT = `select (select md5(string_agg(a::text, ',' order by aid)) from accounts a) as accounts,
  (select md5(string_agg(t::text, ',' order by tid)) from tellers t) as tellers,
  (select md5(string_agg(h::text, ',' order by client, n)) from history h) as history`;

const scratch = new ScratchDirectory('cut');
const load = new TpcbLoad(4);
let production: Production;
let network: TcpProxy;
let daemon: DaemonProcess;

beforeAll(async () => {
  production = await Production.start(`${scratch.path}/production`, {
    listen: 'loopback',
    parameters: { max_prepared_transactions: '20' },
  });
  await query(production.url(), ...tpcbTables, 'create extension amcheck', 'vacuum analyze');
  network = await TcpProxy.start(() => ({
    host: '127.0.0.1',
    port: Number(new URL(production.url()).port),
  }));
  daemon = await DaemonProcess.start(`${scratch.path}/data`);
  const url = Object.assign(new URL(production.url()), { port: network.port }).href;
  await importInto(daemon.client(), 'prod', url);
});

afterAll(async () => {
  await load.stop();
  await daemon?.end('SIGTERM');
  await network?.[Symbol.asyncDispose]();
  await production?.stop('immediate');
  scratch[Symbol.dispose]();
});

async function receiver(): Promise<Receiver> {
  const { receiver: seen } = await daemon.client().tenant('prod');
  if (seen === undefined) throw new Error('nothing follows the tenant');
  return seen;
}

/** All that production has flushed at the call can be read here; answers how long that took. */
async function caughtUp(): Promise<number> {
  const began = performance.now();
  const flushed = parseLsn(String(await value(production.url(), 'select pg_current_wal_flush_lsn()')));
  const holds = async () => {
    const { state, source_lsn: source, lag_bytes: lag } = await receiver();
    return state === 'streaming' && source !== undefined && parseLsn(source) - BigInt(lag ?? 0) >= flushed;
  };
  await waitUntil('it has caught up', holds, CATCH_UP_MS);
  return performance.now() - began;
}

/** Transactions a second meanwhile. */
async function rateOver(ms: number): Promise<number> {
  const [began, before] = [performance.now(), load.transactions];
  await sleep(ms);
  return (load.transactions - before) / ((performance.now() - began) / 1000);
}

/** A branch of production as it is now has all that was acknowledged before. */
async function faultsOfBranch(name: string): Promise<string[]> {
  const acknowledged = new Map(load.acknowledged);
  const client = daemon.client();
  await client.createBranch({ name, from: 'prod', at: 'now', timeout_ms: 60_000 });
  await client.startCompute(name);
  const { url } = await client.connectionString(name, { via: 'socket' });
  const faults = await tpcbFaults(url, acknowledged);
  // Of a transaction amid its two phases the locks are there, too, and would keep amcheck waiting for ever.
  await finishAllPrepared(url);
  return [...faults, ...(await structureFaults(url))];
}

test(`production goes on while the network is cut for ${seconds} s, and all of it comes after`, {
  timeout,
}, async () => {
  load.start(production.url());
  await waitUntil('there are commits', () => load.transactions > 100 || load.faults.length > 0, 60_000);
  expect(load.faults).toEqual([]);
  await caughtUp();
  const followed = await rateOver(STEADY_MS);

  network.cut();
  await waitUntil('it waits', async () => (await receiver()).state !== 'streaming');
  const cut = await rateOver(seconds * 1000);
  const during = await receiver();
  expect(during.state).not.toBe('streaming');
  expect(Number(during.lag_seconds)).toBeGreaterThan(seconds / 2);
  const kept = Number(
    await value(
      production.url(),
      'select pg_wal_lsn_diff(pg_current_wal_flush_lsn(), restart_lsn) from pg_replication_slots',
    ),
  );

  network.mend();
  const [caughtUpMs, catchingUp] = await Promise.all([caughtUp(), rateOver(STEADY_MS)]);
  const after = await rateOver(STEADY_MS);
  const faults = await faultsOfBranch('under-load');
  await load.stop();
  faults.push(...(await faultsOfBranch('at-rest')));
  const { url } = await daemon.client().connectionString('at-rest', { via: 'socket' });
  const rates = { followed, cut, 'catching up': catchingUp, after };
  const words = Object.entries(rates).map(([when, rate]) => `${when} ${rate.toFixed(0)}`);
  process.stdout.write(
    `${load.transactions} transactions; a second: ${words.join(', ')}; ` +
      `the slot kept ${(kept / 2 ** 20).toFixed(1)} MiB, caught up after ${(caughtUpMs / 1000).toFixed(1)} s\n`,
  );
  expect([...load.faults, ...faults]).toEqual([]);
  expect(await query(url, CONTENT)).toEqual(await query(production.url(), CONTENT));
  // It never stood still for us.
  for (const rate of Object.values(rates)) expect(rate).toBeGreaterThan(0);
});
