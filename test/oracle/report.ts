import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

const root = new URL('../..', import.meta.url).pathname;

/** What the oracle prints of one record type; see native/oracle/README.md. */
export interface Counts {
  readonly records: number;
  readonly compared: number;
  readonly restored: number;
  readonly differences: number;
  readonly known: number;
  readonly unsupported: number;
  readonly skipped: number;
  readonly errors: number;
}

export interface Report {
  readonly start: string;
  readonly end: string;
  readonly end_reason: string;
  readonly total: Counts;
  readonly opcodes: Readonly<Record<string, Counts>>;
  readonly differences: readonly object[];
  readonly errors: readonly string[];
  readonly failures: readonly string[];
  readonly final: { readonly compared: number; readonly differing: number; readonly differences: object[] };
}

/** A record type that Postgres 15 has. */
export interface Opcode {
  readonly name: string;
  /** Whether it changes pages that are compared. */
  readonly pages: boolean;
}

/** The program, which `npm test` builds: cargo build --release -p offshoot-oracle. */
export function oracleBinary(): string {
  const target = process.env.CARGO_TARGET_DIR ?? join(root, 'native', 'target');
  const path = join(target, 'release', 'oracle');
  if (!existsSync(path)) throw new Error(`${path} is missing: cargo build --release -p offshoot-oracle`);
  return path;
}

export async function allOpcodes(): Promise<Opcode[]> {
  const { stdout } = await promisify(execFile)(oracleBinary(), ['opcodes', '--json']);
  return JSON.parse(stdout);
}

/** One line per record type: how many records, blocks compared and blocks restored, in each round. */
export function coverageTable(opcodes: readonly Opcode[], rounds: ReadonlyMap<string, Report>): string {
  const row = (name: string, cells: string[]) =>
    name.padEnd(32) + cells.map((cell) => cell.padStart(28)).join('');
  const cell = (counts: Counts | undefined) =>
    counts === undefined ? '-' : `${counts.records} ${counts.compared} ${counts.restored}`;
  const lines = opcodes.map(({ name }) =>
    row(
      name,
      [...rounds.values()].map((report) => cell(report.opcodes[name])),
    ),
  );
  const totals = [...rounds.values()].map((report) => cell(report.total));
  const head = row('records, compared, restored', [...rounds.keys()]);
  return [head, ...lines, row('total', totals)].join('\n');
}
