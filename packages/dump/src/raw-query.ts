import type { Duplex } from 'node:stream';
import pg from 'pg';

/** What node-postgres tells a query of its own kind. */
interface QueryConnection {
  readonly stream: Duplex;
  once(event: 'readyForQuery' | 'end', listener: () => void): unknown;
}

/**
 * A statement that is sent byte by byte as it is, whatever its encoding; its rows are not wanted. Of COPY ... FROM stdin the
 * data is written when the server asks for it.
 */
export class RawQuery {
  /** Rejects with the server's error when it is ready for the next statement, or with why the connection was lost. */
  readonly done: Promise<void>;
  /** The server waits for data. */
  readonly wantsData: Promise<void>;
  /** As `COPY 3`. */
  tag = '';
  #stream: Duplex | undefined;
  #asked: () => void = () => undefined;
  #finish: () => void = () => undefined;
  #fail: (error: unknown) => void = () => undefined;
  #state: 'running' | 'ended' = 'running';

  constructor(
    private readonly statement: Buffer,
    private readonly takesData: boolean,
  ) {
    this.done = new Promise((resolve, reject) => {
      this.#finish = resolve;
      this.#fail = reject;
    });
    this.done.catch(() => undefined);
    this.wantsData = new Promise((resolve) => {
      this.#asked = resolve;
    });
  }

  /** Nothing is to be sent any more: the server is done with it, or gave it up. */
  get isOver(): boolean {
    return this.#state === 'ended';
  }

  submit(connection: QueryConnection): void {
    this.#stream = connection.stream;
    this.#stream.write(frame('Q', Buffer.concat([this.statement, Buffer.of(0)])));
  }

  /** Resolves when more may be written. */
  async write(data: Buffer): Promise<void> {
    const stream = this.#stream;
    if (this.isOver || stream === undefined) return;
    stream.cork();
    stream.write(header('d', data.length));
    const mayGoOn = stream.write(data);
    stream.uncork();
    if (mayGoOn) return;
    await new Promise<void>((resolve) => {
      stream.once('drain', resolve);
      void this.done.finally(resolve).catch(() => undefined);
    });
  }

  endData(): void {
    if (!this.isOver) this.#stream?.write(frame('c', Buffer.alloc(0)));
  }

  handleCopyInResponse(): void {
    if (this.takesData) this.#asked();
    else this.#stream?.write(frame('f', Buffer.from('no data comes with this statement\0')));
  }

  handleCommandComplete({ text }: { readonly text?: string }): void {
    this.tag = text ?? '';
  }

  handleError(error: unknown, connection: QueryConnection): void {
    this.#state = 'ended';
    const fail = () => this.#fail(error);
    if (!(error instanceof pg.DatabaseError)) {
      fail();
      return;
    }
    // What comes next must not be asked before.
    connection.once('readyForQuery', fail);
    connection.once('end', fail);
  }

  handleReadyForQuery(): void {
    this.#state = 'ended';
    this.#finish();
  }

  handleRowDescription(): void {}
  handleDataRow(): void {}
  handleEmptyQuery(): void {}
  handlePortalSuspended(): void {}
  handleCopyData(): void {}
}

function header(type: string, length: number): Buffer {
  const bytes = Buffer.alloc(5);
  bytes.write(type, 0, 'latin1');
  bytes.writeInt32BE(length + 4, 1);
  return bytes;
}

function frame(type: string, body: Buffer): Buffer {
  return Buffer.concat([header(type, body.length), body]);
}
