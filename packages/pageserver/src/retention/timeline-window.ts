import type { Lsn } from '@offshoot/types';

/** Where reading begins of a timeline of which only single LSNs can be read, now and later: nowhere. */
export const CLOSED = 0xffff_ffff_ffff_ffffn as Lsn;

/**
 * Where a timeline can be read: every LSN from one on, and single ones before it. All is decided without a pause, so that
 * an LSN which somebody takes hold of is either kept from then on, or refused.
 */
export class TimelineWindow {
  #readableFrom: Lsn;
  #kept: ReadonlySet<Lsn> = new Set();
  readonly #pins = new Map<Lsn, number>();

  constructor(readableFrom: Lsn) {
    this.#readableFrom = readableFrom;
  }

  get readableFrom(): Lsn {
    return this.#readableFrom;
  }

  /** What can be read before that. */
  get kept(): ReadonlySet<Lsn> {
    return this.#kept;
  }

  covers(lsn: Lsn): boolean {
    return lsn >= this.#readableFrom || this.#kept.has(lsn);
  }

  /** Keeps an LSN until it is disposed of; undefined when it cannot be read any more. */
  pin(lsn: Lsn): Disposable | undefined {
    return this.covers(lsn) ? this.hold(lsn) : undefined;
  }

  /** The same for one of which it is known that it was never given up. */
  hold(lsn: Lsn): Disposable {
    this.#pins.set(lsn, (this.#pins.get(lsn) ?? 0) + 1);
    let held = true;
    return {
      [Symbol.dispose]: () => {
        if (!held) return;
        held = false;
        const others = (this.#pins.get(lsn) ?? 1) - 1;
        if (others === 0) this.#pins.delete(lsn);
        else this.#pins.set(lsn, others);
      },
    };
  }

  /** LSNs that somebody keeps in this moment. */
  pinned(): Iterable<Lsn> {
    return this.#pins.keys();
  }

  /** Nothing else can be read from now on. */
  narrow(readableFrom: Lsn, kept: ReadonlySet<Lsn>): void {
    this.#readableFrom = readableFrom;
    this.#kept = kept;
  }
}
