import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { query } from '../fixture/query.js';
import { parseWorkload } from './workload.js';
import { runWorkload } from './workload-runner.js';

const workloads = new URL('workloads/', import.meta.url).pathname;

/** Workloads that lie beside the tests, without `.sql`. */
export function workloadNames(): string[] {
  const files = readdirSync(workloads).filter((name) => name.endsWith('.sql'));
  return files.map((name) => name.slice(0, -'.sql'.length)).sort();
}

/** Runs a workload in a new database of its name. */
export async function runWorkloadFile(
  postgres: { url(database?: string): string },
  name: string,
): Promise<void> {
  await query(postgres.url(), `create database "${name}"`);
  const steps = parseWorkload(readFileSync(join(workloads, `${name}.sql`), 'utf8'));
  await runWorkload(postgres.url(name), steps);
}
