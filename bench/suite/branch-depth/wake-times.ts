import type { BenchContext, Measurement } from '../../bench.js';
import { row } from '../../fixture/query.js';
import { expectEqual } from '../../fixture/result-hash.js';
import type { Stage } from '../../fixture/stage.js';
import { median, quantile } from '../../fixture/statistics.js';
import { timed } from '../../fixture/timing.js';
import type { Chain } from './chain.js';
import type { DepthSize } from './size.js';

/** A row that nobody changes. */
const firstRow = 'select customer, note from orders where id = 1';

/** A new branch to its first row, and a sleeping one: in turns at depth 1 and at the end of the chain. */
export async function wakeTimes(
  { client, source }: Stage,
  chain: Chain,
  { wakes }: DepthSize,
  { remark }: BenchContext,
): Promise<Measurement[]> {
  remark('forks and wakes');
  const expected = await row(source.url(), firstRow);
  const depths = [1, chain.depth];
  const seen = new Map<string, number[]>();
  const add = (what: string, depth: number, ms: number) => {
    const key = `${what} at ${depth}`;
    seen.set(key, [...(seen.get(key) ?? []), ms]);
  };
  const first = async (name: string, depth: number) => {
    await client.startCompute(name);
    const { url } = await client.connectionString(name, { via: 'socket' });
    expectEqual('the first row', { production: expected, branch: await row(url, firstRow) });
    const { activity } = await client.branch(name);
    for (const [phase, ms] of Object.entries(activity.last_wake?.phases_ms ?? {}))
      add(`phase ${phase}`, depth, ms);
  };
  for (let round = 0; round <= wakes; round += 1) {
    for (const depth of round % 2 === 0 ? depths : depths.toReversed()) {
      const name = `wake-${depth}-${round}`;
      const forked = await timed(async () => {
        await chain.leafAt(client, depth, name);
        await first(name, depth);
      });
      await client.stopCompute(name);
      const woken = await timed(() => first(name, depth));
      await client.deleteBranch(name);
      // The first round warms up.
      if (round === 0) continue;
      add('fork to the first row', depth, forked.ms);
      add('wake to the first row', depth, woken.ms);
    }
  }
  const whats = [...new Set([...seen.keys()].map((key) => key.slice(0, key.lastIndexOf(' at '))))];
  const of = (what: string, depth: number) => seen.get(`${what} at ${depth}`) ?? [];
  return whats.flatMap((what): Measurement[] => [
    ...depths.flatMap((depth) =>
      [0.5, 0.95].map(
        (q): Measurement => ({
          name: 'branch-depth/start',
          unit: 'ms',
          value: quantile(of(what, depth), q),
          quantile: q,
          what,
          depth,
        }),
      ),
    ),
    ...(what.startsWith('phase')
      ? []
      : [
          {
            name: 'branch-depth/ratio',
            unit: 'ratio' as const,
            value: median(of(what, chain.depth)) / median(of(what, 1)),
            what,
          },
        ]),
  ]);
}
