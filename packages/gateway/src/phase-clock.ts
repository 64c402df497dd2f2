import type { ConnectPhase, ConnectTimings } from './gateway-observer.js';

/** Which phase of its way a connection is in, and how long the earlier ones took. */
export class PhaseClock {
  readonly #now: () => number;
  readonly #started: number;
  readonly #timings: Record<ConnectPhase, number> = {
    parse: 0,
    park: 0,
    connect: 0,
    startup: 0,
    hand_over: 0,
  };
  #phase: ConnectPhase = 'parse';
  #began: number;

  /** The first phase begins. */
  constructor(now: () => number) {
    this.#now = now;
    this.#started = now();
    this.#began = this.#started;
  }

  get phase(): ConnectPhase {
    return this.#phase;
  }

  get sinceStartMs(): number {
    return this.#now() - this.#started;
  }

  begin(phase: ConnectPhase): void {
    const now = this.#now();
    this.#timings[this.#phase] += now - this.#began;
    this.#phase = phase;
    this.#began = now;
  }

  /** Ends the last phase. */
  end(): ConnectTimings {
    this.begin(this.#phase);
    return { ...this.#timings };
  }
}
