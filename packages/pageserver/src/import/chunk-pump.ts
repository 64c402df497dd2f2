/** Takes a batch; the batch is free for other use once the promise settles. */
export type BatchTaker = (batch: Uint8Array) => Promise<unknown>;

/** Holds back and lets go of whoever calls `push`. */
export interface Backpressure {
  pause(): void;
  resume(): void;
}

/** One step of the pump's work, done in order. */
type Step = { readonly batch: Buffer; readonly bytes: number } | { readonly mark: () => void };

/**
 * Gathers pieces into batches and hands them on, one after the other, while the next is being filled. When one batch
 * is being taken and another waits, the source is held back; what it still delivers goes into a third.
 */
export class ChunkPump {
  readonly #batchBytes: number;
  readonly #take: BatchTaker;
  readonly #backpressure: Backpressure;
  readonly #onFailure: (error: unknown) => void;
  readonly #steps: Step[] = [];
  readonly #spare: Buffer[] = [];
  #filling: Buffer;
  #filled = 0;
  #busy = false;
  #working: Promise<void> = Promise.resolve();
  #failure: { readonly error: unknown } | undefined;
  #paused = false;

  /** `onFailure` hears at once of a batch that could not be taken; `drained` rejects with it as well. */
  constructor(
    batchBytes: number,
    take: BatchTaker,
    backpressure: Backpressure,
    onFailure: (error: unknown) => void,
  ) {
    this.#batchBytes = batchBytes;
    this.#take = take;
    this.#backpressure = backpressure;
    this.#onFailure = onFailure;
    this.#filling = Buffer.allocUnsafeSlow(batchBytes);
  }

  /** Adds bytes; they are copied, so the piece is free after the call. */
  push(piece: Uint8Array): void {
    for (let at = 0; at < piece.length; ) {
      const end = Math.min(piece.length, at + this.#batchBytes - this.#filled);
      this.#filling.set(at === 0 && end === piece.length ? piece : piece.subarray(at, end), this.#filled);
      this.#filled += end - at;
      at = end;
      if (this.#filled === this.#batchBytes) {
        this.#handOver();
      }
    }
  }

  /** Runs `action` between what was pushed before and what is pushed after. */
  mark(action: () => void): void {
    this.#handOver();
    this.#enqueue({ mark: action });
  }

  /** Hands on what is left; resolves when everything has been taken. */
  async drained(): Promise<void> {
    this.#handOver();
    await this.#working;
    if (this.#failure !== undefined) {
      throw this.#failure.error;
    }
  }

  /** Gives up what has not been taken yet; resolves when nothing is being taken any more. */
  async stop(): Promise<void> {
    this.#failure ??= { error: new Error('the pump was stopped') };
    this.#steps.length = 0;
    this.#filled = 0;
    await this.#working;
  }

  #handOver(): void {
    if (this.#filled === 0) {
      return;
    }
    const step = { batch: this.#filling, bytes: this.#filled };
    this.#filling = this.#spare.pop() ?? Buffer.allocUnsafeSlow(this.#batchBytes);
    this.#filled = 0;
    this.#enqueue(step);
  }

  #enqueue(step: Step): void {
    if (this.#failure !== undefined) {
      return;
    }
    this.#steps.push(step);
    if (!this.#busy) {
      this.#busy = true;
      this.#working = this.#work();
    } else if (!this.#paused && this.#batchWaits()) {
      this.#paused = true;
      this.#backpressure.pause();
    }
  }

  async #work(): Promise<void> {
    try {
      for (let step = this.#steps.shift(); step !== undefined; step = this.#steps.shift()) {
        if (this.#paused && !this.#batchWaits()) {
          this.#paused = false;
          this.#backpressure.resume();
        }
        if ('mark' in step) {
          step.mark();
        } else {
          await this.#take(step.batch.subarray(0, step.bytes));
          this.#spare.push(step.batch);
        }
      }
    } catch (error) {
      this.#steps.length = 0;
      if (this.#failure === undefined) {
        this.#failure = { error };
        this.#onFailure(error);
      }
    } finally {
      this.#busy = false;
    }
  }

  #batchWaits(): boolean {
    return this.#steps.some((step) => 'batch' in step);
  }
}
