import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AcknowledgedLoad, ledgerFaults, ledgerTables } from '../fixture/acknowledged-load.js';
import { killProduction } from '../fixture/kill-production.js';
import { query, value } from '../fixture/query.js';
import { structureFaults } from '../fixture/structure-faults.js';
import { waitUntil } from '../fixture/wait-until.js';
import { World } from '../fixture/world.js';

/** More of them by hand: OFFSHOOT_KILL_ROUNDS=100. */
const rounds = Number(process.env.OFFSHOOT_KILL_ROUNDS ?? 4);
const timeout = 120_000 + rounds * 30_000;
const load = new AcknowledgedLoad(6);
let world: World;

beforeAll(async () => {
  const parameters = { max_wal_size: '64MB', autovacuum: 'on', autovacuum_naptime: '1s' };
  world = await World.make([...ledgerTables, 'vacuum analyze'], { parameters });
});

afterAll(async () => {
  await load.stop();
  await world?.[Symbol.asyncDispose]();
});

/** At another moment in each round, some within a segment switch, a checkpoint or a vacuum. */
const momentMs = (round: number) => 100 + ((round * 389) % 1200);

async function disturb(round: number): Promise<void> {
  const statements = [
    'checkpoint',
    'vacuum ledger',
    'select pg_switch_wal()',
    'reindex table ledger',
    'create table bulk as select i, repeat(md5(i::text), 20) as v from generate_series(1, 100000) i',
    'drop table if exists bulk',
  ];
  await query(world.production.url(), statements[round % statements.length] ?? 'select 1').catch(
    () => undefined,
  );
}

const answers = () =>
  value(world.production.url(), 'select 1').then(
    () => true,
    () => false,
  );

/** One process of it dies, here the one that sends to us; Postgres ends all others and recovers by itself. */
async function killSender(): Promise<void> {
  const pid = Number(await value(world.production.url(), 'select pid from pg_stat_replication limit 1'));
  expect(pid).toBeGreaterThan(0);
  process.kill(pid, 'SIGKILL');
  await load.stop();
  await waitUntil('production has recovered', answers, 60_000);
}

async function streams(): Promise<boolean> {
  return (await world.client.tenant('prod')).receiver?.state === 'streaming';
}

/** Of a branch of production as it is now. */
async function faultsNow(name: string): Promise<string[]> {
  await world.client.createBranch({ name, from: 'prod', at: 'now', timeout_ms: 60_000 });
  await world.client.startCompute(name);
  const url = await world.url(name);
  const faults = await ledgerFaults(url, load);
  faults.push(...(await structureFaults(url)));
  await world.client.deleteBranch(name);
  return faults;
}

test('kill -9 of production under load: what it had acknowledged comes, and following goes on', {
  timeout,
}, async () => {
  for (let round = 0; round < rounds; round += 1) {
    const before = load.commits;
    load.start(world.production.url());
    await waitUntil('there are commits', () => load.commits > before + 20);
    await waitUntil('it is followed', streams, 60_000);
    void disturb(round);
    await sleep(momentMs(round));
    if (round % 2 === 0) await killProduction(world.production, () => load.stop());
    else await killSender();
    expect(await faultsNow(`round-${round}`), `round ${round}`).toEqual([]);
    expect(await ledgerFaults(world.production.url(), load)).toEqual([]);
  }
  process.stdout.write(`${rounds} rounds, ${load.commits} commits\n`);
});
