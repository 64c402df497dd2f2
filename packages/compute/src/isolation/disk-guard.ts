import { type TroubleListener, Troubles } from './trouble.js';

/** What is left of the disk that computes' files are on. */
export interface DiskState {
  readonly freeBytes: number;
}

/** A compute that may have to be ended for what it has on the disk. */
export interface DiskUser {
  /** Bytes of its files; takes a walk through them. */
  measure(): Promise<number>;
  exceed(reason: string): void;
}

export interface DiskGuardOptions {
  readonly localBytesMax: number;
  readonly diskFreeBytesMin: number;
  readonly checkMs: number;
  disk(): Promise<DiskState>;
  users(): Iterable<DiskUser>;
  readonly onTrouble?: TroubleListener | undefined;
}

/** Files are measured when the disk has lost so much since they were last measured: a quiet disk costs one call. */
const LOST_BYTES = 256 * 1024 * 1024;

/** A compute with fewer is not ended for the disk's sake. */
const WORTHWHILE_BYTES = 64 * 1024 * 1024;

/**
 * Ends computes that have too many local files, before the disk is full: the page server, and all other branches, write
 * to the same. A compute's files are of no use after it: what was committed is on the page server.
 */
export class DiskGuard {
  readonly #timer: NodeJS.Timeout;
  /** Free bytes when files were measured last; at first they are. */
  #measuredAtFree = Number.POSITIVE_INFINITY;
  #checking = false;
  readonly #troubles: Troubles;

  constructor(private readonly options: DiskGuardOptions) {
    this.#troubles = new Troubles(options.onTrouble);
    this.#timer = setInterval(() => void this.check(), options.checkMs).unref();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /** By the timer, one at a time; never rejects. */
  async check(): Promise<void> {
    if (this.#checking) return;
    this.#checking = true;
    try {
      await this.#check();
      this.#troubles.succeeded('disk');
    } catch (error) {
      // It is asked again.
      const message = 'the disk of the computes cannot be looked at: it is not guarded';
      this.#troubles.failed('disk', message, { error });
    } finally {
      this.#checking = false;
    }
  }

  async #check(): Promise<void> {
    const { diskFreeBytesMin } = this.options;
    const { freeBytes } = await this.options.disk();
    // What was freed since counts from there.
    if (freeBytes > this.#measuredAtFree) this.#measuredAtFree = freeBytes;
    const short = freeBytes < diskFreeBytesMin;
    const lost = this.#measuredAtFree - freeBytes >= Math.min(LOST_BYTES, this.options.localBytesMax / 4);
    if (!short && !lost) return;
    this.#measuredAtFree = freeBytes;
    this.#judge(await this.#measureAll(), freeBytes);
  }

  async #measureAll(): Promise<{ user: DiskUser; bytes: number }[]> {
    const measured: { user: DiskUser; bytes: number }[] = [];
    for (const user of this.options.users()) measured.push({ user, bytes: await user.measure() });
    return measured.sort((a, b) => b.bytes - a.bytes);
  }

  #judge(measured: readonly { user: DiskUser; bytes: number }[], freeBytes: number): void {
    const { localBytesMax, diskFreeBytesMin } = this.options;
    const over = measured.filter(({ bytes }) => bytes > localBytesMax);
    for (const { user, bytes } of over) {
      user.exceed(`its local files took ${bytes} bytes, and may take ${localBytesMax} (localBytesMax)`);
    }
    const [largest] = measured;
    // The end of one that has little would help nobody: then somebody else fills the disk.
    if (
      over.length === 0 &&
      largest !== undefined &&
      largest.bytes >= WORTHWHILE_BYTES &&
      freeBytes < diskFreeBytesMin
    ) {
      largest.user.exceed(
        `the disk had ${freeBytes} bytes free, less than ${diskFreeBytesMin} (diskFreeBytesMin), and of all computes ` +
          `it had the most local files, ${largest.bytes} bytes`,
      );
    }
  }
}
