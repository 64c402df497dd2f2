import type { OffshootClient } from '@offshoot/client';
import type { BenchContext } from '../../bench.js';
import { fork } from '../../fixture/import-tenant.js';
import { placeOfOrders, type TablePlace } from '../../fixture/order-table.js';
import { query } from '../../fixture/query.js';
import { type Stage, tenant } from '../../fixture/stage.js';
import type { DepthSize } from './size.js';

const BLOCK_BYTES = 8192;

/** Branches of which each is the next one's parent, and was written on by a compute of its own. */
export class Chain {
  private constructor(
    readonly depth: number,
    readonly place: TablePlace,
    /** Blocks of the table by the level, from 1, that changed rows which were in them. */
    readonly changed: readonly (readonly number[])[],
  ) {}

  /** One less than `depth`, so that what is made of the last is as deep. */
  static async grow(stage: Stage, { depth, rowsPerLevel }: DepthSize, context: BenchContext): Promise<Chain> {
    const { client, source } = stage;
    const [counted] = await query(source.url(), 'select count(*)::int as rows from orders');
    const changed: number[][] = [[]];
    for (let level = 1; level < depth; level += 1) {
      const url = await fork(client, nameOf(level), parentOf(level));
      changed.push(await write(url, level, idsOf(level, depth, rowsPerLevel, Number(counted?.rows))));
      await client.stopCompute(nameOf(level));
      if (level % 10 === 0) context.remark(`${level} branches deep`);
    }
    return new Chain(depth, await placeOfOrders(source.url()), changed);
  }

  /** So many that nobody changed on the way down. */
  unchangedBlocks(count: number): number[] {
    const changed = new Set(this.changed.flat());
    const blocks = Array.from({ length: this.place.bytes / BLOCK_BYTES }, (_, block) => block);
    // The last one takes what does not fit where it was.
    const unchanged = blocks.slice(0, -1).filter((block) => !changed.has(block));
    const step = Math.max(1, Math.floor(unchanged.length / count));
    return unchanged.filter((_, at) => at % step === 0).slice(0, count);
  }

  /** A branch at that depth, on which nothing was written; answers its name. */
  async leafAt(client: OffshootClient, depth: number, name = `leaf-${depth}`): Promise<string> {
    await client.createBranch({ name, from: parentOf(depth), idle_timeout: 0 });
    return name;
  }
}

function nameOf(level: number): string {
  return `deep-${level}`;
}

function parentOf(level: number): string {
  return level === 1 ? tenant : nameOf(level - 1);
}

/** Of each level in another part of the table. */
function idsOf(level: number, depth: number, count: number, rows: number): number[] {
  const first = Math.floor((rows * level) / (depth + 1));
  const step = Math.max(1, Math.floor(rows / (depth + 1) / count));
  return Array.from({ length: count }, (_, at) => first + at * step + 1);
}

async function write(url: string, level: number, ids: readonly number[]): Promise<number[]> {
  const these = `id = any('{${ids}}')`;
  const places = `select distinct (ctid::text::point)[0]::int as block from orders where ${these}`;
  const blocks = (await query(url, places)).map(({ block }) => Number(block));
  await query(
    url,
    `update orders set state = 'level ${level}' where ${these}`,
    `create table note_${level} as select ${level} as level`,
  );
  return blocks;
}
