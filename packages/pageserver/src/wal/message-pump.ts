import type { Backpressure } from '../import/chunk-pump.js';

/** Takes messages in order; they are free for other use once the promise settles. */
export type MessageTaker = (messages: Buffer[]) => Promise<void>;

/**
 * Hands messages on in batches, one after the other: what comes while one is being taken is the next. Past `bytesMax`
 * bytes that are not taken, the source is held back.
 */
export class MessagePump {
  readonly #bytesMax: number;
  readonly #take: MessageTaker;
  readonly #backpressure: Backpressure;
  readonly #onFailure: (error: unknown) => void;
  #queue: Buffer[] = [];
  #bytes = 0;
  #working: Promise<void> | undefined;
  #paused = false;
  #stopped = false;

  /** `onFailure` hears of the batch that could not be taken; nothing more is taken then. */
  constructor(
    bytesMax: number,
    take: MessageTaker,
    backpressure: Backpressure,
    onFailure: (error: unknown) => void,
  ) {
    this.#bytesMax = bytesMax;
    this.#take = take;
    this.#backpressure = backpressure;
    this.#onFailure = onFailure;
  }

  /** True while the source is held back. */
  get paused(): boolean {
    return this.#paused;
  }

  /** The message is the pump's from now on. */
  push(message: Buffer): void {
    if (this.#stopped) {
      return;
    }
    this.#queue.push(message);
    this.#bytes += message.length;
    this.#working ??= this.#work();
    if (this.#bytes > this.#bytesMax && !this.#paused) {
      this.#paused = true;
      this.#backpressure.pause();
    }
  }

  /** Gives up what is not being taken yet; resolves when nothing is being taken any more. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#queue = [];
    await this.#working;
  }

  async #work(): Promise<void> {
    try {
      // What else the same piece of the source's bytes holds belongs to the first batch.
      await Promise.resolve();
      while (this.#queue.length > 0) {
        const batch = this.#queue;
        this.#queue = [];
        await this.#take(batch);
        this.#taken(batch);
      }
    } catch (error) {
      this.#stopped = true;
      this.#queue = [];
      this.#onFailure(error);
    } finally {
      this.#working = undefined;
    }
  }

  #taken(batch: readonly Buffer[]): void {
    this.#bytes -= batch.reduce((sum, { length }) => sum + length, 0);
    if (this.#paused && this.#bytes <= this.#bytesMax && !this.#stopped) {
      this.#paused = false;
      this.#backpressure.resume();
    }
  }
}
