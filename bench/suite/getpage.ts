import { type ChildProcess, fork } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseLsn } from '@offshoot/types';
import type { Bench, BenchContext, Measurement } from '../bench.js';
import { fillOrders, placeOfOrders, type TablePlace } from '../fixture/order-table.js';
import { getPageRequests, PageStreamClient } from '../fixture/page-stream-client.js';
import { seededRandom } from '../fixture/random.js';
import { Stage, tenant } from '../fixture/stage.js';
import { median, quantile } from '../fixture/statistics.js';
import { Rounds, timed, timeRepeatedly } from '../fixture/timing.js';

const seed = 2;
const blockBytes = 8192;
/** A version 3 GetPage response as a CopyData message. */
const replyBytes = 5 + 1 + 24 + 17 + blockBytes;
const depth = 64;

const sizes = {
  full: { megabytes: 256, rounds: 7, callsPerRound: 1_000, pagesPerRound: 20_000 },
  smoke: { megabytes: 4, rounds: 2, callsPerRound: 50, pagesPerRound: 400 },
};

export const getpage: Bench = {
  name: 'getpage',
  about: 'page service over its Unix socket: latency at depth 1, pages/s pipelined; against a socket echo',
  async run(context) {
    const size = sizes[context.size];
    await using stage = await Stage.open(context, (source) => fillOrders(source.url(), size.megabytes));
    const place = await placeOfOrders(stage.source.url());
    const open = await opener(stage);
    using first = await open.client();
    const hash = await comparePages(first, stage, place, open.since);
    context.remark('all pages are production’s; measuring');
    using second = await open.client();
    using echo = await EchoServer.start(context);
    using peer = await PageStreamClient.openRaw(echo.path);
    const measurements = [
      ...(await latency(size, place, open.since, first, peer)),
      ...(await throughput(size, place, open.since, [first, second], peer)),
    ];
    return { measurements, resultHash: hash };
  },
};

type Size = (typeof sizes)['full'];
type Since = Parameters<typeof getPageRequests>[2];

async function opener({ client, daemon }: Stage) {
  const { id, readable_from_lsn } = await client.tenant(tenant);
  const { timeline } = await client.branch(tenant);
  return {
    since: parseLsn(readable_from_lsn ?? ''),
    client: () => PageStreamClient.open(daemon.pageSocket, id, timeline),
  };
}

/** Every page of the table, as production's file has it; answers a hash of them without LSN and checksum. */
async function comparePages(
  client: PageStreamClient,
  { source }: Stage,
  { rel, path, bytes }: TablePlace,
  since: Since,
): Promise<string> {
  const file = openSync(join(source.dataDirectory, path), 'r');
  const hash = createHash('sha256');
  const expected = Buffer.alloc(blockBytes);
  for (let block = 0; block < bytes / blockBytes; block++) {
    readSync(file, expected, 0, blockBytes, block * blockBytes);
    const page = Buffer.from(await client.page(getPageRequests(rel, [block], since).frames));
    if (!page.equals(expected)) throw new Error(`block ${block} is not as in production's file`);
    hash.update(page.subarray(10));
  }
  return hash.digest('hex').slice(0, 16);
}

const patterns = ['random', 'sequential'] as const;

/** The next `count` blocks of a pattern. */
function blockPicker(pattern: (typeof patterns)[number], { bytes }: TablePlace): (count: number) => number[] {
  const blocks = bytes / blockBytes;
  const random = seededRandom(seed);
  let next = 0;
  const pick = pattern === 'random' ? () => Math.floor(random() * blocks) : () => next++ % blocks;
  return (count) => Array.from({ length: count }, pick);
}

async function latency(
  { rounds, callsPerRound }: Size,
  place: TablePlace,
  since: Since,
  client: PageStreamClient,
  peer: PageStreamClient,
): Promise<Measurement[]> {
  const side = (on: PageStreamClient, pattern: (typeof patterns)[number]) => {
    const pick = blockPicker(pattern, place);
    return () => {
      const requests = pick(callsPerRound).map((block) => getPageRequests(place.rel, [block], since).frames);
      const next = requests.values();
      return timeRepeatedly(callsPerRound, () => ask(on, next.next().value));
    };
  };
  const echoSide = (pattern: (typeof patterns)[number]) => {
    const pick = blockPicker(pattern, place);
    return () => {
      const { frames, frameBytes } = getPageRequests(place.rel, pick(1), since);
      return timeRepeatedly(callsPerRound, () => peer.pump(frames, frameBytes, 1));
    };
  };
  const seen = await new Rounds<'random' | 'sequential' | 'echo'>().run(rounds, {
    random: side(client, 'random'),
    sequential: side(client, 'sequential'),
    echo: echoSide('random'),
  });
  return (['random', 'sequential', 'echo'] as const).flatMap((pattern) =>
    ([0.5, 0.95, 0.99] as const).map(
      (q): Measurement => ({
        name: 'getpage/latency',
        unit: 'ms',
        value: quantile(seen.of(pattern), q),
        quantile: q,
        depth: 1,
        ...describe(pattern),
      }),
    ),
  );
}

async function ask(client: PageStreamClient, request: Buffer | undefined): Promise<void> {
  if (request === undefined) throw new Error('too few requests were made');
  await client.page(request);
}

async function throughput(
  { rounds, pagesPerRound }: Size,
  place: TablePlace,
  since: Since,
  clients: readonly [PageStreamClient, PageStreamClient],
  peer: PageStreamClient,
): Promise<Measurement[]> {
  const side = (on: readonly PageStreamClient[], pattern: (typeof patterns)[number]) => {
    const pick = blockPicker(pattern, place);
    return async () => {
      const work = on.map((client) => ({
        client,
        ...getPageRequests(place.rel, pick(pagesPerRound), since),
      }));
      const { ms } = await timed(() =>
        Promise.all(work.map(({ client, frames, frameBytes }) => client.pump(frames, frameBytes, depth))),
      );
      return (pagesPerRound * on.length * 1000) / ms;
    };
  };
  const seen = await new Rounds<'random' | 'sequential' | 'two connections' | 'echo'>().run(rounds, {
    random: side([clients[0]], 'random'),
    sequential: side([clients[0]], 'sequential'),
    'two connections': side(clients, 'sequential'),
    echo: side([peer], 'sequential'),
  });
  return (['random', 'sequential', 'two connections', 'echo'] as const).map(
    (pattern): Measurement => ({
      name: 'getpage/throughput',
      unit: 'pages/s',
      value: median(seen.of(pattern)),
      depth,
      connections: pattern === 'two connections' ? 2 : 1,
      ...describe(pattern === 'two connections' ? 'sequential' : pattern),
    }),
  );
}

/** The echo answers zeros at once: the floor of Node.js sockets and of this client. */
function describe(pattern: 'random' | 'sequential' | 'echo'): { side: string; pattern: string } {
  return pattern === 'echo' ? { side: 'socket echo', pattern: 'none' } : { side: 'page service', pattern };
}

class EchoServer implements Disposable {
  private constructor(
    readonly path: string,
    private readonly child: ChildProcess,
  ) {}

  static async start({ directory }: BenchContext): Promise<EchoServer> {
    const path = join(directory, 'echo.sock');
    const program = fileURLToPath(new URL('../fixture/fixed-page-server.js', import.meta.url));
    const { frameBytes } = getPageRequests({ spcnode: 0, dbnode: 0, relnode: 0, fork: 0 }, [0], 0n as Since);
    const child = fork(program, [path, String(frameBytes), String(replyBytes)]);
    await once(child, 'message');
    return new EchoServer(path, child);
  }

  [Symbol.dispose](): void {
    this.child.disconnect();
  }
}
