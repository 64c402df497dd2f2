import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, expect, it } from 'vitest';
import { Catalog } from './catalog.js';

const dir = mkdtempSync(join(tmpdir(), 'offshoot-catalog-crash-'));
afterAll(() => rmSync(dir, { recursive: true }));

const ROUNDS = 12;
/** Compiled by the build that comes before the tests: a child process cannot load TypeScript. */
const built = new URL('../../dist/catalog/catalog.js', import.meta.url).href;

/** Makes and deletes branches for ever, four at a time, and says what is acknowledged. */
const script = `
import { writeSync } from 'node:fs';
import { Catalog } from ${JSON.stringify(built)};
const [dir, round] = process.argv.slice(-2);
const catalog = Catalog.open(dir);
const say = (...words) => writeSync(1, words.join(' ') + '\\n');
if (round === '0') {
  const id = '0'.repeat(32);
  await catalog.reserveTenant({ id, name: 'shop' });
  await catalog.activateTenant(id, { readableFrom: 1n, lastRecordLsn: 1n, stats: {} });
}
let serial = 0;
async function work() {
  for (;;) {
    const parent = catalog.branchNamed('shop').id;
    const name = 'b' + round + '-' + serial++;
    const { branch } = await catalog.createBranch({ name, parent, ancestorLsn: 1n });
    say('made', name);
    if (serial % 2 === 0) {
      const at = { branch: branch.id, name: 'c', timeline: branch.timeline, lsn: 1n };
      await catalog.createCheckpoint({ ...at, kind: 'manual', checkpointsMax: 9 });
      const preserveAs = name + '-before';
      await catalog.moveBranch(branch.id, { from: branch.timeline, point: at, preserveAs });
      say('made', preserveAs);
    }
    if (serial % 3 === 0) {
      say('deleting', name);
      await catalog.deleteBranch(branch.id);
      say('deleted', name);
    }
  }
}
say('ready');
await Promise.all([work(), work(), work(), work()]);
`;

function start(round: number): ChildProcess {
  const args = ['--input-type=module', '-e', script, dir, String(round)];
  return spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
}

it('has every acknowledged branch, and none half made, after each of many kills', async () => {
  const made = new Set<string>();
  const deleted = new Set<string>();
  for (let round = 0; round < ROUNDS; round++) {
    const child = start(round);
    const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
    lines.on('line', (line) => {
      const [word, name = ''] = line.split(' ');
      if (word === 'ready') {
        setTimeout(() => child.kill('SIGKILL'), 20 + 17 * round);
      } else if (word === 'made') {
        made.add(name);
      } else {
        // Between `deleting` and `deleted` a branch may be there or not.
        made.delete(name);
        if (word === 'deleted') {
          deleted.add(name);
        }
      }
    });
    await Promise.all([once(child, 'exit'), once(lines, 'close')]);
    await check(made, deleted);
  }
  expect(made.size).toBeGreaterThan(ROUNDS);
}, 120_000);

/** Makes branches until that fails, then shows that it still works. */
const fillingScript = `
import { Catalog } from ${JSON.stringify(built)};
const catalog = Catalog.open(process.argv.at(-1));
const id = '0'.repeat(32);
await catalog.reserveTenant({ id, name: 'shop' });
await catalog.activateTenant(id, { readableFrom: 1n, lastRecordLsn: 1n, stats: {} });
const parent = catalog.branchNamed('shop').id;
let made = 0;
let failure;
while (failure === undefined) {
  await catalog.createBranch({ name: 'b' + made, parent, ancestorLsn: 1n }).then(
    () => { made += 1; },
    (error) => { failure = error; },
  );
}
const counted = catalog.branches().length;
await catalog.close();
console.log(JSON.stringify({ code: failure.code, message: failure.message, made, counted }));
`;

it('says so when the disk is full, goes on living, and loses nothing', async () => {
  const full = join(dir, 'full');
  // A limit on the size of files stands for a full disk: writes fail the same way.
  const limited = `trap '' XFSZ; ulimit -f 800; exec "$0" "$@"`;
  const node = [process.execPath, '--input-type=module', '-e', fillingScript, full];
  const child = spawn('sh', ['-c', limited, ...node], { stdio: ['ignore', 'pipe', 'ignore'] });
  const said: Buffer[] = [];
  child.stdout.on('data', (bytes: Buffer) => said.push(bytes));
  await once(child, 'close');
  const { code, message, made, counted } = JSON.parse(Buffer.concat(said).toString());
  expect({ code, counted }).toEqual({ code: 'catalog_write_failed', counted: made + 1 });
  expect(message).toMatch(/could not be written: ./);
  const catalog = Catalog.open(full);
  expect(catalog.branches()).toHaveLength(made + 1);
  await catalog.close();
}, 60_000);

async function check(made: Set<string>, deleted: Set<string>): Promise<void> {
  const catalog = Catalog.open(dir);
  try {
    const branches = catalog.branches();
    const names = new Set<string>(branches.map(({ name }) => name));
    expect([...made].filter((name) => !names.has(name))).toEqual([]);
    expect([...deleted].filter((name) => names.has(name))).toEqual([]);
    const timelines = catalog.timelines('0'.repeat(32) as never);
    const named = new Set(branches.map(({ timeline }) => timeline));
    expect(named.size).toBe(branches.length);
    for (const { id, parent } of timelines) {
      expect(named.has(id) ? catalog.branchOf(id)?.timeline : catalog.keptLsns(id).length > 0).toBeTruthy();
      if (parent !== undefined) {
        expect(catalog.keptLsns(parent.timeline).some(({ who }) => who === id)).toBe(true);
        named.delete(id);
      }
    }
    // That of the tenant alone is left: all that are named are there.
    expect(named.size).toBe(1);
    expect(catalog.branchCountOf('0'.repeat(32) as never)).toBe(branches.length);
    expect(new Set(timelines.map(({ index }) => index)).size).toBe(timelines.length);
    const root = branches.find(({ name }) => name === 'shop');
    const children = new Set(root === undefined ? [] : catalog.childNames(root.id));
    for (const branch of branches) {
      expect(catalog.findBranchNamed(branch.name)).toEqual(branch);
      expect(branch.parent === undefined || children.has(branch.name)).toBe(true);
    }
    expect(children.size).toBe(branches.length - 1);
  } finally {
    await catalog.close();
  }
}
