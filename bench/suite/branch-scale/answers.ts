import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BenchContext, Measurement } from '../../bench.js';
import { apiOf } from '../../fixture/api-of.js';
import type { Flock } from '../../fixture/flock.js';
import { processCpuMs } from '../../fixture/process-cpu.js';
import { expectEqual } from '../../fixture/result-hash.js';
import { runProgram } from '../../fixture/run-program.js';
import { type Stage, tenant } from '../../fixture/stage.js';
import { quantile } from '../../fixture/statistics.js';
import { Rounds, timed } from '../../fixture/timing.js';
import type { ScaleSize } from './size.js';

const ctl = join(
  fileURLToPath(import.meta.resolve('@offshoot/server')),
  '../../../ctl/bin/pageserver-ctl.js',
);

/** What may be asked while all branches are there, at rest, and while branches are made. */
export async function answerTimes(
  { daemon }: Stage,
  flock: Flock,
  { repeats }: ScaleSize,
  { remark }: BenchContext,
): Promise<Measurement[]> {
  remark('asking for everything');
  const { client } = flock;
  const get = apiOf(daemon);
  const run = (...args: string[]) =>
    runProgram(process.execPath, [ctl, '--data', daemon.dataDirectory, ...args]);
  const middle = flock.names[Math.floor(flock.names.length / 2)] ?? tenant;
  const asked: Record<string, () => Promise<unknown>> = {
    'GET /v1/branches, a page of 100': () => get('/v1/branches?limit=100'),
    'GET /v1/branches, a page of 100 in the middle': () =>
      get(`/v1/branches?limit=100&cursor=${cursorOf(middle)}`),
    'GET /v1/branches, all by pages of 1000': async () => {
      expectEqual('branches', { made: flock.names.length + 1, listed: (await client.branches()).length });
    },
    'GET /v1/branches of a label that none has': () => get('/v1/branches?label=a=b'),
    'GET /v1/branches/NAME': () => get(`/v1/branches/${middle}`),
    'GET /v1/status': () => get('/v1/status'),
    'GET /v1/tenants': () => get('/v1/tenants'),
    'GET /metrics': () => get('/metrics'),
    'pageserver-ctl --help': () => run('--help'),
    'pageserver-ctl status': () => run('status'),
    'pageserver-ctl branch list': () => run('branch', 'list'),
    'pageserver-ctl branch list --json': () => run('branch', 'list', '--json'),
    'pageserver-ctl branch tree': () => run('branch', 'tree'),
  };
  const pid = daemon.child.pid ?? 0;
  const cpuMs = new Map<string, number>();
  const sides = Object.fromEntries(
    Object.entries(asked).map(([what, ask]) => [
      what,
      async () => {
        const before = processCpuMs(pid) ?? 0;
        const { ms } = await timed(ask);
        cpuMs.set(what, (cpuMs.get(what) ?? 0) + (processCpuMs(pid) ?? 0) - before);
        return ms;
      },
    ]),
  );
  const seen = await new Rounds<string>().run(repeats, sides);
  // A change before each: what was kept of the last answer may be of no use.
  const afterChange = Object.fromEntries(
    Object.entries(sides).map(([what, ask]) => [
      what,
      async () => {
        await flock.shrink(1, 1);
        await flock.grow(1, 1);
        return await ask();
      },
    ]),
  );
  const changed = await new Rounds<string>().run(repeats, afterChange);
  const processor = Object.keys(asked).map((what): Measurement => {
    // Of the daemon, which hardly depends on what else the machine does.
    const value = (cpuMs.get(what) ?? 0) / (2 * repeats);
    return { name: 'branch-scale/answer-processor', unit: 'ms', value, what };
  });
  const times = Object.keys(asked).flatMap((what) =>
    [seen, changed].flatMap((rounds) =>
      [0.5, 1].map(
        (q): Measurement => ({
          name: 'branch-scale/answer',
          unit: 'ms',
          value: quantile(rounds.of(what), q),
          quantile: q,
          what,
          when: rounds === seen ? 'nothing changed' : 'just after a branch was made',
        }),
      ),
    ),
  );
  return [...times, ...processor];
}

function cursorOf(name: string): string {
  return Buffer.from(name).toString('base64url');
}
