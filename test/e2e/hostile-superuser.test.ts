import { existsSync, lstatSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { query } from '../fixture/query.js';
import { waitUntil } from '../fixture/wait-until.js';
import { World } from '../fixture/world.js';

/** A superuser of a branch can run programs as the computes' OS user; that must be all. */
let world: World;

beforeAll(async () => {
  world = await World.make(['create table notes (id int)']);
});

afterAll(async () => world[Symbol.asyncDispose]());

const run = (url: string, script: string) =>
  query(url, `copy (select 1) to program '${script.replaceAll("'", "''")}'`);

const computes = () => join(world.data, 'computes');

async function rootOf(branch: string): Promise<string> {
  const compute = (await world.client.computes()).find((each) => each.branch === branch);
  if (compute === undefined) throw new Error(`no compute of ${branch}`);
  return join(computes(), compute.id);
}

test('what it puts in the place of the limits file is not written to', async () => {
  const victim = join(world.scratch.path, 'victim');
  writeFileSync(victim, 'as it was', { mode: 0o600 });
  const url = await world.fork('linked');
  await run(url, `cd offshoot && mv limits limits.old && ln -s ${victim} limits`);
  await world.client.updateBranch('linked', { write_quota_bytes: 1 });
  // The compute heeds it all the same.
  await waitUntil('it is refused', async () =>
    query(url, 'create table more (id int)').then(
      () => query(url, 'drop table more').then(() => false),
      (error: { code?: string }) => error.code === '53100',
    ),
  );
  expect(readFileSync(victim, 'utf8')).toBe('as it was');
  await world.client.stopCompute('linked');
});

test('a pipe in the place of postmaster.pid holds nobody up', async () => {
  const url = await world.fork('piped');
  await run(url, 'mv postmaster.pid other.pid && mkfifo postmaster.pid');
  const root = await rootOf('piped');
  await run(url, 'kill -9 $(head -1 other.pid)').catch(() => undefined);
  await waitUntil('its end is seen', async () => (await world.client.branch('piped')).compute === 'crashed');
  await waitUntil('nothing of it is left', async () => readdirSync(root).join() === 'log');
  await query(await world.fork('piped-too'), 'select');
});

test('what it has started ends with it, and what it leaves is removed', async () => {
  const url = await world.fork('left');
  const outside = join(world.scratch.path, 'outside');
  writeFileSync(outside, 'as it was');
  const busy = `while true; do mkdir -p more/and/more; echo x > more/and/more/x; done`;
  await run(url, `ln -s ${world.scratch.path} away; mkdir -p shut/in; chmod 0 shut/in shut`);
  // They have the session's socket too: it stays open as long as they live.
  const leaving = run(
    url,
    `(setsid sh -c '${busy}' >/dev/null 2>&1 </dev/null &) ; (setsid sleep 7777 >/dev/null 2>&1 </dev/null &)`,
  );
  const root = await rootOf('left');
  await waitUntil('they run', async () => existsSync(join(root, 'pgdata/more')) && marked(root).length >= 2);
  // Deeper than a path can be long.
  await run(url, `d=${'d'.repeat(56)}; for i in $(seq 150); do mkdir $d && cd $d; done; true`);
  await world.client.stopCompute('left');
  await leaving;
  expect(readdirSync(root)).toEqual(['log']);
  expect(readFileSync(outside, 'utf8')).toBe('as it was');
  expect(marked(root)).toEqual([]);
});

test('a directory that is being made ahead is not the OS user’s to enter', async () => {
  const url = await world.fork('peeks');
  const spare = () =>
    readdirSync(computes()).find((id) => {
      const path = join(computes(), id);
      return (
        existsSync(join(path, 'pgdata', 'offshoot', 'spare')) && (lstatSync(path).mode & 0o777) === 0o700
      );
    });
  await waitUntil('one is made ahead', async () => spare() !== undefined);
  const path = join(computes(), spare() ?? '', 'pgdata');
  await expect(run(url, `ls ${path}`)).rejects.toThrow();
});

/** Processes that were started by what was in that directory, by their environment. */
function marked(directory: string): string[] {
  return readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, 'utf8').includes(`PGDATA=${directory}/`);
      } catch {
        return false;
      }
    });
}
