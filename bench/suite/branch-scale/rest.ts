import { setTimeout as sleep } from 'node:timers/promises';
import type { BenchContext, Measurement } from '../../bench.js';
import type { Flock } from '../../fixture/flock.js';
import { processCpuMs } from '../../fixture/process-cpu.js';
import { processMemory } from '../../fixture/process-memory.js';
import { type Stage, tenant } from '../../fixture/stage.js';
import { timed } from '../../fixture/timing.js';
import type { ScaleSize } from './size.js';

const pollMs = 20;

/** A daemon that nobody asks anything: its memory, its processor time, and a round of garbage collection. */
export async function rest(
  { daemon }: Stage,
  flock: Flock,
  { restSeconds }: ScaleSize,
  { remark }: BenchContext,
): Promise<{ memory: number | undefined; measurements: Measurement[] }> {
  const there = flock.names.length;
  const pid = daemon.child.pid ?? 0;
  remark(`garbage collection with ${there} branches`);
  const first = await round(flock);
  // Nothing has changed since.
  const second = await round(flock);
  remark(`at rest with ${there} branches`);
  const before = processCpuMs(pid);
  const { ms } = await timed(() => sleep(restSeconds * 1000));
  const after = processCpuMs(pid);
  const measurements: Measurement[] = [
    { name: 'branch-scale/gc-round', unit: 'ms', value: first, there, round: 'first' },
    { name: 'branch-scale/gc-round', unit: 'ms', value: second, there, round: 'second' },
  ];
  if (before !== undefined && after !== undefined) {
    const value = (after - before) / ms;
    measurements.push({ name: 'branch-scale/at-rest', unit: 'ratio', value, of: 'one processor', there });
  }
  return { memory: processMemory(pid)?.own, measurements };
}

async function round({ client }: Flock): Promise<number> {
  const { ms } = await timed(async () => {
    let operation = await client.collectGarbage(tenant);
    while (operation.state === 'running') {
      await sleep(pollMs);
      operation = await client.operation(operation.id);
    }
    if (operation.state !== 'done') throw new Error(`gc ${operation.state}: ${operation.error?.detail}`);
  });
  return ms;
}
