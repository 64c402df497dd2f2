import type { DumpFormat } from './dump-format.js';

/** What a statement was about that failed, or was left out, without ending the load; `unlogged`: it did not fail. */
export const WARNING_KINDS = [
  'owner',
  'privilege',
  'role',
  'extension',
  'setting',
  'comment',
  'exists',
  'replication',
  'event_trigger',
  'unlogged',
  'error',
] as const;
export type WarningKind = (typeof WARNING_KINDS)[number];

/** One of those, or several with the same reason. */
export interface LoadWarning {
  readonly kind: WarningKind;
  /** Of the first. */
  readonly line: number;
  readonly statement: string;
  /** The server's words; of `unlogged` what becomes of what is in it. */
  readonly message: string;
  readonly sqlState?: string | undefined;
  readonly count: number;
}

export interface LoadProgress {
  readonly statements: number;
  /** Copied in. */
  readonly rows: number;
  /** Of the dump as SQL. */
  readonly bytes: number;
}

export interface LoadReport extends LoadProgress {
  readonly format: DumpFormat;
  readonly compressed: boolean;
  /** In which it was loaded last. */
  readonly database: string;
  readonly warnings: readonly LoadWarning[];
  /** Statements that there was no room for in `warnings`. */
  readonly warningsOmitted: number;
}

const WARNINGS_MAX = 100;

/** Gathers warnings: those that say the same of the same kind are one. */
export class Warnings {
  readonly #byReason = new Map<string, LoadWarning>();
  omitted = 0;

  add(warning: Omit<LoadWarning, 'count'>): void {
    const reason = JSON.stringify([warning.kind, warning.sqlState, warning.message]);
    const known = this.#byReason.get(reason);
    if (known !== undefined) this.#byReason.set(reason, { ...known, count: known.count + 1 });
    else if (this.#byReason.size < WARNINGS_MAX) this.#byReason.set(reason, { ...warning, count: 1 });
    else this.omitted += 1;
  }

  list(): LoadWarning[] {
    return [...this.#byReason.values()];
  }
}
