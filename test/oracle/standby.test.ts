import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseLsn } from '@offshoot/types';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { DaemonProcess } from '../fixture/daemon-process.js';
import { Production } from '../fixture/production.js';
import { query, value } from '../fixture/query.js';
import { ScratchDirectory } from '../fixture/scratch-directory.js';
import { waitUntil } from '../fixture/wait-until.js';
import { importInto } from '../fixture/world.js';
import { fullBackup, placeOf } from './full-backup.js';
import { MixedLoad, mixedTables } from './mixed-load.js';
import { PageStream } from './page-stream.js';
import { compareDirectories, countsIn } from './same-directories.js';
import { askForAll } from './served.js';
import { StoppedStandby } from './stopped-standby.js';
import { runWorkloadFile } from './workload-file.js';

/** No segment file goes away, since the standby comes for them in the end. */
const parameters = {
  wal_level: 'logical',
  wal_keep_size: '100GB',
  track_commit_timestamp: 'on',
  max_prepared_transactions: '10',
  allow_in_place_tablespaces: 'on',
  autovacuum: 'on',
  autovacuum_naptime: '1s',
  shared_buffers: '32MB',
  fsync: 'off',
  deadlock_timeout: '100ms',
};

/** Each has databases of its own; behind each, and amid the last, is an LSN to compare at. */
const rounds = [
  ['heap', 'btree', 'sequence'],
  ['gin', 'gist', 'hash', 'brin'],
  ['spgist', 'generic', 'system'],
] as const;
const MARKS = rounds.length + 1;
const PAGES_MIN = 4_000;

const changesAlways = ['relation size', 'relation map', 'visibility map', 'pg_xact', 'btree', 'heap', 'gin'];
const mustBeThere = [
  ...changesAlways,
  'checksum',
  'pg_multixact/offsets',
  'hash',
  'gist',
  'brin',
  'spgist',
  'sequence',
];

const scratch = new ScratchDirectory('standby');
const marks: string[] = [];
let production: Production;
let standby: StoppedStandby;
let daemon: DaemonProcess;

beforeAll(async () => {
  production = await Production.start(join(scratch.path, 'production'), { parameters });
  await query(production.url(), ...mixedTables);
  // The same base as the import's: nothing happens in between.
  standby = await StoppedStandby.copyOf(production, join(scratch.path, 'standby'));
  daemon = await DaemonProcess.start(join(scratch.path, 'data'));
  await importInto(daemon.client(), 'prod', production.url());
});

afterAll(async () => {
  await daemon?.end('SIGTERM');
  await production?.stop('immediate');
  scratch[Symbol.dispose]();
});

/** Work goes on while it is taken. */
async function mark(): Promise<void> {
  await query(production.url(), 'checkpoint');
  await sleep(200);
  marks.push(String(await value(production.url(), 'select pg_current_wal_flush_lsn()')));
}

test('production works, and is followed', async () => {
  const load = new MixedLoad(production.url());
  for (const [index, round] of rounds.entries()) {
    const working = (async () => {
      for (const name of round) await runWorkloadFile(production, name);
    })();
    working.catch(() => {});
    if (index === rounds.length - 1) {
      await sleep(500);
      await query(production.url(), 'drop database heap');
      await mark();
    }
    await working;
    await mark();
  }
  expect(await load.stop()).toBeGreaterThan(500);
  await query(production.url(), 'select pg_switch_wal()');
  const end = parseLsn(marks.at(-1) ?? '');
  const ingested = async () =>
    parseLsn((await daemon.client().tenant('prod')).last_record_lsn ?? '0/0') >= end;
  await waitUntil('all is ingested', ingested, 60_000);
});

test.each(Array.from({ length: MARKS }, (_, index) => index))(
  'at LSN %i every page is the same',
  async (index) => {
    const lsn = await standby.replayTo(marks[index] ?? '');
    const ours = join(scratch.path, `ours-${index}`);
    const place = await placeOf(daemon, 'prod');
    await fullBackup(place, lsn, ours);
    const same = await compareDirectories(ours, standby.dataDirectory);
    expect(same).toMatchObject({ differing: 0, differences: [] });
    for (const kind of mustBeThere) expect(same.kinds[kind]?.compared, kind).toBeGreaterThan(0);

    using stream = await PageStream.open(place, parseLsn(lsn));
    const served = await askForAll(stream, ours);
    expect(served.differences.slice(0, 20)).toEqual([]);
    expect(served.pages).toBeGreaterThan(PAGES_MIN);
    process.stdout.write(`\nat ${lsn}: ${served.pages} pages served; ${countsIn(same)}\n`);
  },
);

test('the comparison does notice another LSN', async () => {
  const then = await compareDirectories(join(scratch.path, 'ours-0'), standby.dataDirectory);
  for (const kind of changesAlways) expect(then.kinds[kind]?.differing, kind).toBeGreaterThan(0);
  expect(then.differences.length).toBeGreaterThan(0);
});
