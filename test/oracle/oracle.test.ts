import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ScratchDirectory } from '../fixture/scratch-directory.js';
import { cannotBeProvoked } from './cannot-be-provoked.js';
import { crashAndRecover, crashWithinRecord } from './crash.js';
import { type ClusterOptions, OracleCluster } from './oracle-cluster.js';
import { restartAndPromote } from './promotion.js';
import { allOpcodes, coverageTable, type Report } from './report.js';
import { workloadNames } from './workload-file.js';

/** It uses up a million transaction ids. */
const ONLY_ONCE = 'slru';

/** Not lz4 and zstd: the embedded Postgres is built without them. */
const rounds: Record<string, ClusterOptions> = {
  'no checksums': { dataChecksums: 'off', parameters: { wal_compression: 'off' } },
  'checksums, pglz': { dataChecksums: 'on', parameters: { wal_compression: 'pglz' } },
};

let scratch: ScratchDirectory;
const reports = new Map<string, Report>();

beforeAll(() => {
  scratch = new ScratchDirectory('oracle');
});
afterAll(() => scratch[Symbol.dispose]());

describe.each(Object.entries(rounds))('%s', (name, options) => {
  let cluster: OracleCluster;
  const isFirst = name === Object.keys(rounds)[0];

  beforeAll(async () => {
    cluster = await OracleCluster.start(`${scratch.path}/${name.replace(/\W+/g, '-')}`, options);
  });
  afterAll(() => cluster.postgres.destroy());

  test.each(workloadNames().filter((workload) => isFirst || workload !== ONLY_ONCE))(
    'workload %s runs',
    (workload) => cluster.run(workload),
  );

  test('crashes, and becomes another timeline', async () => {
    await crashAndRecover(cluster);
    await crashWithinRecord(cluster);
    await restartAndPromote(cluster);
  });

  test('every page is what Postgres made of it', async () => {
    const report = await cluster.judge();
    reports.set(name, report);
    const { differences, unsupported, skipped, errors } = report.total;
    expect(report).toMatchObject({ failures: [], errors: [], differences: [] });
    expect({ differences, unsupported, skipped, errors }).toEqual({
      differences: 0,
      unsupported: 0,
      skipped: 0,
      errors: 0,
    });
    expect(report.final).toMatchObject({ differing: 0, differences: [] });
    expect(report.total.compared).toBeGreaterThan(100_000);
    expect(report.final.compared).toBeGreaterThan(1_000);
  });
});

test('every record type was there', async () => {
  const opcodes = await allOpcodes();
  process.stdout.write(`\n${coverageTable(opcodes, reports)}\n`);
  const sum = (name: string, of: 'records' | 'compared' | 'restored') =>
    [...reports.values()].reduce((total, report) => total + (report.opcodes[name]?.[of] ?? 0), 0);
  const never = opcodes.filter(({ name }) => sum(name, 'records') === 0).map(({ name }) => name);
  expect(never.sort()).toEqual(Object.keys(cannotBeProvoked).sort());
  const unjudged = opcodes.filter(
    ({ name, pages }) =>
      pages && !(name in cannotBeProvoked) && sum(name, 'compared') + sum(name, 'restored') === 0,
  );
  expect(unjudged).toEqual([]);
});
