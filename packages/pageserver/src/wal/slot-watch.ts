import { setTimeout as sleep } from 'node:timers/promises';
import type { SlotLook } from './slot-look.js';

export interface SlotWatchOptions {
  readonly intervalMs: number;
  look(signal: AbortSignal): Promise<SlotLook>;
  onLook(look: SlotLook): void;
  /** A look that failed; the next is due as usual. */
  onFailure(error: unknown): void;
}

/** Looks at a slot at once and then from time to time, one look at a time. */
export class SlotWatch {
  readonly #options: SlotWatchOptions;
  readonly #abort = new AbortController();
  readonly #running: Promise<void>;

  constructor(options: SlotWatchOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  /** No look is under way when it resolves. A second call does nothing. */
  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#abort;
    const { intervalMs, look, onLook, onFailure } = this.#options;
    while (!signal.aborted) {
      try {
        const seen = await look(signal);
        if (!signal.aborted) {
          onLook(seen);
        }
      } catch (error) {
        if (!signal.aborted) {
          onFailure(error);
        }
      }
      await sleep(intervalMs, undefined, { signal }).catch(() => {});
    }
  }
}
