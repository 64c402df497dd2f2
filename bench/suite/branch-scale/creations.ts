import type { BenchContext, Measurement } from '../../bench.js';
import type { Flock } from '../../fixture/flock.js';
import { median, quantile } from '../../fixture/statistics.js';
import { timed } from '../../fixture/timing.js';
import type { ScaleSize } from './size.js';

/** How long calls took while there were about so many branches. */
interface Window {
  readonly what: 'create' | 'delete';
  readonly clients: number;
  readonly there: number;
  readonly ms: readonly number[];
}

/** Makes all branches; tells of each window, and compares the last with the first. */
export async function creationTimes(
  flock: Flock,
  { branches, window, alone, clients, deletions }: ScaleSize,
  { remark }: BenchContext,
): Promise<Measurement[]> {
  const windows: Window[] = [];
  const see = async (what: Window['what'], by: number, count: number) => {
    const there = flock.names.length;
    const ms = await (what === 'create' ? flock.grow(count, by) : flock.shrink(count, by));
    windows.push({ what, clients: by, there, ms });
  };
  const deleteSome = async () => {
    for (const by of [1, clients]) {
      await see('delete', by, deletions);
      // Those do not count: they come after a deletion, and not at the end of a window.
      await flock.grow(deletions, clients);
    }
  };
  // Whatever the first calls of a process cost, and connections.
  await flock.grow(clients, clients);
  await flock.shrink(clients, clients);
  let ms = 0;
  while (flock.names.length < branches) {
    ms += (
      await timed(async () => {
        await see('create', 1, alone);
        await see('create', clients, Math.min(window - alone, branches - flock.names.length));
      })
    ).ms;
    if (flock.names.length <= window) await deleteSome();
    if (flock.names.length % (4 * window) === 0) remark(`${flock.names.length} branches`);
  }
  await deleteSome();
  await flock.expectListed();
  return [
    ...windows.flatMap(told),
    ...compared(windows, 'create', 1),
    ...compared(windows, 'create', clients),
    ...compared(windows, 'delete', 1),
    ...compared(windows, 'delete', clients),
    { name: 'branch-scale/create-rate', unit: 'branches/s', value: (branches * 1000) / ms },
  ];
}

function told({ what, clients, there, ms }: Window): Measurement[] {
  return [0.5, 0.95, 0.99].map((q) => ({
    name: `branch-scale/${what}`,
    unit: 'ms',
    value: quantile(ms, q),
    quantile: q,
    clients,
    there,
  }));
}

/** The last quarter of the windows to the first, but the very first, by their medians. */
function compared(windows: readonly Window[], what: Window['what'], clients: number): Measurement[] {
  const of = windows.filter((each) => each.what === what && each.clients === clients);
  const some = Math.max(1, Math.floor(of.length / 4));
  const middle = (some: readonly Window[]) => median(some.map(({ ms }) => median(ms)));
  const value = middle(of.slice(-some)) / middle(of.slice(0, some));
  return [{ name: `branch-scale/${what}-last-to-first`, unit: 'ratio', value, clients }];
}
