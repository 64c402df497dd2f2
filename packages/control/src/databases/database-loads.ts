import { dirname } from 'node:path';
import type { Load, Operation } from '@offshoot/client';
import { type LoadReport, loadDump, type PgRestore, type RecognizedDump } from '@offshoot/dump';
import type { ComputeAddress } from '@offshoot/gateway';
import type { Actor, BranchRecord, Catalog } from '@offshoot/pageserver';
import { asOffshootError } from '@offshoot/types';
import type { Caller } from '../access/caller.js';
import { branchDeleted } from '../branch-errors.js';
import type { ComputeBook } from '../compute-book.js';
import { controlError } from '../control-errors.js';
import type { BranchDeletion } from '../lifecycle/branch-deletion.js';
import type { Checkpoints } from '../lifecycle/checkpoints.js';
import type { OperationBook, OperationHandle } from '../operations.js';
import type { DatabaseSettings } from './database-settings.js';
import { LoadPlaces } from './load-places.js';

export interface DatabaseLoadsPlace {
  readonly catalog: Pick<Catalog, 'branches' | 'findBranch' | 'markLoaded' | 'updateBranch' | 'tenant'>;
  readonly computes: Pick<ComputeBook, 'open'>;
  readonly checkpoints: Pick<Checkpoints, 'create'>;
  readonly deletion: Pick<BranchDeletion, 'delete'>;
  readonly operations: OperationBook;
  readonly settings: DatabaseSettings;
  /** Undefined: dumps in pg_dump's own formats cannot be read. */
  readonly pgRestore: PgRestore | undefined;
  onTrouble(message: string, facts: { branch: string; error: unknown }): void;
}

/** What to load, where, and as whom: a role with no rights but on that branch. */
export interface LoadOrder {
  readonly branch: BranchRecord;
  readonly login: { readonly role: string; readonly password: string };
  readonly dump: RecognizedDump;
  readonly onError: 'stop' | 'continue';
  readonly by: Actor;
}

export interface RunningLoad {
  readonly operation: Operation;
  /** Rejects with why it has failed; the database is gone then. */
  readonly ended: Promise<Load>;
}

/** What a new database goes back to. */
export const LOADED_CHECKPOINT = 'loaded';
/** For WAL of a load to be in pages; there may be much of it. */
const SETTLE_MS_MAX = 3_600_000;

/** Loads dumps into new databases. One that fails, or is cut short, leaves no database. */
export class DatabaseLoads {
  readonly #places: LoadPlaces;

  constructor(private readonly place: DatabaseLoadsPlace) {
    this.#places = new LoadPlaces(place.settings);
  }

  get settings(): DatabaseSettings {
    return this.place.settings;
  }

  /** Room for one, until it is disposed of. Throws `loads_exhausted`. */
  admit(caller: Caller): Disposable {
    return this.#places.take(caller);
  }

  /** Deletes what a former daemon was loading when it ended. */
  sweep(): void {
    for (const branch of this.place.catalog.branches()) if (branch.loading) void this.#discard(branch);
  }

  /** The branch is one that was made `loading`. */
  start(order: LoadOrder): RunningLoad {
    let settle: (load: Load) => void = () => undefined;
    let fail: (error: unknown) => void = () => undefined;
    const ended = new Promise<Load>((resolve, reject) => {
      settle = resolve;
      fail = reject;
    });
    // Whoever waits for the operation hears of it, too.
    ended.catch(() => undefined);
    const work = async (handle: OperationHandle) => {
      try {
        const load = await this.#run(order, handle);
        handle.load(load);
        settle(load);
      } catch (error) {
        fail(error);
        throw error;
      }
    };
    const operation = this.place.operations.start('database_load', order.branch.name, work, order.by);
    return { operation, ended };
  }

  async #run(order: LoadOrder, handle: OperationHandle): Promise<Load> {
    const { branch } = order;
    try {
      const report = await this.#load(order, handle);
      await this.place.checkpoints.create(this.#nameOf(branch), {
        name: LOADED_CHECKPOINT,
        timeout_ms: SETTLE_MS_MAX,
      });
      handle.signal.throwIfAborted();
      await this.place.catalog.markLoaded(branch.id);
      return loadView(report);
    } catch (error) {
      const isGone = this.place.catalog.findBranch(branch.id) === undefined;
      await this.#discard(branch);
      if (handle.signal.aborted) {
        throw controlError('load_cancelled', 'the load was cancelled; nothing of the database is left');
      }
      throw isGone ? branchDeleted(branch.name, 'while a dump was being loaded') : error;
    }
  }

  async #load({ branch, login, dump, onError }: LoadOrder, handle: OperationHandle): Promise<LoadReport> {
    const { computes, catalog, settings, pgRestore } = this.place;
    const { signal } = handle;
    const { defaultDatabase: database } = catalog.tenant(branch.tenant);
    const { format, compressed } = dump;
    const open = await computes.open(branch, { signal });
    try {
      return await loadDump(dump, {
        target: { ...hostOf(open.address), user: login.role, password: login.password },
        database,
        onError,
        limits: settings,
        pgRestore: pgRestore && { ...pgRestore, stillMsMax: settings.silenceMsMax },
        signal,
        onProgress: (progress) =>
          handle.load({ format, compressed, ...progress, database, warnings: [], warnings_omitted: 0 }),
      });
    } finally {
      open.release();
    }
  }

  #nameOf({ id, name }: BranchRecord): string {
    const now = this.place.catalog.findBranch(id);
    if (now === undefined) throw branchDeleted(name);
    return now.name;
  }

  /** It may have been protected meanwhile, and is nobody's all the same. */
  async #discard({ id, name }: BranchRecord): Promise<void> {
    const { catalog, deletion, onTrouble } = this.place;
    try {
      const branch = catalog.findBranch(id);
      if (branch === undefined) return;
      await deletion.delete(
        branch.protected ? await catalog.updateBranch(id, { protected: false }) : branch,
        {
          because: 'load',
        },
      );
    } catch (error) {
      if (asOffshootError(error).code === 'branch_not_found') return;
      onTrouble('a database that was not loaded is still there; the next start deletes it', {
        branch: name,
        error,
      });
    }
  }
}

function hostOf(address: ComputeAddress): { host: string; port: number } {
  if ('host' in address) return address;
  return { host: dirname(address.path), port: Number(address.path.split('.').at(-1)) };
}

function loadView(report: LoadReport): Load {
  const { format, compressed, statements, rows, bytes, database, warnings, warningsOmitted } = report;
  return {
    format,
    compressed,
    statements,
    rows,
    bytes,
    database,
    warnings: warnings.map(({ kind, line, statement, message, sqlState, count }) => ({
      kind,
      line,
      statement,
      message,
      ...(sqlState === undefined ? {} : { sqlstate: sqlState }),
      count,
    })),
    warnings_omitted: warningsOmitted,
  };
}
