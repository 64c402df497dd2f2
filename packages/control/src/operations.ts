import { randomUUID } from 'node:crypto';
import type { ImportProgress, Load, Operation, Problem } from '@offshoot/client';
import type { Actor } from '@offshoot/pageserver';

/** What a long operation is given: a way to say how far it is, and word of its cancellation. */
export interface OperationHandle {
  progress(progress: ImportProgress): void;
  /** The same of a load. */
  load(load: Load): void;
  signal: AbortSignal;
}

interface Entry {
  operation: Operation;
  readonly by: Actor | undefined;
  abort: AbortController;
  ended: Promise<void>;
}

export interface OperationBookSettings {
  /** Ended operations that stay readable; the oldest go first. */
  endedMax: number;
}

/** Long operations: started here, watched by their id, cancelled, and kept readable for a while after they end. */
export class OperationBook {
  readonly #entries = new Map<string, Entry>();

  constructor(
    private readonly settings: OperationBookSettings,
    private readonly toProblem: (error: unknown) => Problem,
    private readonly now: () => Date = () => new Date(),
  ) {}

  /** Starts `work` and answers at once; `work` must end soon after its signal aborts. */
  start(
    kind: Operation['kind'],
    subject: string,
    work: (handle: OperationHandle) => Promise<void>,
    by?: Actor,
  ): Operation {
    const abort = new AbortController();
    const operation: Operation = {
      id: randomUUID(),
      kind,
      state: 'running',
      started_at: this.now().toISOString(),
      subject,
    };
    const entry: Entry = { operation, by, abort, ended: Promise.resolve() };
    this.#entries.set(operation.id, entry);
    const handle = {
      signal: abort.signal,
      progress: (progress: ImportProgress) => {
        entry.operation = { ...entry.operation, progress };
      },
      load: (load: Load) => {
        entry.operation = { ...entry.operation, load };
      },
    };
    entry.ended = work(handle).then(
      () => this.#end(entry, 'done'),
      (error: unknown) => this.#end(entry, abort.signal.aborted ? 'cancelled' : 'failed', error),
    );
    return entry.operation;
  }

  /** `by`: only if that has begun it. */
  get(id: string, by?: Actor): Operation | undefined {
    const entry = this.#entries.get(id);
    return by === undefined || entry?.by?.token === by.token ? entry?.operation : undefined;
  }

  running(kind: Operation['kind'], subject: string): Operation | undefined {
    return this.list().find(
      (each) => each.kind === kind && each.subject === subject && each.state === 'running',
    );
  }

  list(): Operation[] {
    return [...this.#entries.values()].map((entry) => entry.operation);
  }

  /** Cancels a running operation and waits until it has cleaned up; an ended one stays as it is. */
  async cancel(id: string): Promise<Operation | undefined> {
    const entry = this.#entries.get(id);
    entry?.abort.abort();
    await entry?.ended;
    return entry?.operation;
  }

  async cancelAll(): Promise<void> {
    await Promise.all([...this.#entries.keys()].map((id) => this.cancel(id)));
  }

  #end(entry: Entry, state: Operation['state'], error?: unknown): void {
    entry.operation = {
      ...entry.operation,
      state,
      finished_at: this.now().toISOString(),
      ...(error === undefined ? {} : { error: this.toProblem(error) }),
    };
    const ended = [...this.#entries].filter(([, { operation }]) => operation.state !== 'running');
    for (const [id] of ended.slice(0, Math.max(0, ended.length - this.settings.endedMax))) {
      this.#entries.delete(id);
    }
  }
}
