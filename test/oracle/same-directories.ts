import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { oracleBinary } from './report.js';

/** What `oracle same` prints; see native/oracle/README.md. */
export interface Same {
  readonly compared: number;
  readonly differing: number;
  readonly kinds: Readonly<Record<string, { compared: number; differing: number }>>;
  readonly differences: readonly string[];
}

/** How much of what was compared. */
export function countsIn({ kinds }: Same): string {
  return Object.entries(kinds)
    .map(([kind, { compared }]) => `${kind} ${compared}`)
    .join(', ');
}

/** Two data directories at the same LSN. */
export async function compareDirectories(ours: string, theirs: string): Promise<Same> {
  const args = ['same', '--ours', ours, '--theirs', theirs, '--json'];
  // Exit code 1 says no more than the report.
  const { stdout } = await promisify(execFile)(oracleBinary(), args, { maxBuffer: 1 << 26 }).catch(
    (error) => {
      if (error.code === 1) return error as { stdout: string };
      throw error;
    },
  );
  return JSON.parse(stdout);
}
