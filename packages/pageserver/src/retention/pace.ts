import { setTimeout } from 'node:timers/promises';

/** Timers do not wait for less. */
const PAUSE_MS_MIN = 1;

/** Lets work that comes in portions take a share of the time, and no more. */
export class Pace {
  constructor(
    private readonly busyPercentMax: number,
    private readonly signal: AbortSignal,
  ) {}

  /** Does one portion, then waits as long as its share asks for. Rejects with the signal's reason. */
  async portion<T>(work: () => Promise<T>): Promise<T> {
    this.signal.throwIfAborted();
    const began = performance.now();
    const result = await work();
    const pauseMs = (performance.now() - began) * (100 / Math.max(1, this.busyPercentMax) - 1);
    if (pauseMs >= PAUSE_MS_MIN) {
      await setTimeout(pauseMs, undefined, { signal: this.signal, ref: false });
    }
    return result;
  }
}
