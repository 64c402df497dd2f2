const CAPACITY_MIN_BYTES = 4096;

/**
 * Bytes received and not yet consumed, always in one piece. Consuming never moves bytes, and appending never
 * overwrites any, so a slice that was taken stays as it is for as long as someone holds it.
 */
export class InputBuffer {
  /** The bytes in wait are `bytes[start]` to `bytes[end - 1]`; what lies outside belongs to nobody. */
  bytes: Uint8Array = new Uint8Array(0);
  start = 0;
  end = 0;

  /** How many bytes are waiting. */
  get length(): number {
    return this.end - this.start;
  }

  /** Adds bytes. The chunk is adopted, not copied, when nothing is waiting: the caller gives it up. */
  append(chunk: Uint8Array): void {
    if (this.start === this.end) {
      this.bytes = chunk;
      this.start = 0;
      this.end = chunk.length;
      return;
    }
    if (this.#adopted() || this.end + chunk.length > this.bytes.length) {
      this.#grow(chunk.length);
    }
    this.bytes.set(chunk, this.end);
    this.end += chunk.length;
  }

  /** The next `count` bytes, consumed, not copied. `count` must not exceed `length`. */
  take(count: number): Uint8Array {
    const from = this.start;
    this.skip(count);
    return this.bytes.subarray(from, from + count);
  }

  /** Consumes `count` bytes. */
  skip(count: number): void {
    if (count < 0 || count > this.length) {
      throw new RangeError(`${count} bytes were asked for, ${this.length} are waiting`);
    }
    this.start += count;
  }

  /** An adopted chunk ends where its bytes end; there is never room behind them that is ours. */
  #adopted(): boolean {
    return this.end === this.bytes.length;
  }

  #grow(by: number): void {
    const length = this.length;
    const grown = new Uint8Array(Math.max(CAPACITY_MIN_BYTES, 2 * (length + by)));
    grown.set(this.bytes.subarray(this.start, this.end));
    this.bytes = grown;
    this.start = 0;
    this.end = length;
  }
}
