import { readFileSync } from 'node:fs';
import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import pg from 'pg';
import copyStreams from 'pg-copy-streams';
import type { Bench, Measurement } from '../bench.js';
import { fork, withPassword } from '../fixture/import-tenant.js';
import { query, row } from '../fixture/query.js';
import { expectEqual, resultHash } from '../fixture/result-hash.js';
import { Stage, tenant } from '../fixture/stage.js';
import { median } from '../fixture/statistics.js';
import { Rounds } from '../fixture/timing.js';

const sizes = {
  full: { lines: 1_048_576, rounds: 2 },
  smoke: { lines: 2048, rounds: 1 },
};
const branch = 'copied';
/** A number, a tab and padding up to this, the line's end included. */
const LINE_BYTES = 1024;
const LINES_PER_CHUNK = 64;
const MEMORY_EVERY_MS = 20;

const sides = ['direct', 'gateway', 'gateway with TLS'] as const;
type Side = (typeof sides)[number];
type Direction = 'in' | 'out';

export const gatewayCopy: Bench = {
  name: 'gateway-copy',
  about: 'COPY in and out by the gateway: speed, and the memory that the daemon takes for it',
  async run(context) {
    const { lines, rounds } = sizes[context.size];
    await using stage = await Stage.open(context, (source) =>
      query(source.url(), 'checkpoint').then(() => {}),
    );
    const urls = await clientsOf(stage);
    const direct = urls.direct.connectionString ?? '';
    await query(direct, 'create unlogged table line (n bigint, padding text)');
    const measurements: Measurement[] = [];
    for (const direction of ['in', 'out'] as const) {
      context.remark(`copying ${lines} lines ${direction}`);
      const memory: Record<Side, number[]> = { direct: [], gateway: [], 'gateway with TLS': [] };
      const side = (name: Side) => async () => {
        if (direction === 'in') await query(direct, 'truncate line');
        const { speed, memoryBytes } = await measure(stage.daemon.child.pid ?? 0, lines, () =>
          direction === 'in' ? copyIn(urls[name], lines) : copyOut(urls[name], lines),
        );
        memory[name].push(memoryBytes);
        if (direction === 'in') await expectLines(direct, lines);
        return [speed];
      };
      const seen = await new Rounds<Side>().run(rounds, {
        direct: side('direct'),
        gateway: side('gateway'),
        'gateway with TLS': side('gateway with TLS'),
      });
      measurements.push(...told(seen, memory, direction, { rounds, bytes: lines * LINE_BYTES }));
    }
    return { measurements, resultHash: resultHash(await row(direct, sumQuery)) };
  },
};

const sumQuery =
  'select count(*)::int as lines, sum(n)::bigint as sum, sum(length(padding)) as padding from line';

async function clientsOf({ client, source }: Stage): Promise<Record<Side, pg.ClientConfig>> {
  const direct = await fork(client, branch, tenant, 'async');
  const { url } = withPassword(await client.connectionString(branch, { via: 'gateway' }), source.password);
  return {
    direct: { connectionString: direct },
    gateway: { connectionString: url },
    'gateway with TLS': { connectionString: url, ssl: { rejectUnauthorized: false } },
  };
}

/** MB/s of payload, and the most by which the daemon's own memory grew meanwhile. */
async function measure(daemon: number, lines: number, copy: () => Promise<void>) {
  const before = ownBytes(daemon);
  let most = before;
  const watch = setInterval(() => {
    most = Math.max(most, ownBytes(daemon));
  }, MEMORY_EVERY_MS);
  const beganMs = performance.now();
  try {
    await copy();
  } finally {
    clearInterval(watch);
  }
  const seconds = (performance.now() - beganMs) / 1000;
  return { speed: (lines * LINE_BYTES) / 1e6 / seconds, memoryBytes: most - before };
}

/** Memory that is no file's. */
function ownBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return 1024 * Number(/^RssAnon:\s+(\d+) kB$/m.exec(status)?.[1] ?? Number.NaN);
}

async function copyIn(config: pg.ClientConfig, lines: number): Promise<void> {
  await connected(config, (client) =>
    pipeline(Readable.from(chunks(lines)), client.query(copyStreams.from('copy line from stdin'))),
  );
}

async function copyOut(config: pg.ClientConfig, lines: number): Promise<void> {
  let bytes = 0;
  const count = new Writable({
    write(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      done();
    },
  });
  await connected(config, (client) => pipeline(client.query(copyStreams.to('copy line to stdout')), count));
  expectEqual('bytes that came out', { sent: lines * LINE_BYTES, received: bytes });
}

async function connected(config: pg.ClientConfig, work: (client: pg.Client) => Promise<void>): Promise<void> {
  const client = new pg.Client(config);
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}

function* chunks(lines: number): Generator<Buffer> {
  for (let first = 1; first <= lines; first += LINES_PER_CHUNK) {
    const count = Math.min(LINES_PER_CHUNK, lines - first + 1);
    yield Buffer.from(Array.from({ length: count }, (_, i) => line(first + i)).join(''));
  }
}

function line(n: number): string {
  const head = `${n}\t`;
  return `${head}${'x'.repeat(LINE_BYTES - head.length - 1)}\n`;
}

async function expectLines(url: string, lines: number): Promise<void> {
  const seen = await row(url, 'select count(*)::int as lines, sum(n)::text as sum from line');
  const sum = (BigInt(lines) * BigInt(lines + 1)) / 2n;
  expectEqual('lines', { sent: { lines, sum: String(sum) }, there: seen });
}

function told(
  seen: Rounds<Side>,
  memory: Record<Side, number[]>,
  direction: Direction,
  conditions: Record<string, number>,
): Measurement[] {
  const direct = seen.of('direct');
  return sides.flatMap((side): Measurement[] => {
    const own = seen.of(side);
    const about = { side, direction, ...conditions };
    const ratio = median(own.map((speed, round) => speed / (direct[round] ?? Number.NaN)));
    const measurements: Measurement[] = [
      { name: 'gateway-copy/speed', unit: 'MB/s', value: median(own), ...about },
      { name: 'gateway-copy/daemon-memory', unit: 'bytes', value: Math.max(...memory[side]), ...about },
    ];
    if (side === 'direct') return measurements;
    return [...measurements, { name: 'gateway-copy/ratio', unit: 'ratio', value: ratio, ...about }];
  });
}
