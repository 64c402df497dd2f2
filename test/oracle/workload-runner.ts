import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { Step } from './workload.js';

/** Until a session in the background waits for something, or has done its work. */
const BACKGROUND_MS_MAX = 5_000;
const LOOK_EVERY_MS = 20;

interface Session {
  readonly client: pg.Client;
  readonly pid: number;
  pending: Promise<void> | undefined;
}

/** Sends a workload's statements, each session by a connection of its own. */
export async function runWorkload(url: string, steps: readonly Step[]): Promise<void> {
  const sessions = new Map<number, Session>();
  const watcher = await connect(url);
  try {
    for (const step of steps) {
      const session = sessions.get(step.session) ?? (await connect(url));
      sessions.set(step.session, session);
      await session.pending;
      session.pending = undefined;
      const work = send(session.client, step);
      if (!step.background) {
        await work;
        continue;
      }
      session.pending = work;
      // Told when it is waited for.
      work.catch(() => {});
      await Promise.race([work.catch(() => {}), untilWaiting(watcher.client, session.pid)]);
    }
    for (const session of sessions.values()) await session.pending;
  } finally {
    for (const session of [...sessions.values(), watcher]) await session.client.end();
  }
}

async function connect(url: string): Promise<Session> {
  const client = new pg.Client({ connectionString: url });
  // What ends the connection rejects the query too; between queries it is no news.
  client.on('error', () => {});
  await client.connect();
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
  return { client, pid: rows[0]?.pid ?? 0, pending: undefined };
}

async function send(client: pg.Client, step: Step): Promise<void> {
  for (const statement of step.statements) {
    await client.query(statement).catch((cause: Error) => {
      throw new Error(`session ${step.session}: ${cause.message}\n${statement}`, { cause });
    });
  }
}

/** So that what comes next comes after it: the session waits for a lock, or sleeps. */
async function untilWaiting(watcher: pg.Client, pid: number): Promise<void> {
  const deadline = Date.now() + BACKGROUND_MS_MAX;
  const look = `select 1 from pg_stat_activity where pid = $1 and wait_event_type in ('Lock', 'Timeout', 'BufferPin')`;
  while (Date.now() < deadline && (await watcher.query(look, [pid])).rowCount === 0)
    await sleep(LOOK_EVERY_MS);
}
