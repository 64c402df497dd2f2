/** Bounds of bytes that are being made or waiting to be written. */
export interface FlightLimits {
  readonly perConnectionMax: number;
  readonly totalMax: number;
}

/**
 * Bytes in flight of all connections. Nobody ever waits for another connection's bytes: when the total is used up, a
 * connection that has nothing in flight may still have one request or chunk, so a slow reader stalls only itself.
 */
export class FlightBudget {
  #held = 0;

  constructor(readonly limits: FlightLimits) {}

  get held(): number {
    return this.#held;
  }

  account(): FlightAccount {
    return new FlightAccount(this, (bytes) => {
      this.#held += bytes;
    });
  }
}

/** One connection's part of the budget. */
export class FlightAccount {
  #held = 0;

  constructor(
    readonly budget: FlightBudget,
    readonly addToTotal: (bytes: number) => void,
  ) {}

  get held(): number {
    return this.#held;
  }

  /**
   * How many bytes may be added now; 0 means to wait until some of this connection's own are gone. A remainder too
   * small to be worth a call of the engine counts as nothing.
   */
  allowance(): number {
    const { perConnectionMax, totalMax } = this.budget.limits;
    const free = Math.min(perConnectionMax - this.#held, totalMax - this.budget.held);
    if (this.#held === 0) {
      return Math.max(1, free);
    }
    return free < perConnectionMax / 4 ? 0 : free;
  }

  hold(bytes: number): void {
    this.#held += bytes;
    this.addToTotal(bytes);
  }

  release(bytes: number): void {
    this.hold(-bytes);
  }
}
