import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import type { ConnectAs } from './compute-driver.js';
import { computeError } from './compute-errors.js';
import { logTail } from './log-file.js';
import { type SocketAddress, withOwnSession } from './own-session.js';
import { formatExit, type PostgresProcess } from './postgres-process.js';
import { readOwnPostmasterPid } from './postmaster-pid.js';

export interface ReadinessOptions extends SocketAddress {
  readonly process: PostgresProcess;
  readonly dataDirectory: string;
  readonly connectAs: readonly ConnectAs[];
  /** Tried before the first of them, with its role. */
  readonly firstDatabase?: string | undefined;
  readonly logFile: string;
  /** Aborted by a deadline or by whoever started it: then its reason is thrown. */
  readonly signal: AbortSignal;
  readonly further?: FurtherSteps | undefined;
}

/** What else has to be there before a Postgres is ready. */
export interface FurtherSteps {
  /** Postgres takes connections; the first query is asked at the same time. */
  begin(): void;
  /** In the session that asked the first query. What it throws is the reason why Postgres is not ready. */
  finish(client: pg.Client, as: ConnectAs, signal: AbortSignal): Promise<void>;
}

export interface Readiness {
  /** One of `connectAs`. */
  readonly connectedAs: ConnectAs;
  /** When Postgres said that it takes connections, on the clock of `performance.now()`. */
  readonly readyAtMs: number;
  /** When the first query was answered. */
  readonly answeredAtMs: number;
}

/** How often `postmaster.pid` is read: often at first, as most starts take some 50 ms, then seldom. */
const LOOK_MS = 2;
const LOOKS_OFTEN = 250;
const LATE_LOOK_MS = 20;

/** cannot_connect_now: Postgres says that it takes connections a moment before it does, or is ending. */
const CANNOT_CONNECT_NOW = '57P03';

const OPEN_DATABASES = 'SELECT datname FROM pg_catalog.pg_database WHERE datallowconn';

/** Reads a catalog: connecting alone would not show that pages can be read. */
const FIRST_QUERY = 'SELECT relname FROM pg_catalog.pg_class LIMIT 1';

/**
 * Waits until Postgres has answered a query. Throws `compute_start_failed` as soon as the process ends or no
 * candidate can ask, and the signal's reason.
 */
export async function awaitReady(options: ReadinessOptions): Promise<Readiness> {
  const exited = options.process.exited.then(() => 'exited' as const);
  const abandoned = new AbortController();
  const signal = AbortSignal.any([options.signal, abandoned.signal]);
  const readying = awaitAnswer(options, signal);
  const first = await Promise.race([exited, readying]).finally(() => abandoned.abort());
  if (first !== 'exited') {
    return first;
  }
  await readying.catch(() => undefined);
  throw await exitError(options);
}

async function awaitAnswer(options: ReadinessOptions, signal: AbortSignal): Promise<Readiness> {
  await awaitReadyStatus(options, signal);
  const readyAtMs = performance.now();
  options.further?.begin();
  return { readyAtMs, ...(await askFirstQuery(options, signal)) };
}

async function awaitReadyStatus(
  { dataDirectory, process }: ReadinessOptions,
  signal: AbortSignal,
): Promise<void> {
  for (let look = 0; ; look += 1) {
    const status = (await readOwnPostmasterPid(dataDirectory, process))?.status;
    if (status === 'ready' || status === 'standby') {
      return;
    }
    await pause(look < LOOKS_OFTEN ? LOOK_MS : LATE_LOOK_MS, signal);
  }
}

type Answer = Omit<Readiness, 'readyAtMs'>;

async function askFirstQuery(options: ReadinessOptions, signal: AbortSignal): Promise<Answer> {
  const refusals: string[] = [];
  let cause: unknown;
  for (const candidate of candidatesOf(options)) {
    let answeredAtMs: number | undefined;
    const onAnswer = () => {
      answeredAtMs = performance.now();
    };
    try {
      const connectedAs = await askOnceUp(options, candidate, signal, onAnswer);
      return { connectedAs, answeredAtMs: answeredAtMs ?? performance.now() };
    } catch (error) {
      signal.throwIfAborted();
      // Another candidate would not fare better.
      if (answeredAtMs !== undefined) {
        throw error;
      }
      cause = error;
      const words = error instanceof Error ? error.message : String(error);
      refusals.push(`as ${candidate.user} to database ${candidate.database}: ${words}`);
    }
  }
  throw computeError('compute_start_failed', `no query could be asked, ${refusals.join('; ')}`, { cause });
}

function candidatesOf({ connectAs, firstDatabase }: ReadinessOptions): readonly ConnectAs[] {
  const [first] = connectAs;
  const isFurther = firstDatabase !== undefined && first !== undefined && first.database !== firstDatabase;
  return isFurther ? [{ ...first, database: firstDatabase }, ...connectAs] : connectAs;
}

async function askOnceUp(
  options: ReadinessOptions,
  candidate: ConnectAs,
  signal: AbortSignal,
  onAnswer: () => void,
): Promise<ConnectAs> {
  for (;;) {
    try {
      return await ask(options, candidate, signal, onAnswer);
    } catch (error) {
      if (!(error instanceof Error) || !('code' in error) || error.code !== CANNOT_CONNECT_NOW) {
        throw error;
      }
      await pause(LOOK_MS, signal);
    }
  }
}

async function ask(
  options: ReadinessOptions,
  candidate: ConnectAs,
  signal: AbortSignal,
  onAnswer: () => void,
): Promise<ConnectAs> {
  return withOwnSession(options, candidate, signal, async (client) => {
    const { rowCount } = await client.query(FIRST_QUERY);
    if (rowCount !== 1) {
      throw new Error('pg_class is empty');
    }
    onAnswer();
    await options.further?.finish(client, candidate, signal);
    return options.connectAs.includes(candidate)
      ? candidate
      : lastingOf(options.connectAs, candidate, client);
  });
}

/** For what is asked later: a database of whoever waits may be dropped, and nobody's should be in use for us. */
async function lastingOf(
  connectAs: readonly ConnectAs[],
  candidate: ConnectAs,
  client: pg.Client,
): Promise<ConnectAs> {
  const { rows } = await client.query<{ datname: string }>(OPEN_DATABASES);
  const open = new Set(rows.map(({ datname }) => datname));
  return connectAs.find(({ user, database }) => user === candidate.user && open.has(database)) ?? candidate;
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => signal.throwIfAborted());
}

async function exitError({ process, logFile }: ReadinessOptions) {
  const exit = process.exit === undefined ? 'an unknown status' : formatExit(process.exit);
  const tail = await logTail(logFile);
  return computeError('compute_start_failed', `Postgres ended with ${exit} before it was ready:\n${tail}`, {
    details: { exit, log: tail },
  });
}
