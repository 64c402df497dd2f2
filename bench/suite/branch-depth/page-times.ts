import { parseLsn } from '@offshoot/types';
import type { BenchContext, Measurement } from '../../bench.js';
import { getPageRequests, PageStreamClient, request } from '../../fixture/page-stream-client.js';
import { expectEqual } from '../../fixture/result-hash.js';
import { type Stage, tenant } from '../../fixture/stage.js';
import { median, quantile } from '../../fixture/statistics.js';
import { Rounds, timed, timeRepeatedly } from '../../fixture/timing.js';
import type { Chain } from './chain.js';
import type { DepthSize } from './size.js';

const BLOCKS_ASKED = 64;
const UNDER_WAY = 64;
/** Of a page, its LSN and checksum are those of the version. */
const HEADER_BYTES = 10;

type Since = ReturnType<typeof parseLsn>;
type What =
  | 'page of the root'
  | 'changed by the parent'
  | 'changed midway'
  | 'blocks of the table'
  | 'size of the database';

/** Something that is asked on a branch at some depth. */
interface Side {
  readonly what: What;
  readonly depth: number;
  ask(): Promise<unknown>;
}

/** How long pages and sizes take to read, and what was seen. */
export async function pageTimes(
  stage: Stage,
  chain: Chain,
  size: DepthSize,
  { remark }: BenchContext,
): Promise<{ measurements: Measurement[]; seen: string[] }> {
  const { depth, place } = chain;
  const { id, readable_from_lsn: from = '' } = await stage.client.tenant(tenant);
  const since: Since = parseLsn(from);
  const middle = Math.floor(depth / 2);
  const some = Math.min(10, depth - 1);
  const clients = new Map<number, PageStreamClient>();
  try {
    for (const at of new Set([1, 2, some, middle + 1, depth])) {
      const { timeline } = await stage.client.branch(await chain.leafAt(stage.client, at));
      clients.set(at, await PageStreamClient.open(stage.daemon.pageSocket, id, timeline));
    }
    const on = (at: number) => clients.get(at) as PageStreamClient;
    const frames = (blocks: readonly number[]) =>
      blocks.map((each) => getPageRequests(place.rel, [each], since).frames);
    const root = frames(chain.unchangedBlocks(BLOCKS_ASKED));
    const [parents, midway] = [frames(chain.changed[1] ?? []), frames(chain.changed[middle] ?? [])];
    const first = await timed(() => on(depth).page(root[0] as Buffer));
    const seen = [
      ...(await samePages(root, { one: on(1), some: on(some), deep: on(depth) })),
      ...(await samePages(parents, { near: on(2), deep: on(depth) })),
      ...(await samePages(midway, { near: on(middle + 1), deep: on(depth) })),
    ];
    remark('pages are the same at each depth; measuring');
    const page = (what: What, at: number, requests: readonly Buffer[]): Side => {
      let next = 0;
      return { what, depth: at, ask: () => on(at).page(requests[next++ % requests.length] as Buffer) };
    };
    const dbnode = place.rel.dbnode;
    const [blocks, bytes] = [
      request({ kind: 'Nblocks', rel: place.rel }, since),
      request({ kind: 'DbSize', dbnode }, since),
    ];
    const sides: Side[] = [
      ...[1, some, depth].map((at) => page('page of the root', at, root)),
      page('changed by the parent', 2, parents),
      page('changed midway', depth, midway),
      ...[1, depth].map(
        (at): Side => ({ what: 'blocks of the table', depth: at, ask: () => on(at).size(blocks) }),
      ),
      ...[1, depth].map(
        (at): Side => ({ what: 'size of the database', depth: at, ask: () => on(at).size(bytes) }),
      ),
    ];
    const times = await new Rounds<string>().run(
      size.rounds,
      Object.fromEntries(
        sides.map((side) => [key(side), () => timeRepeatedly(size.callsPerRound, side.ask)]),
      ),
    );
    const rates = await throughput(size, chain, since, { 1: on(1), [depth]: on(depth) });
    const of = (what: What, at: number) => median(times.of(key({ what, depth: at })));
    const ratio = (what: What, value: number): Measurement => ({
      name: 'branch-depth/ratio',
      unit: 'ratio',
      value,
      what,
    });
    return {
      seen,
      measurements: [
        ...sides.flatMap((side) => told(side, times.of(key(side)))),
        { name: 'branch-depth/first', unit: 'ms', value: first.ms, what: 'page of the root', depth },
        ratio('page of the root', of('page of the root', depth) / of('page of the root', 1)),
        ratio('changed midway', of('changed midway', depth) / of('changed by the parent', 2)),
        ratio('blocks of the table', of('blocks of the table', depth) / of('blocks of the table', 1)),
        ratio('size of the database', of('size of the database', depth) / of('size of the database', 1)),
        ...rates,
      ],
    };
  } finally {
    for (const client of clients.values()) client[Symbol.dispose]();
  }
}

/** Throws when a page is not the same on all of them; answers the beginnings of what is behind its header. */
async function samePages(
  requests: readonly Buffer[],
  clients: Readonly<Record<string, PageStreamClient>>,
): Promise<string[]> {
  const seen: string[] = [];
  for (const each of requests) {
    const pages: Record<string, string> = {};
    for (const [name, client] of Object.entries(clients)) {
      pages[name] = Buffer.from(await client.page(each)).toString('base64');
    }
    const same = Buffer.from(expectEqual('a page', pages), 'base64');
    // Rows of the table are the same in each run; transactions' numbers and times are not.
    seen.push(same.subarray(HEADER_BYTES, HEADER_BYTES + 2).toString('hex'));
  }
  return seen;
}

async function throughput(
  { rounds, pagesPerRound }: DepthSize,
  chain: Chain,
  since: Since,
  clients: Readonly<Record<number, PageStreamClient>>,
): Promise<Measurement[]> {
  const blocks = chain.unchangedBlocks(BLOCKS_ASKED);
  const asked = Array.from({ length: pagesPerRound }, (_, at) => blocks[at % blocks.length] ?? 0);
  const { frames, frameBytes } = getPageRequests(chain.place.rel, asked, since);
  const sides = Object.fromEntries(
    Object.entries(clients).map(([depth, client]) => [
      depth,
      async () => {
        const { ms } = await timed(() => client.pump(frames, frameBytes, UNDER_WAY));
        return (pagesPerRound * 1000) / ms;
      },
    ]),
  );
  const seen = await new Rounds<string>().run(rounds, sides);
  return Object.keys(clients).map(
    (depth): Measurement => ({
      name: 'branch-depth/throughput',
      unit: 'pages/s',
      value: median(seen.of(depth)),
      what: 'page of the root',
      depth: Number(depth),
      under_way: UNDER_WAY,
    }),
  );
}

function key({ what, depth }: Pick<Side, 'what' | 'depth'>): string {
  return `${what} at ${depth}`;
}

function told({ what, depth }: Side, ms: readonly number[]): Measurement[] {
  return [0.5, 0.95].map((q) => ({
    name: 'branch-depth/latency',
    unit: 'ms',
    value: quantile(ms, q),
    quantile: q,
    what,
    depth,
  }));
}
