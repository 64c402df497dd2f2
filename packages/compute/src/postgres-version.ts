import { computeError } from './compute-errors.js';

/** A Postgres version as its programs print it. */
export interface PostgresVersion {
  /** `15.18`; for a development version `19devel` or `19beta1`. */
  readonly text: string;
  readonly major: number;
}

/** Major versions whose pages and WAL can be served. */
export const supportedMajors: readonly number[] = [15];

/** From the output of `postgres --version`. Throws `postgres_unusable`. */
export function parsePostgresVersion(output: string): PostgresVersion {
  const match = /^postgres \(PostgreSQL\) ((\d+)(?:\.\d+|devel|beta\d+|rc\d+)?)\b/.exec(output);
  if (match?.[1] === undefined) {
    const shown = JSON.stringify(output.slice(0, 200));
    throw computeError('postgres_unusable', `\`postgres --version\` printed no version: ${shown}`);
  }
  return { text: match[1], major: Number(match[2]) };
}
