import type { Socket } from 'node:net';
import { BackendDeframer, backendProtocolError } from '@offshoot/wire';
import { Client } from 'pg';
import { serialize } from 'pg-protocol';
import type { BackendMessage, DataRowMessage, RowDescriptionMessage } from 'pg-protocol/dist/messages.js';
import { Parser } from 'pg-protocol/dist/parser.js';
import type { Backpressure } from './chunk-pump.js';
import { importError, sourceError } from './import-errors.js';
import type { ImportSettings } from './import-settings.js';

/** Limits of one connection. */
export type ConnectionSettings = Pick<ImportSettings, 'connectTimeoutMs' | 'silenceMsMax' | 'frameBytesMax'>;

/** One result set; values are text, null when SQL's NULL. */
export type ResultRow = Readonly<Record<string, string | null>>;

/** Takes what a command answers, while it runs. */
export interface CommandListener {
  /** A result set is complete. */
  result?(rows: readonly ResultRow[]): void;
  /** From here on both sides send CopyData. */
  copyBegan?(): void;
  /** The source sends no more CopyData. */
  copyEnded?(): void;
  /** A piece of a CopyData body; see `BackendFrames`. */
  copyData?(piece: Buffer, offset: number, bodyBytes: number): void;
}

interface RunningCommand {
  readonly listener: CommandListener;
  readonly results: ResultRow[][];
  readonly resolve: (results: ResultRow[][]) => void;
  readonly reject: (error: unknown) => void;
  rows: ResultRow[];
  columns: string[];
  serverError?: unknown;
}

/**
 * A physical replication connection. `pg` connects, does TLS and logs in; then its socket is read here, since a base
 * backup comes in messages that must be neither gathered nor held in memory.
 */
export class ReplicationConnection implements Backpressure {
  readonly #socket: Socket;
  readonly #settings: ConnectionSettings;
  readonly #parser = new Parser();
  readonly #deframer: BackendDeframer;
  #running: RunningCommand | undefined;
  #ended: { readonly error: unknown } | undefined;

  private constructor(socket: Socket, settings: ConnectionSettings) {
    this.#socket = socket;
    this.#settings = settings;
    const frames = {
      frame: (frame: Buffer) => this.#parser.parse(frame, (message) => this.#message(message)),
      copyData: (piece: Buffer, offset: number, bodyBytes: number) =>
        this.#running?.listener.copyData?.(piece, offset, bodyBytes),
    };
    this.#deframer = new BackendDeframer(frames, settings.frameBytesMax);
    this.#takeOver();
  }

  /** Connects and logs in. Throws `source_unreachable`, `source_access_denied`, `source_settings`, … */
  static async connect(
    url: string,
    settings: ConnectionSettings,
    signal: AbortSignal,
  ): Promise<ReplicationConnection> {
    signal.throwIfAborted();
    const client = newClient(url, settings);
    const abort = () => socketOf(client).destroy();
    client.on('error', () => {});
    signal.addEventListener('abort', abort, { once: true });
    try {
      await client.connect();
      signal.throwIfAborted();
    } catch (thrown) {
      abort();
      signal.throwIfAborted();
      throw sourceError(thrown, 'connecting');
    } finally {
      signal.removeEventListener('abort', abort);
    }
    return new ReplicationConnection(socketOf(client), settings);
  }

  /** Runs a command of the replication protocol; answers its result sets. One at a time. */
  run(command: string, doing: string, listener: CommandListener = {}): Promise<ResultRow[][]> {
    if (this.#ended !== undefined) {
      return Promise.reject(this.#ended.error);
    }
    return new Promise<ResultRow[][]>((resolve, reject) => {
      const failed = (thrown: unknown) => reject(sourceError(thrown, doing));
      this.#running = { listener, results: [], resolve, reject: failed, rows: [], columns: [] };
      this.#socket.write(serialize.query(command));
    });
  }

  /** Sends a CopyData message with that body, in a command that copies both ways. */
  sendCopyData(body: Buffer): void {
    this.#socket.write(serialize.copyData(body));
  }

  pause(): void {
    this.#socket.pause();
    // Silence is our own doing now.
    this.#socket.setTimeout(0);
  }

  resume(): void {
    this.#socket.setTimeout(this.#settings.silenceMsMax);
    this.#socket.resume();
  }

  /** Breaks off at once; what runs rejects with `error`. */
  destroy(error: unknown): void {
    this.#end(error, 'at-once');
  }

  /** Says goodbye. A second call does nothing. */
  close(): void {
    if (this.#ended === undefined) {
      this.#socket.write(serialize.end());
      this.#end(lost('the connection to the source is closed'), 'after-writes');
    }
  }

  /** From here on `pg` sees nothing of what comes in, and so believes that its connection is idle. */
  #takeOver(): void {
    this.#socket.removeAllListeners('data');
    this.#socket.setKeepAlive(true, this.#settings.connectTimeoutMs);
    this.#socket.on('data', (chunk: Buffer) => this.#received(chunk));
    this.#socket.on('error', (error) => this.#end(error, 'at-once'));
    this.#socket.on('close', () => this.#end(lost('the source closed the connection'), 'at-once'));
    this.#socket.on('timeout', () => this.#end(this.#silent(), 'at-once'));
    this.#socket.setTimeout(this.#settings.silenceMsMax);
  }

  #silent(): Error {
    const seconds = Math.round(this.#settings.silenceMsMax / 1000);
    return lost(`the source has said nothing for ${seconds} s`);
  }

  #received(chunk: Buffer): void {
    if (this.#ended !== undefined) {
      return;
    }
    try {
      this.#deframer.push(chunk);
    } catch (error) {
      this.#end(error, 'at-once');
    }
  }

  #message(message: BackendMessage): void {
    const running = this.#running;
    if (message.name === 'error') {
      this.#serverError(message);
    } else if (message.name === 'readyForQuery') {
      this.#finishCommand();
    } else if (message.name === 'replicationStart') {
      running?.listener.copyBegan?.();
    } else if (message.name === 'copyDone') {
      running?.listener.copyEnded?.();
    } else if (running !== undefined) {
      gather(running, message);
    }
  }

  /** The server goes on to ReadyForQuery after an error, unless it closes the connection. */
  #serverError(error: unknown): void {
    if (this.#running === undefined) {
      this.#end(error, 'at-once');
    } else {
      this.#running.serverError ??= error;
    }
  }

  #finishCommand(): void {
    const running = this.#running;
    this.#running = undefined;
    if (running?.serverError !== undefined) {
      running.reject(running.serverError);
    } else {
      running?.resolve(running.results);
    }
  }

  #end(error: unknown, how: 'at-once' | 'after-writes'): void {
    if (this.#ended !== undefined) {
      return;
    }
    const running = this.#running;
    const reason = running?.serverError ?? error;
    this.#running = undefined;
    this.#ended = { error: sourceError(reason, 'talking to it') };
    if (how === 'at-once') {
      this.#socket.destroy();
    } else {
      this.#socket.setTimeout(GOODBYE_MS_MAX, () => this.#socket.destroy());
      this.#socket.destroySoon();
    }
    running?.reject(reason);
  }
}

/** Adds to the result set under way. */
function gather(running: RunningCommand, message: BackendMessage): void {
  if (message.name === 'rowDescription') {
    running.columns = (message as RowDescriptionMessage).fields.map(({ name }) => name);
    running.rows = [];
  } else if (message.name === 'dataRow') {
    const values = (message as DataRowMessage).fields as (string | null)[];
    if (running.rows.length >= ROWS_MAX) {
      throw backendProtocolError(
        'source_protocol_violation',
        `the source answered more than ${ROWS_MAX} rows`,
      );
    }
    running.rows.push(Object.fromEntries(running.columns.map((name, at) => [name, values[at] ?? null])));
  } else if (message.name === 'commandComplete' && running.columns.length > 0) {
    running.results.push(running.rows);
    running.listener.result?.(running.rows);
    running.columns = [];
  }
}

/** Tablespaces make the longest result set. */
const ROWS_MAX = 100_000;

/** For the last bytes to leave. */
const GOODBYE_MS_MAX = 1000;

function lost(why: string): Error {
  return importError('source_lost', why);
}

interface WithSocket {
  readonly connection: { readonly stream: Socket };
}

/** The socket of a client of `pg`, whose types do not show it. TLS puts another one in its place while it connects. */
export function socketOf(client: Client): Socket {
  return (client as unknown as WithSocket).connection.stream;
}

function newClient(url: string, settings: ConnectionSettings): Client {
  try {
    return new Client({
      connectionString: url,
      connectionTimeoutMillis: settings.connectTimeoutMs,
      fallback_application_name: 'offshoot',
      // The source's defaults may end sessions that wait; options in the connection string win over these.
      options: '-c idle_session_timeout=0 -c statement_timeout=0',
      // Known to pg, not to its types.
      replication: 'true',
    } as ConstructorParameters<typeof Client>[0]);
  } catch (thrown) {
    // Other reasons would show the string, and that its password.
    const { code, path } = thrown as NodeJS.ErrnoException;
    const why = path === undefined ? '' : `: the file ${path} that it names cannot be read (${code})`;
    throw importError('source_url_invalid', `the connection string of the source cannot be read${why}`);
  }
}
