import { setTimeout as sleep } from 'node:timers/promises';
import type { Bench, Measurement } from '../bench.js';
import { discard } from '../fixture/import-tenant.js';
import { fillOrders } from '../fixture/order-table.js';
import { query, type Row, row } from '../fixture/query.js';
import { expectEqual, resultHash } from '../fixture/result-hash.js';
import { Stage, tenant } from '../fixture/stage.js';
import { quantile } from '../fixture/statistics.js';
import { Rounds, timed } from '../fixture/timing.js';

const sizes = { full: { megabytes: 256, rounds: 25 }, smoke: { megabytes: 4, rounds: 2 } };
const database = 'shop';
/** Between a copy's end and the next side's start: writes that the copy left behind go out. */
const settleMs = { full: 200, smoke: 0 };

/** By the primary key: the first row that somebody wants, with all that a new session reads before. */
const firstRow = 'select id, customer, state, note, token from orders where id = 4711';

export const forkToFirstRow: Bench = {
  name: 'fork-to-first-row',
  about: 'new branch, compute, first row; against CREATE DATABASE … TEMPLATE on production',
  async run(context) {
    const { megabytes, rounds } = sizes[context.size];
    await using stage = await Stage.open(context, async (source) => {
      await query(source.url(), `create database ${database}`);
      await fillOrders(source.url(database), megabytes);
    });
    const phases: Record<string, number>[] = [];
    const expected = await row(stage.source.url(database), firstRow);
    const sides = {
      branch: () => onBranch(stage, phases),
      'template wal_log': () => onCopy(stage, 'wal_log'),
      'template file_copy': () => onCopy(stage, 'file_copy'),
    };
    for (const [name, side] of Object.entries(sides)) {
      expectEqual('the first row', { production: expected, [name]: (await side()).answer });
    }
    phases.length = 0;
    context.remark('all sides answer the same row; measuring');
    const measured = (side: () => Promise<{ ms: number; answer: Row }>) => async () => {
      const { ms, answer } = await side();
      expectEqual('the first row', { production: expected, copy: answer });
      await sleep(settleMs[context.size]);
      return ms;
    };
    const seen = await new Rounds<keyof typeof sides>().run(rounds, {
      branch: measured(sides.branch),
      'template wal_log': measured(sides['template wal_log']),
      'template file_copy': measured(sides['template file_copy']),
    });
    const totals = (Object.keys(sides) as (keyof typeof sides)[]).flatMap((side) =>
      quantiles('fork-to-first-row/total', seen.of(side), { side, megabytes, rounds }),
    );
    return { measurements: [...totals, ...phaseMeasurements(phases)], resultHash: resultHash(expected) };
  },
};

let made = 0;

/** Through the API, as a tool would; what each phase took goes to `phases`. */
async function onBranch({ client }: Stage, phases: Record<string, number>[]) {
  const name = `fork-${++made}`;
  const whole = await timed(async () => {
    const branch = await timed(() => client.createBranch({ name, from: tenant }));
    const compute = await timed(() => client.startCompute(name));
    const url = (await client.connectionString(name, { database, via: 'socket' })).url;
    const first = await timed(() => row(url, firstRow));
    const { total = 0, ...starting } = compute.answer.timings_ms;
    phases.push({
      'create branch': branch.ms,
      ...Object.fromEntries(Object.entries(starting).map(([phase, ms]) => [`start: ${phase}`, ms])),
      'start: api': compute.ms - total,
      'connect and first row': first.ms,
    });
    return first.answer;
  });
  await discard(client, name);
  return whole;
}

/** On production, from connecting to create the copy to the row. */
async function onCopy({ source }: Stage, strategy: 'wal_log' | 'file_copy') {
  const name = `copy_${++made}`;
  const whole = await timed(async () => {
    await query(source.url(), `create database ${name} template ${database} strategy ${strategy}`);
    return row(source.url(name), firstRow);
  });
  await query(source.url(), `drop database ${name}`);
  return whole;
}

function phaseMeasurements(phases: readonly Record<string, number>[]): Measurement[] {
  return Object.keys(phases[0] ?? {}).flatMap((phase) =>
    quantiles(
      'fork-to-first-row/phase',
      phases.map((seen) => seen[phase] ?? Number.NaN),
      { phase },
    ),
  );
}

function quantiles(
  name: string,
  samples: readonly number[],
  conditions: Record<string, string | number>,
): Measurement[] {
  return [0.5, 0.95].map((q) => ({
    name,
    unit: 'ms',
    value: quantile(samples, q),
    quantile: q,
    ...conditions,
  }));
}
