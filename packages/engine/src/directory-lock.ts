import type { LockHandle } from '../native.js';
import { nativeAddon } from './native-addon.js';
import { calling } from './native-errors.js';

/** A data directory held by this process alone, until `release` or the process' end, however it ends. */
export class DirectoryLock {
  readonly #native: LockHandle;

  private constructor(native: LockHandle) {
    this.#native = native;
  }

  /** Locks `dir`, which must exist. Throws `directory_locked` when another process holds it. */
  static take(dir: string): DirectoryLock {
    return new DirectoryLock(calling(() => nativeAddon().lockDirectory(dir)));
  }

  /** A second call does nothing. */
  release(): void {
    calling(() => this.#native.release());
  }
}
