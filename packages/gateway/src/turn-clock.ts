export type Turn = 'client' | 'compute';

export interface TurnClockOptions {
  readonly now: () => number;
  /** What each may take in all. */
  readonly budgetsMs: Readonly<Record<Turn, number>>;
  /** Somebody's time is up. */
  readonly onOver: (turn: Turn) => void;
}

/** Two clocks of which one runs at a time, as in chess: what one of them wastes is not taken from the other. */
export class TurnClock {
  readonly #options: TurnClockOptions;
  readonly #leftMs: Record<Turn, number>;
  #turn: Turn = 'compute';
  #since: number;
  #timer: NodeJS.Timeout | undefined;

  /** The compute's clock runs from here on. */
  constructor(options: TurnClockOptions) {
    this.#options = options;
    this.#leftMs = { ...options.budgetsMs };
    this.#since = options.now();
    this.#arm();
  }

  pass(turn: Turn): void {
    if (turn === this.#turn || this.#timer === undefined) {
      return;
    }
    const now = this.#options.now();
    this.#leftMs[this.#turn] -= now - this.#since;
    this.#turn = turn;
    this.#since = now;
    this.#arm();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #arm(): void {
    const turn = this.#turn;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#options.onOver(turn), Math.max(0, this.#leftMs[turn]));
  }
}
