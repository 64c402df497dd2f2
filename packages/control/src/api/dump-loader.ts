import { setTimeout as sleep } from 'node:timers/promises';
import { type DatabaseFromDumpQuery, type Load, labels, type NewDatabase } from '@offshoot/client';
import { recognizeDump } from '@offshoot/dump';
import { TEMPLATE_NAME } from '@offshoot/types';
import type { Caller } from '../access/caller.js';
import { controlError } from '../control-errors.js';
import type { ControlPlane } from '../control-plane.js';
import type { RunningLoad } from '../databases/database-loads.js';
import type { BranchMaker, Made } from './branch-maker.js';
import { checkInput } from './check-input.js';
import type { RawBody } from './route.js';
import { Upload } from './upload.js';

type Answered = Omit<NewDatabase, 'ignored_fields'>;

/** Between two looks whether all of a dump has come. */
const LOOK_MS = 100;

type Started = RunningLoad & { readonly made: Made };

/** Makes databases of what callers send. */
export class DumpLoader {
  constructor(
    private readonly control: ControlPlane,
    private readonly maker: BranchMaker,
  ) {}

  /**
   * Resolves when the dump is loaded, or, where that takes longer, some time after all of it has come. Whoever hangs up before
   * that does not want it any more.
   */
  async load(caller: Caller, query: DatabaseFromDumpQuery, body: RawBody): Promise<Answered> {
    const { loads } = this.control;
    const unwanted = new AbortController();
    const room = loads.admit(caller);
    let running: Started | undefined;
    const { dumpBytesMax: bytesMax, silenceMsMax } = loads.settings;
    const upload = new Upload(body.request, { bytesMax, silenceMsMax }, unwanted.signal);
    try {
      running = await this.#start(caller, query, upload);
      const { operation } = running;
      const stopWatching = body.onHangUp(() => {
        void this.control.cancelOperation(operation.id).catch(() => undefined);
      });
      try {
        return await this.#answer(running, upload);
      } finally {
        stopWatching();
      }
    } catch (error) {
      unwanted.abort(error);
      throw error;
    } finally {
      // One that goes on behind its answer takes up room until its end.
      const leave = () => room[Symbol.dispose]();
      if (running === undefined) leave();
      else void running.ended.then(leave, leave);
    }
  }

  /** What it is, its first bytes say: only then a database is made. */
  async #start(
    caller: Caller,
    { on_error: onError = 'stop', label, ...choice }: DatabaseFromDumpQuery,
    upload: Upload,
  ): Promise<Started> {
    const dump = await recognizeDump(upload.pieces());
    const made = await this.maker.createToLoad(caller, {
      ...choice,
      ...(label === undefined ? {} : { labels: checkInput(labels, labelsOf([label].flat()), 'query') }),
      from: TEMPLATE_NAME,
    });
    const branch = this.control.branchFor(caller, made.id, 'use');
    const { role, password } = made.credentials ?? noRole();
    const login = { role, password };
    return { made, ...this.control.loads.start({ branch, login, dump, onError, by: caller.actor }) };
  }

  async #answer({ made, operation, ended }: Started, upload: Upload): Promise<Answered> {
    const began = performance.now();
    const over = new AbortController();
    const longer = this.#waited(upload, over.signal);
    longer.catch(() => undefined);
    try {
      const load = await Promise.race([ended, longer]);
      // It may have failed in this moment: then that is the answer.
      if (this.control.branchOf(made.id) === undefined) await ended;
      const branch = this.control.branch(made.id);
      if (load === undefined) return { ...made, branch, operation: operation.id };
      const timings = { ...made.timings_ms, load: performance.now() - began };
      return { ...this.#by(made, load), branch, timings_ms: timings, load };
    } finally {
      over.abort();
    }
  }

  /** Resolves when whoever sends the dump has done nothing but wait for `answerMsMax`. */
  async #waited(upload: Upload, signal: AbortSignal): Promise<undefined> {
    const { answerMsMax } = this.control.loads.settings;
    let since: number | undefined;
    while (since === undefined || performance.now() - since < answerMsMax) {
      await sleep(LOOK_MS, undefined, { signal });
      if (upload.isComplete) since ??= performance.now();
    }
    return undefined;
  }

  /** The dump may have made a database of its own: then that is the one to connect to. */
  #by(made: Made, { database }: Load): Made {
    const record = this.control.branchOf(made.id);
    if (made.credentials === undefined || record === undefined) return made;
    const credentials = this.control.credentials(record, made.credentials.password, database);
    const dsn = credentials?.connection_string;
    return { ...made, ...(credentials && { credentials }), ...(dsn === undefined ? {} : { dsn }) };
  }
}

function labelsOf(pairs: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]),
  );
}

function noRole(): never {
  throw controlError('branch_role_absent', 'the new database has no role to load the dump as');
}
