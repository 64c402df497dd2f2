import { OffshootError } from '@offshoot/types';
import pg from 'pg';
import type { Bytes } from './bytes.js';
import { dumpError } from './dump-errors.js';
import type { RecognizedDump } from './dump-format.js';
import { type LoadProgress, type LoadReport, Warnings } from './load-report.js';
import { LoadSession, type LoadTarget } from './load-session.js';
import { mayFail } from './may-fail.js';
import { type PgRestore, sqlOfArchive } from './pg-restore.js';
import { PsqlCommands } from './psql-command.js';
import { type ScriptLimits, ScriptReader } from './script-reader.js';
import type { ScriptItem } from './script-scanner.js';
import { makesUnlogged, UNLOGGED } from './unlogged.js';

export interface LoadOptions {
  readonly target: LoadTarget;
  /** Where it begins. */
  readonly database: string;
  /** `stop`: the first statement that fails ends it, but for what is about the server that the dump comes from. */
  readonly onError: 'stop' | 'continue';
  readonly limits: ScriptLimits;
  /** Undefined: there is none, and archives cannot be read. */
  readonly pgRestore: PgRestore | undefined;
  readonly signal: AbortSignal;
  readonly onProgress?: ((progress: LoadProgress) => void) | undefined;
}

type Statement = Extract<ScriptItem, { kind: 'statement' }>;

const STATEMENT_SHOWN = 120;
const PROGRESS_MS = 200;
/** Encodings of clients in which a byte below 128 may be a part of another character: text in them is not cut safely. */
const NOT_ASCII = new Set(['SJIS', 'SHIFT_JIS_2004', 'BIG5', 'GBK', 'GB18030', 'UHC', 'JOHAB']);

/**
 * Loads a dump into a database, as a role that should have no rights but there: nothing of the dump is run but statements of
 * SQL, by the server, in sessions of that role. Durable when it resolves. Throws `dump_damaged`, `dump_refused`,
 * `dump_statement_failed`, `dump_too_large`, `load_interrupted`, `pg_restore_not_found`, `pg_restore_failed`, the signal's
 * reason, and what reading the dump throws; what was loaded by then is there.
 */
export async function loadDump(dump: RecognizedDump, options: LoadOptions): Promise<LoadReport> {
  const script = new ScriptReader(sqlOf(dump, options), options.limits);
  const load = new Load(script, options);
  try {
    await load.run();
    await flush(options);
    return { ...load.report(), format: dump.format, compressed: dump.compressed };
  } finally {
    load.close();
    await script.close().catch(() => undefined);
  }
}

function sqlOf({ format, bytes }: RecognizedDump, { pgRestore, signal }: LoadOptions): Bytes {
  if (format === 'plain') return bytes;
  if (pgRestore !== undefined) return sqlOfArchive(bytes, { ...pgRestore, signal });
  throw dumpError(
    'pg_restore_not_found',
    `the dump is in the ${format} format, and there is no pg_restore to read it`,
  );
}

/** All commits before were not waited for; this one is, and with it they are on disk. */
async function flush({ target, database, signal }: LoadOptions): Promise<void> {
  const session = await LoadSession.open(database, target, signal);
  try {
    await session.run('SET synchronous_commit = on');
    await session.run("SELECT pg_catalog.pg_logical_emit_message(true, 'offshoot', 'loaded')");
  } finally {
    session.close();
  }
}

class Load {
  readonly #warnings = new Warnings();
  readonly #commands = new PsqlCommands();
  #session: LoadSession | undefined;
  #database: string;
  #statements = 0;
  #rows = 0;
  #toldAt = 0;

  constructor(
    private readonly script: ScriptReader,
    private readonly options: LoadOptions,
  ) {
    this.#database = options.database;
  }

  async run(): Promise<void> {
    await this.#connect(this.#database);
    for (let item = await this.script.next(); item !== undefined; item = await this.script.next()) {
      if (item.kind === 'statement') await this.#run(item);
      else await this.#obey(item);
      this.#tell();
    }
    this.#expectWhole();
  }

  report(): Omit<LoadReport, 'format' | 'compressed'> {
    return {
      statements: this.#statements,
      rows: this.#rows,
      bytes: this.script.bytes,
      database: this.#database,
      warnings: this.#warnings.list(),
      warningsOmitted: this.#warnings.omitted,
    };
  }

  close(): void {
    this.#session?.close();
  }

  async #connect(database: string): Promise<LoadSession> {
    this.#session?.close();
    this.#session = await LoadSession.open(database, this.options.target, this.options.signal);
    this.#database = database;
    return this.#session;
  }

  async #obey(command: Extract<ScriptItem, { kind: 'command' }>): Promise<void> {
    const database = this.#commands.databaseOf(command);
    if (database === undefined) return;
    try {
      await this.#connect(database);
    } catch (error) {
      if (error instanceof OffshootError && error.code === 'load_interrupted') {
        throw dumpError('dump_statement_failed', `line ${command.line}: ${error.message}`, { cause: error });
      }
      throw error;
    }
  }

  async #run(statement: Statement): Promise<void> {
    const session = this.#session as LoadSession;
    const { text, takesData, line } = statement;
    if (text.includes('\0')) throw dumpError('dump_damaged', `line ${line}: a zero byte in a statement`);
    this.#syncScanner(session);
    const before = session.transaction;
    try {
      const tag = takesData ? await session.copy(text, () => this.#nextData()) : await session.run(text);
      this.#rows += Number(/^COPY (\d+)$/.exec(tag)?.[1] ?? 0);
      this.#statements += 1;
      if (makesUnlogged(statement)) this.#unlogged(statement);
    } catch (error) {
      if (!(error instanceof pg.DatabaseError)) throw error;
      this.#failed(statement, error, before);
    }
    this.#syncScanner(session);
  }

  #unlogged({ text, line }: Statement): void {
    this.#warnings.add({ kind: 'unlogged', line, statement: shortened(text), message: UNLOGGED });
  }

  async #nextData(): Promise<Buffer | undefined> {
    this.#tell();
    return await this.script.nextData();
  }

  /** How strings are to be read is what the session says. */
  #syncScanner({ parameters }: LoadSession): void {
    this.script.scanner.backslashEscapes = parameters.get('standard_conforming_strings') === 'off';
    const encoding = parameters.get('client_encoding') ?? '';
    if (NOT_ASCII.has(encoding)) {
      throw dumpError(
        'dump_refused',
        `line ${this.script.scanner.line}: the dump is in ${encoding}; make it with pg_dump --encoding=UTF8`,
      );
    }
  }

  /** A statement that fails within a transaction takes what is in it along: then it counts, whatever it is about. */
  #failed(statement: Statement, error: pg.DatabaseError, before: string | null): void {
    const { text, words, line } = statement;
    const { code: sqlState, message } = error;
    const kind = before === 'I' ? mayFail({ text, words, sqlState }) : undefined;
    const shown = shortened(text);
    if (kind === undefined && this.options.onError === 'stop') {
      throw dumpError('dump_statement_failed', this.#words(line, shown, error), { cause: error });
    }
    this.#warnings.add({ kind: kind ?? 'error', line, statement: shown, message, sqlState });
  }

  #words(line: number, shown: string, { message, code, detail, hint }: pg.DatabaseError): string {
    const missing = this.#warnings
      .list()
      .filter(({ kind }) => kind === 'extension')
      .map((warning) => warning.message);
    return [
      `line ${line}: ${message} (SQLSTATE ${code})`,
      ...(detail === undefined ? [] : [detail]),
      ...(hint === undefined ? [] : [hint]),
      `in: ${shown}`,
      ...(missing.length === 0 ? [] : [`Before that: ${missing.join('; ')}`]),
    ].join(' | ');
  }

  #expectWhole(): void {
    const { dumpsBegun, dumpsComplete } = this.script.scanner;
    const faults = [
      ...(dumpsBegun > dumpsComplete ? ['the dump breaks off: it does not say that it is complete'] : []),
      ...(this.#session?.transaction === 'I' ? [] : ['the dump ends within a transaction, which is undone']),
    ];
    const [fault] = faults;
    if (fault === undefined) return;
    if (this.options.onError === 'stop') throw dumpError('dump_damaged', fault);
    this.#warnings.add({ kind: 'error', line: this.script.scanner.line, statement: '', message: fault });
  }

  #tell(): void {
    const now = performance.now();
    if (now - this.#toldAt < PROGRESS_MS) return;
    this.#toldAt = now;
    this.options.onProgress?.({ statements: this.#statements, rows: this.#rows, bytes: this.script.bytes });
  }
}

/** In one line. */
function shortened(text: string): string {
  const words = Buffer.from(text.slice(0, STATEMENT_SHOWN), 'latin1').toString('utf8').replace(/\s+/g, ' ');
  return text.length > STATEMENT_SHOWN ? `${words} …` : words;
}
