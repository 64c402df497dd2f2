import type { Clock } from './sleep/clock.js';

/** What a loop of looks is made of. */
export interface LookLoopPlace {
  readonly clock: Clock;
  /** Until the next look when one has failed. */
  readonly checkMs: number;
  look(): Promise<void>;
  /** After a look; undefined: not until it is stirred. */
  nextLookMs(): number | undefined;
  onTrouble(error: unknown): void;
}

/** Looks for what is due, one look at a time: when it is stirred, and when the look before has said. */
export class LookLoop {
  #callOff: (() => void) | undefined;
  #looking: Promise<void> | undefined;
  #again = false;
  #closed = false;

  constructor(private readonly place: LookLoopPlace) {}

  get isClosed(): boolean {
    return this.#closed;
  }

  /** Something may be due, or due sooner. */
  stir(): void {
    if (this.#closed) return;
    this.#again = true;
    this.#looking ??= this.#look()
      .then(() => this.place.nextLookMs())
      .catch((error: unknown) => {
        this.place.onTrouble(error);
        return this.place.checkMs;
      })
      .then((waitMs) => {
        this.#looking = undefined;
        if (this.#again || waitMs === 0) this.stir();
        else if (waitMs !== undefined && !this.#closed) {
          this.#callOff = this.place.clock.after(waitMs, () => this.stir());
        }
      });
  }

  /** Waits for what is under way. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#callOff?.();
    await this.#looking;
  }

  async #look(): Promise<void> {
    this.#callOff?.();
    this.#callOff = undefined;
    this.#again = false;
    await this.place.look();
  }
}
