import { readFileSync } from 'node:fs';
import type { BranchStorage } from '@offshoot/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ctl } from '../fixture/command-line.js';
import { query } from '../fixture/query.js';
import { World } from '../fixture/world.js';

/** Hardly any window, however fast this runs; and rounds when they are asked for. */
const retention = { historySeconds: 1, historyWalBytesMax: 8, intervalMs: 3_600_000, busyPercentMax: 100 };

let world: World;

beforeAll(async () => {
  world = await World.make(
    [
      'create table t (n int, text text)',
      "insert into t select n, repeat('x', 500) from generate_series(1, 2000) n",
      'vacuum analyze',
    ],
    { tuning: { retention } },
  );
});

afterAll(() => world?.[Symbol.asyncDispose]());

async function collect(): Promise<void> {
  expect(await ctl(world.data, 'gc', 'run', 'prod')).toMatchObject({ code: 0 });
}

/** Production changes every page of the table, and has something after that for branches made before to be older than. */
async function changeProduction(): Promise<void> {
  await query(
    world.production.url(),
    'update t set n = n + 1',
    'vacuum t',
    'create table if not exists u ()',
  );
  await world.client.createBranch({ name: 'caught-up', at: 'now' });
  await world.client.deleteBranch('caught-up');
}

const storage = (branch: string): Promise<BranchStorage> => world.client.branchStorage(branch);

test('what a branch has of its own is measured when somebody asks', async () => {
  const { client } = world;
  await query(await world.fork('own'), "update t set text = repeat('y', 500)");
  await client.stopCompute('own');
  const { own, pinned, written_bytes } = await storage('own');
  // A table of 2000 rows of some 530 bytes, all of them made anew.
  expect(own?.pages).toBeGreaterThan(2 * Math.floor((2000 * 530) / 8192));
  expect(own?.versions).toBeGreaterThanOrEqual(own?.pages ?? Number.NaN);
  expect(written_bytes).toBeGreaterThan(own?.pages ?? Number.NaN);
  // Production has given up nothing yet that it needs.
  expect(pinned).toMatchObject({ bytes: 0, versions: 0 });
  expect((await client.branch('own')).own).toEqual(own);
  const { stdout } = await ctl(world.data, 'branch', 'show', 'own');
  expect(stdout).toMatch(/\nstored {4}\S+ [kM]B of its own, \d+ pages changed; at /);
  expect(stdout).toMatch(/\nkeeps {5}0 B of its ancestors alive; at /);
});

test('what a branch alone keeps of its ancestors is what goes with it, to the byte', async () => {
  const { client } = world;
  await client.deleteBranch('own');
  await changeProduction();
  await client.createBranch({ name: 'alone', at: 'now' });
  await client.createBranch({ name: 'of-alone', from: 'alone' });
  await changeProduction();
  await client.createBranch({ name: 'one', at: 'now' });
  const { base_lsn: shared } = await client.branch('one');
  await client.createBranch({ name: 'other', at: shared });
  await changeProduction();
  await collect();
  const { pinned } = await storage('alone');
  expect(pinned?.bytes).toBeGreaterThan(10_000);
  expect(pinned?.versions).toBeGreaterThan(100);
  // What both need neither keeps alone, and what comes of a branch keeps what that keeps.
  for (const name of ['one', 'other', 'of-alone']) {
    expect((await storage(name)).pinned, name).toMatchObject({ bytes: 0, versions: 0 });
  }
  const before = (await client.tenant('prod')).garbage;
  await client.deleteBranch('alone', { recursive: true });
  await collect();
  const { versions_removed, bytes_removed } = (await client.tenant('prod')).garbage;
  // Beside them go sizes and commit times, of which there are few.
  const versions = versions_removed - before.versions_removed - (pinned?.versions ?? 0);
  expect(versions).toBeGreaterThanOrEqual(0);
  expect(versions).toBeLessThan(100);
  expect(bytes_removed - before.bytes_removed - (pinned?.bytes ?? 0)).toBeLessThan(100_000);
  // The other of the two is alone from the next round on.
  await client.deleteBranch('other');
  await collect();
  expect((await storage('one')).pinned?.bytes).toBeGreaterThan(10_000);
});

test('the record of a branch is when clients used it, and outlives it', async () => {
  const { client } = world;
  const made = await client.createBranch({ name: 'life', from: 'prod' });
  await client.startCompute('life');
  // What the daemon itself asks there is nobody's use.
  const unused = await client.branchRecord('life');
  expect(unused).toMatchObject({
    state: 'active',
    never_used: true,
    wakes: 1,
    created_by: { name: 'daemon' },
  });
  expect([unused.first_query_at, unused.last_query_at]).toEqual([undefined, undefined]);
  // The compute's clock is that of this machine, and is read to some milliseconds.
  const before = Date.now() - 20;
  await query(await world.url('life'), 'select count(*) from t');
  const first = Date.parse((await client.branchRecord('life')).first_query_at ?? '');
  expect(first).toBeGreaterThanOrEqual(before);
  expect(first).toBeLessThanOrEqual(Date.now());
  await query(await world.gatewayUrl('life'), 'select pg_sleep(0.1)', 'analyze t');
  const { last_query_at } = await client.branchRecord('life');
  expect(Date.parse(last_query_at ?? '')).toBeGreaterThan(first);
  // It is asked for its sessions before it stops.
  await client.stopCompute('life');
  const used = await client.branchRecord('life');
  expect(used).toMatchObject({ last_query_at, never_used: false, slept_at: expect.any(String) });
  const { branches } = JSON.parse((await ctl(world.data, 'branch', 'list', '--never-used', '--json')).stdout);
  expect(branches.map(({ name }: { name: string }) => name)).not.toContain('life');
  await client.deleteBranch('life');
  await client.createBranch({ name: 'life', from: 'prod' });
  expect(await client.branchRecord('life')).toMatchObject({ state: 'active', never_used: true });
  await client.deleteBranch('life');
  for (const name of [made.branch.id, 'life']) {
    expect(await client.branchRecord(name)).toMatchObject({ state: 'deleted', destroyed_by: 'user' });
  }
  const { destroyed_at, ...rest } = await client.branchRecord(made.branch.id);
  expect(Date.parse(destroyed_at ?? '')).toBeGreaterThan(first);
  expect(rest).toMatchObject({ ...used, state: 'deleted', destroyed_by_token: { name: 'daemon' } });
  const { stdout } = await ctl(world.data, 'branch', 'record', made.branch.id);
  expect(stdout).toMatch(/\ndeleted {9}\S+Z, by user \(.+\)\n$/);
});

/** Series and, of each, its labels. */
function seriesIn(text: string): Map<string, Map<string, Set<string>>> {
  const series = new Map<string, Map<string, Set<string>>>();
  for (const [, name = '', labels = ''] of text.matchAll(/^(\w+)(?:\{(.*)\})? \S+$/gm)) {
    const known = series.get(name) ?? new Map<string, Set<string>>();
    series.set(name, known);
    for (const [, label = '', value = ''] of labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) {
      known.set(label, (known.get(label) ?? new Set()).add(value));
    }
  }
  return series;
}

const expressions = () => [
  ...readFileSync(new URL('../../monitoring/alerts.yml', import.meta.url), 'utf8').matchAll(
    /^ +(?:expr: (?:>-\n +)?)(.*)$/gm,
  ),
  ...readFileSync(new URL('../../monitoring/grafana-dashboard.json', import.meta.url), 'utf8').matchAll(
    /"expr": "((?:[^"\\]|\\.)*)"/g,
  ),
];

test('what dashboard and alerts ask for is what the page server says, by name, label and value', async () => {
  const { facts, token } = world.daemon;
  const answer = await fetch(`${facts.api_url}/metrics`, { headers: { authorization: `Bearer ${token}` } });
  const text = await answer.text();
  const [series, types] = [seriesIn(text), new Set(text.match(/(?<=^# TYPE )\w+/gm))];
  const asked = expressions().map(([, expression = '']) => expression.replaceAll('\\"', '"'));
  expect(asked.length).toBeGreaterThan(60);
  const unseen = new Set<string>();
  for (const expression of asked) {
    for (const [, name = '', labels = ''] of expression.matchAll(
      /\b((?:offshoot|nodejs|process)_\w+)(?:\{([^}]*)\})?/g,
    )) {
      expect(types.has(name) || types.has(name.replace(/_(bucket|sum|count)$/, '')), name).toBe(true);
      const seen = series.get(name);
      if (seen === undefined) unseen.add(name);
      for (const [, label = '', is, value = ''] of labels.matchAll(/(\w+)(=~|=|!~)"([^"]*)"/g)) {
        if (seen === undefined || seen.size === 0) continue;
        expect([...seen.keys()], `${name} in ${expression}`).toContain(label);
        if (is === '=' && name === 'offshoot_computes') expect([...(seen.get(label) ?? [])]).toContain(value);
      }
    }
  }
  // All the others have been counted by now; these wait for what has not gone wrong here.
  expect(
    [...unseen].filter((name) => !/errors_total|failures_total|refused_total|safe_wal/.test(name)),
  ).toEqual([]);
  expect(text).toMatch(/^offshoot_slot_wal_status\{tenant="prod",status="reserved"\} 1$/m);
  const count = (line: RegExp) => Number(line.exec(text)?.[1]);
  expect(count(/^offshoot_getpage_seconds_count\{tenant="prod",source="image"\} (\d+)$/m)).toBeGreaterThan(
    10,
  );
  expect(count(/^offshoot_getpage_timelines_bucket\{le="\+Inf",tenant="prod"\} (\d+)$/m)).toBeGreaterThan(10);
  expect(count(/^offshoot_branch_operation_seconds_count\{op="create"\} (\d+)$/m)).toBeGreaterThan(4);
  expect(count(/^offshoot_gc_round_seconds_total\{tenant="prod"\} (\S+)$/m)).toBeGreaterThan(0);
});
