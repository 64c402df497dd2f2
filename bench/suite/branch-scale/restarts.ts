import { once } from 'node:events';
import type { BenchContext, Measurement } from '../../bench.js';
import { DaemonProcess } from '../../fixture/daemon-process.js';
import type { Flock } from '../../fixture/flock.js';
import { withPassword } from '../../fixture/import-tenant.js';
import { processCpuMs } from '../../fixture/process-cpu.js';
import { query } from '../../fixture/query.js';
import type { Stage } from '../../fixture/stage.js';
import { timed } from '../../fixture/timing.js';
import type { ScaleSize } from './size.js';

/** How the daemon ends before it is started again. */
const ends = ['SIGTERM', 'SIGKILL'] as const;

/** From the start of a process until it serves, and until the first who connects to a sleeping branch has an answer. */
export async function restarts(
  { daemon, source }: Stage,
  flock: Flock,
  { repeats }: ScaleSize,
  { remark }: BenchContext,
): Promise<Measurement[]> {
  const measurements: Measurement[] = [];
  let running = daemon;
  const [name = ''] = flock.names;
  try {
    for (let repeat = 0; repeat < Math.min(3, repeats); repeat += 1) {
      for (const signal of ends) {
        remark(`${signal} and a restart`);
        const end = await timed(() => ended(running, signal));
        const began = performance.now();
        running = await DaemonProcess.start(running.dataDirectory);
        const ready = performance.now() - began;
        flock.client = running.client;
        await flock.client.branch(name);
        const answered = performance.now() - began;
        const way = await flock.client.connectionString(name, { via: 'gateway' });
        await query(withPassword(way, source.password).url, 'select 1');
        const connected = performance.now() - began;
        const processor = processCpuMs(running.child.pid ?? 0);
        await flock.expectListed();
        const told = {
          end: end.ms,
          ready,
          'answer of the API': answered,
          'first connection': connected,
          ...(processor === undefined ? {} : { 'first connection, processor time': processor }),
        };
        measurements.push(
          ...Object.entries(told).map(
            ([until, value]): Measurement => ({
              name: 'branch-scale/restart',
              unit: 'ms',
              value,
              after: signal,
              until,
              repeat,
            }),
          ),
        );
      }
    }
  } finally {
    await running[Symbol.asyncDispose]();
  }
  return measurements;
}

async function ended({ child }: DaemonProcess, signal: NodeJS.Signals): Promise<void> {
  const exit = once(child, 'exit');
  child.kill(signal);
  await exit;
}
