import type { ComputeAddress } from './branch-host.js';

/** How a session's compute knows it. */
export interface ComputeKey {
  readonly address: ComputeAddress;
  readonly processId: number;
  readonly secret: Uint8Array;
}

export type RandomBytes = (count: number) => Buffer;

/**
 * Which key of ours stands for which compute's. The process id stays as it is, since clients compare it with those
 * that `pg_backend_pid()` and notifications give; the secret is ours: computes may give the same pair.
 */
export class CancelKeys {
  readonly #keys = new Map<string, ComputeKey>();

  constructor(private readonly randomBytes: RandomBytes) {}

  get size(): number {
    return this.#keys.size;
  }

  /** A secret of the same length that, with the process id, belongs to no other connection. */
  add(key: ComputeKey): { secret: Buffer; remove: () => void } {
    for (;;) {
      const secret = this.randomBytes(key.secret.length);
      const name = nameOf(key.processId, secret);
      if (!this.#keys.has(name)) {
        this.#keys.set(name, { ...key, secret: Buffer.from(key.secret) });
        return { secret, remove: () => this.#keys.delete(name) };
      }
    }
  }

  find(processId: number, secret: Uint8Array): ComputeKey | undefined {
    return this.#keys.get(nameOf(processId, secret));
  }
}

function nameOf(processId: number, secret: Uint8Array): string {
  return `${processId}/${Buffer.from(secret).toString('hex')}`;
}
