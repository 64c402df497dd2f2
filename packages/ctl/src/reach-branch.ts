import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import type { ConnectionString, OffshootClient } from '@offshoot/client';

export interface ReachOptions {
  database?: string;
  user?: string;
  via?: 'gateway' | 'socket';
}

/** A way to a branch for a program that is started here. */
export interface Way extends Pick<ConnectionString, 'url' | 'host' | 'port' | 'database' | 'user'> {
  /** Known for a role that was just made. */
  readonly password?: string | undefined;
}

/**
 * By the socket of the branch's compute where it is on this machine: it asks for no password, and starts the compute. Else
 * by the gateway; so too where the caller has a password to give.
 */
export async function reachBranch(
  client: OffshootClient,
  branch: string,
  { via, ...choice }: ReachOptions,
  environment: NodeJS.ProcessEnv,
): Promise<Way> {
  const hasPassword = environment.PGPASSWORD !== undefined || environment.PGPASSFILE !== undefined;
  if (via !== 'gateway' && !(via === undefined && hasPassword)) {
    const { socket_directory: directory } = await client.startCompute(branch);
    const way = await client.connectionString(branch, { ...choice, via: 'socket' });
    if (via === 'socket' || isReachable(directory, way.port)) return way;
  }
  return await client.connectionString(branch, { ...choice, via: 'gateway' });
}

/** Not from another machine, nor for every user of this one. */
function isReachable(directory: string | undefined, port: number): boolean {
  if (directory === undefined) return false;
  try {
    accessSync(join(directory, `.s.PGSQL.${port}`), constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** What programs that use Postgres look for; libpq's own variables are for those that take no URL. */
export function environmentOf(branch: string, way: Way, before: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return {
    ...before,
    DATABASE_URL: way.url,
    PGHOST: way.host,
    PGPORT: String(way.port),
    PGDATABASE: way.database,
    PGUSER: way.user,
    ...(way.password === undefined ? {} : { PGPASSWORD: way.password }),
    OFFSHOOT_BRANCH: branch,
  };
}
