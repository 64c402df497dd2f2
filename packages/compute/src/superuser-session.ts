import type pg from 'pg';
import type { ConnectAs } from './compute-driver.js';
import { computeError } from './compute-errors.js';
import { type SocketAddress, withOwnSession } from './own-session.js';

/** Whoever we are already goes before others. */
const SUPERUSER = `SELECT rolname FROM pg_roles WHERE rolcanlogin AND rolsuper
  ORDER BY rolname = current_user DESC, oid LIMIT 1`;

/** A session of our own as a superuser: `as` itself, or one that it finds. Throws `compute_without_superuser`. */
export async function withSuperuser<T>(
  address: SocketAddress,
  as: ConnectAs,
  signal: AbortSignal,
  work: (client: pg.Client, user: string) => Promise<T>,
): Promise<T> {
  const first = await withOwnSession(address, as, signal, async (client) => {
    const { rows } = await client.query<{ rolname: string }>(SUPERUSER);
    const user = rows[0]?.rolname ?? noSuperuser();
    return user === as.user ? { result: await work(client, user) } : { user };
  });
  if ('result' in first) return first.result;
  const { user } = first;
  return withOwnSession(address, { ...as, user }, signal, (client) => work(client, user));
}

function noSuperuser(): never {
  throw computeError('compute_without_superuser', 'no superuser of the branch may log in');
}
