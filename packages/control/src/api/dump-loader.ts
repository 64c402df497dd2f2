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
    using room = loads.admit();
    void room;
    const { dumpBytesMax: bytesMax, silenceMsMax } = loads.settings;
    const upload = new Upload(body.request, { bytesMax, silenceMsMax }, unwanted.signal);
    try {
      const dump = await recognizeDump(upload.pieces());
      const { on_error: onError = 'stop', label, ...choice } = query;
      const made = await this.maker.createToLoad(caller, {
        ...choice,
        ...(label === undefined ? {} : { labels: checkInput(labels, labelsOf([label].flat()), 'query') }),
        from: TEMPLATE_NAME,
      });
      const branch = this.control.branchFor(caller, made.name, 'use');
      const { role: login, password } = made.credentials ?? noRole();
      const order = { branch, login: { role: login, password }, dump, onError, by: caller.actor };
      const running = loads.start(order);
      const stopWatching = body.onHangUp(() => {
        void this.control.cancelOperation(running.operation.id).catch(() => undefined);
      });
      try {
        return await this.#answer(made, running, upload);
      } finally {
        stopWatching();
      }
    } catch (error) {
      unwanted.abort(error);
      throw error;
    }
  }

  async #answer(made: Made, { operation, ended }: RunningLoad, upload: Upload): Promise<Answered> {
    const began = performance.now();
    const over = new AbortController();
    const longer = upload.complete.then(() =>
      sleep(this.control.loads.settings.answerMsMax, undefined, { signal: over.signal }),
    );
    longer.catch(() => undefined);
    try {
      const load = await Promise.race([ended, longer]);
      const branch = this.control.branch(made.name);
      if (load === undefined) return { ...made, branch, operation: operation.id };
      const timings = { ...made.timings_ms, load: performance.now() - began };
      return { ...this.#by(made, load), branch, timings_ms: timings, load };
    } finally {
      over.abort();
    }
  }

  /** The dump may have made a database of its own: then that is the one to connect to. */
  #by(made: Made, { database }: Load): Made {
    const record = this.control.findBranch(made.name);
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
