import pg from 'pg';
import { dumpError } from './dump-errors.js';
import { RawQuery } from './raw-query.js';

/** How to log in as the role that the dump is loaded as. */
export interface LoadTarget {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
}

/** Nothing waits for the disk before the end; what the role or the database sets for its sessions is not meant for this one. */
const OPTIONS = {
  synchronous_commit: 'off',
  default_transaction_read_only: 'off',
  statement_timeout: '0',
  lock_timeout: '0',
  idle_in_transaction_session_timeout: '0',
  idle_session_timeout: '0',
  client_min_messages: 'error',
};

interface Parameter {
  readonly parameterName: string;
  readonly parameterValue: string;
}

/** One session on the new database, in which the statements of a dump are run one after the other. */
export class LoadSession {
  /** As the server told them: `standard_conforming_strings`, `client_encoding`, … */
  readonly parameters = new Map<string, string>();
  readonly #client: pg.Client;
  readonly #abort: () => void;
  #lost: Error | undefined;

  private constructor(
    readonly database: string,
    target: LoadTarget,
    private readonly signal: AbortSignal,
  ) {
    this.#client = new pg.Client({
      ...target,
      database,
      ssl: false,
      options: Object.entries(OPTIONS)
        .map(([name, value]) => `-c ${name}=${value}`)
        .join(' '),
      application_name: 'offshoot load',
    });
    this.#client.on('error', (error) => {
      this.#lost = error;
    });
    this.#client.connection.on('parameterStatus', ({ parameterName, parameterValue }: Parameter) =>
      this.parameters.set(parameterName, parameterValue),
    );
    this.#abort = () => this.#client.connection.stream.destroy(new Error('given up'));
  }

  /** Throws the server's error, `load_interrupted`, the signal's reason. */
  static async open(database: string, target: LoadTarget, signal: AbortSignal): Promise<LoadSession> {
    const session = new LoadSession(database, target, signal);
    signal.throwIfAborted();
    signal.addEventListener('abort', session.#abort, { once: true });
    try {
      await session.#client.connect();
      return session;
    } catch (error) {
      session.close();
      throw session.#asError(error);
    }
  }

  /** `I`: in no transaction. */
  get transaction(): string | null {
    return this.#client.getTransactionStatus();
  }

  /** Answers its tag. Throws the server's error (`pg.DatabaseError`), `load_interrupted`, the signal's reason. */
  async run(text: string): Promise<string> {
    return await this.#finished(this.#submit(text, false));
  }

  /** The same of COPY ... FROM stdin; `nextData` answers pieces of its data. */
  async copy(text: string, nextData: () => Promise<Buffer | undefined>): Promise<string> {
    const query = this.#submit(text, true);
    const over = query.done.catch(() => undefined);
    await Promise.race([query.wantsData, over]);
    while (!query.isOver) {
      const data = await nextData();
      if (data === undefined) break;
      await query.write(data);
    }
    query.endData();
    return await this.#finished(query);
  }

  /** The session ends by itself. */
  close(): void {
    this.signal.removeEventListener('abort', this.#abort);
    this.#client.end().catch(() => undefined);
  }

  #submit(text: string, takesData: boolean): RawQuery {
    const query = new RawQuery(Buffer.from(text, 'latin1'), takesData);
    this.#client.query(query as unknown as pg.Submittable);
    return query;
  }

  async #finished(query: RawQuery): Promise<string> {
    try {
      await query.done;
      return query.tag;
    } catch (error) {
      throw this.#asError(error);
    }
  }

  /** An error of the server's that leaves the session as it is stays what it is. */
  #asError(error: unknown): unknown {
    this.signal.throwIfAborted();
    if (error instanceof pg.DatabaseError && !FINAL.has(error.severity ?? '')) return error;
    const words = error instanceof Error ? error.message : String(error);
    const lost = this.#lost === undefined || this.#lost === error ? '' : ` (${this.#lost.message})`;
    return dumpError('load_interrupted', `the session that the dump is loaded in was lost: ${words}${lost}`, {
      cause: error,
    });
  }
}

/** Of errors that end a session. */
const FINAL: ReadonlySet<string> = new Set(['FATAL', 'PANIC']);
