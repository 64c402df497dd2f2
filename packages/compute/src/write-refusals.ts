import type { LimitsFile, WriteRefusal } from './limits-file.js';

/**
 * Whether a compute refuses to write, as it is said from outside. What the daemon itself has to change there, the branch's
 * role say, it may: a password could not be taken back otherwise, and a branch past its quota not be started.
 */
export class WriteRefusals {
  #file: LimitsFile | undefined;
  #refusal: WriteRefusal | undefined;
  /** Changes of our own under way. */
  #own = 0;

  constructor(refusal: WriteRefusal | undefined) {
    this.#refusal = refusal;
  }

  /** Of the compute; it refuses nothing yet. */
  open(file: LimitsFile): void {
    this.#file = file;
    this.#apply();
  }

  set(refusal: WriteRefusal | undefined): void {
    this.#refusal = refusal;
    this.#apply();
  }

  /** What is done meanwhile is not refused, whoever does it. */
  async exempt<T>(work: () => Promise<T>): Promise<T> {
    this.#own += 1;
    this.#apply();
    try {
      return await work();
    } finally {
      this.#own -= 1;
      this.#apply();
    }
  }

  /** What sessions are told that end because the compute is shut down. */
  farewell(message: string): void {
    this.#file?.farewell(message);
  }

  close(): void {
    this.#file?.close();
    this.#file = undefined;
  }

  #apply(): void {
    this.#file?.change(this.#own > 0 ? undefined : this.#refusal);
  }
}
