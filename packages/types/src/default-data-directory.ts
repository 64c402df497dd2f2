import { join } from 'node:path';

/** What the choice depends on: `process.env`, `process.getuid()` and `os.homedir()`. */
export interface DataDirectorySurroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly uid: number | undefined;
  readonly home: string;
}

/**
 * The data directory when none is named: OFFSHOOT_DATA; else for root /var/lib/offshoot, as Postgres' own user cannot
 * enter root's home; else ~/.offshoot.
 */
export function defaultDataDirectory({ env, uid, home }: DataDirectorySurroundings): string {
  const named = env.OFFSHOOT_DATA;
  if (named !== undefined && named !== '') {
    return named;
  }
  return uid === 0 ? '/var/lib/offshoot' : join(home, '.offshoot');
}
