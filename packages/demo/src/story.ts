import { chmod, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { OffshootClient, type Operation } from '@offshoot/client';
import { resolvePostgres, ScratchPostgres } from '@offshoot/compute';
import { type Daemon, openLog, readSettings, startDaemon } from '@offshoot/server';
import pg from 'pg';
import { diskUsage } from './disk-usage.js';
import { checks, migration } from './migration.js';
import { formatMs, Narrator } from './narrator.js';
import { shop, shopDigest } from './shop.js';

export interface StoryOptions {
  atTheEnd: 'keep' | 'remove';
  /** Directory of another Postgres 15 than the embedded one. */
  bindir?: string;
}

const megabyte = 1024 * 1024;
const pollMs = 20;
/** For a story that waits for the interrupt to end by itself. */
const interruptMs = 100;

/** What has to be ended, the last begun first. */
type Endings = (() => Promise<unknown>)[];

/** The whole story, from an empty directory to an empty directory; throws when a step or a check fails. */
export async function tellTheStory(options: StoryOptions): Promise<void> {
  const narrator = new Narrator();
  const endings: Endings = [];
  const interrupted = new Promise<void>((resolve) => {
    process.once('SIGINT', resolve).once('SIGTERM', resolve);
  });
  const story = tell(options, narrator, endings, interrupted);
  try {
    // An interrupt is how a story that was kept running ends; any other is cut short by it.
    await Promise.race([story, interrupted.then(() => sleep(interruptMs))]);
    await Promise.race([story, Promise.reject(new Error('interrupted'))]);
  } finally {
    await endAll(endings);
    await story.catch(() => undefined);
    // What the story began between the interruption and its own end.
    await endAll(endings);
  }
  narrator.say(`\nDone in ${narrator.total()}; everything is stopped and removed.`);
}

/** One that fails does not keep the others from ending. */
async function endAll(endings: Endings): Promise<void> {
  const failures: unknown[] = [];
  for (let end = endings.pop(); end !== undefined; end = endings.pop()) {
    await end().catch((failure: unknown) => failures.push(failure));
  }
  if (failures.length > 0) throw failures[0];
}

async function tell(
  options: StoryOptions,
  narrator: Narrator,
  endings: Endings,
  interrupted: Promise<void>,
): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'offshoot-demo-'));
  endings.push(() => rm(directory, { recursive: true, force: true }));
  // Postgres' own user has to pass through.
  await chmod(directory, 0o755);
  narrator.say('Production');
  const production = await startProduction(directory, options, narrator, endings);
  narrator.say('\nPage server');
  const { daemon, client } = await startPageServer(directory, options, narrator, endings);
  await narrator.step('import production', () => importProduction(client, production.url()), describeImport);
  const tenants = await client.tenants();
  narrator.say(`             stored in ${mb(tenants[0]?.stored_bytes ?? 0)}`);
  narrator.say('\nFork');
  await workOnFork(client, production, narrator);
  if (options.atTheEnd === 'keep') {
    await keepRunning(client, daemon, production, narrator, interrupted);
  } else {
    await narrator.step('destroy the fork', () => client.deleteBranch('try-1'));
  }
}

async function startProduction(
  directory: string,
  { bindir }: StoryOptions,
  narrator: Narrator,
  endings: Endings,
): Promise<ScratchPostgres> {
  const production = await narrator.step('start an embedded Postgres', async () => {
    const installation = await resolvePostgres({ bindir, cacheDirectory: join(directory, 'postgres') });
    const scratch = await ScratchPostgres.create({
      directory: join(directory, 'production'),
      installation,
      dataChecksums: 'on',
      parameters: { shared_buffers: '256MB', max_wal_size: '4GB', maintenance_work_mem: '256MB' },
    });
    endings.push(() => scratch.destroy());
    await scratch.start();
    return scratch;
  });
  for (const [name, sql] of shop) {
    await narrator.step(`make the shop's ${name}`, () => query(production.url(), sql));
  }
  const [row] = await query(production.url(), `select pg_database_size(current_database())::float8 as bytes`);
  narrator.say(`             the database has ${mb(Number(row?.bytes))}`);
  return production;
}

async function startPageServer(
  directory: string,
  { bindir }: StoryOptions,
  narrator: Narrator,
  endings: Endings,
): Promise<{ daemon: Daemon; client: OffshootClient }> {
  const flags = {
    data: join(directory, 'data'),
    logLevel: 'warn',
    ...(bindir === undefined ? {} : { pgBindir: bindir }),
  };
  const daemon = await narrator.step('start the page server', async () => {
    const started = await startDaemon(readSettings(flags, {}), openLog('warn'));
    endings.push(() => started.close());
    return started;
  });
  return { daemon, client: new OffshootClient({ url: daemon.apiUrl, token: daemon.token }) };
}

async function importProduction(client: OffshootClient, url: string): Promise<Operation> {
  let operation = await client.importTenant({ name: 'prod', source_url: url });
  while (operation.state === 'running') {
    await sleep(pollMs);
    operation = await client.operation(operation.id);
    const { progress } = operation;
    if (progress !== undefined && process.stderr.isTTY) {
      process.stderr.write(`\r\u001b[K             ${progress.phase} ${mb(progress.bytes_done)}`);
    }
  }
  if (process.stderr.isTTY) process.stderr.write('\r\u001b[K');
  if (operation.state !== 'done')
    throw new Error(`the import ${operation.state}: ${operation.error?.detail}`);
  return operation;
}

function describeImport({ progress, started_at, finished_at }: Operation): string {
  const seconds = (Date.parse(finished_at ?? '') - Date.parse(started_at)) / 1000;
  const bytes = progress?.bytes_done ?? 0;
  return `${mb(bytes)} at ${(bytes / megabyte / seconds).toFixed(0)} MB/s`;
}

async function workOnFork(
  client: OffshootClient,
  production: ScratchPostgres,
  narrator: Narrator,
): Promise<void> {
  const before = await digest(production.url());
  const began = performance.now();
  const created = await narrator.step(
    'branch prod as try-1',
    // Whoever it is kept for connects by its Unix socket, which wakes nobody.
    () => client.createBranch({ name: 'try-1', from: 'prod', idle_timeout: 0 }),
    ({ branch }) => `at ${branch.base_lsn}`,
  );
  const compute = await narrator.step('start Postgres on it', () => client.startCompute('try-1'));
  const { url } = await client.connectionString('try-1', { via: 'socket' });
  await narrator.step('first row', () => query(url, 'select * from orders limit 1'));
  narrator.say(`             fork to first row: ${formatMs(performance.now() - began)}`);
  if ((await digest(url)) !== before) throw new Error('the fork does not hold what production holds');
  narrator.say(`             same rows as production on ${created.branch.name}`);

  narrator.say('\nAn agent tries a migration on the fork');
  for (const [name, sql] of migration) await narrator.step(name, () => query(url, sql));
  for (const [name, sql] of checks) {
    const [row] = await query(url, sql);
    if (row?.ok !== true) throw new Error(`check failed on the fork: ${name}`);
    narrator.say(`             verified: ${name}`);
  }

  narrator.say('\nAfterwards');
  if ((await digest(production.url())) !== before) throw new Error('production has changed');
  narrator.say('             production is unchanged: same columns, same rows, same digest');
  const computeBytes = await diskUsage(dirname(dirname(compute.log_file ?? '')));
  narrator.say(
    `             the branch cost one catalog entry, and ${mb(computeBytes)} of pages read and written`,
  );
}

async function keepRunning(
  client: OffshootClient,
  daemon: Daemon,
  production: ScratchPostgres,
  narrator: Narrator,
  interrupted: Promise<void>,
): Promise<void> {
  const direct = await client.connectionString('try-1', { via: 'socket' });
  const gateway = await client.connectionString('try-1', { via: 'gateway' });
  // The clone has production's roles and passwords.
  narrator.say(`
Everything keeps running until Ctrl-C.

  production   psql '${production.url()}'
  the fork     psql '${direct.url}'
  by gateway   PGPASSWORD=${production.password} psql '${gateway.url}'
  control      npx pageserver-ctl --data ${daemon.dataDirectory} status
               npx pageserver-ctl --data ${daemon.dataDirectory} branch create try-2 --from prod
`);
  await stat(daemon.dataDirectory);
  await interrupted;
}

function digest(url: string): Promise<unknown> {
  return query(url, shopDigest).then(([row]) => row?.digest);
}

async function query(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  // What ends the connection rejects the query too; between queries it is no news.
  client.on('error', () => {});
  await client.connect();
  try {
    const result: unknown = await client.query(sql);
    const last = Array.isArray(result) ? result.at(-1) : result;
    return (last as pg.QueryResult).rows;
  } finally {
    await client.end();
  }
}

function mb(bytes: number): string {
  return `${(bytes / megabyte).toFixed(bytes < 10 * megabyte ? 1 : 0)} MB`;
}
