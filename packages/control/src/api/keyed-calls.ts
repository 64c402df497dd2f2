import { createHash } from 'node:crypto';
import type { BranchRecord, IdempotencyRecord, NewIdempotencyKey } from '@offshoot/pageserver';
import type { Caller } from '../access/caller.js';
import { controlError } from '../control-errors.js';
import type { ControlPlane } from '../control-plane.js';
import type { SentKey } from './idempotency-key.js';

/** What is written of a call's key in the transaction of what it asks for, but for the answer; its text is nowhere. */
export interface CallKey extends Omit<NewIdempotencyKey, 'answer' | 'passwordNonce'> {
  readonly text: string;
}

/** What was done under a key, and the branch while it is there. */
export interface KnownCall {
  readonly record: IdempotencyRecord;
  readonly branch: BranchRecord | undefined;
  /** The key, as it was sent. */
  readonly text: string;
}

interface Running {
  readonly requestHash: string;
  readonly answer: Promise<unknown>;
}

/**
 * Does what is asked for under a key once: the same call again is answered from what the catalog has of the first, and
 * waits for one that is under way. A call that failed leaves nothing behind.
 */
export class KeyedCalls {
  readonly #running = new Map<string, Running>();

  constructor(private readonly control: Pick<ControlPlane, 'access' | 'madeUnder'>) {}

  /** Whether the caller has made a call under the key before. */
  knows(caller: Caller, text: string): boolean {
    const key = digestOf(caller, text);
    return this.#running.has(key) || this.control.madeUnder(key) !== undefined;
  }

  /** `first` has the key written with what it does. Throws `idempotency_key_reused`, and what the two throw. */
  async once<T>(
    caller: Caller,
    { text, requestHash }: SentKey,
    calls: { first(key: CallKey): T | Promise<T>; again(known: KnownCall): T | Promise<T> },
  ): Promise<{ answer: T; replayed: boolean }> {
    const key = digestOf(caller, text);
    const running = this.#running.get(key);
    if (running !== undefined) {
      refuseOther(running, requestHash);
      return { answer: (await running.answer) as T, replayed: true };
    }
    const known = this.control.madeUnder(key);
    if (known !== undefined) {
      refuseOther(known.record, requestHash);
      return { answer: await calls.again({ ...known, text }), replayed: true };
    }
    const { idempotencyKeyMs, idempotencyKeysMax: keysMax } = this.control.access;
    const expiresAt = new Date(Date.now() + idempotencyKeyMs).toISOString();
    const answer = (async () => calls.first({ key, text, requestHash, expiresAt, keysMax }))();
    this.#running.set(key, { requestHash, answer });
    try {
      return { answer: await answer, replayed: false };
    } finally {
      this.#running.delete(key);
    }
  }
}

/** What is written of a key with what is done under it. */
export function writtenKey({ text: _, ...key }: CallKey): Omit<CallKey, 'text'> {
  return key;
}

/** Throws `idempotency_key_spent`. */
export function branchOfKey({ branch }: KnownCall): BranchRecord {
  if (branch !== undefined) return branch;
  throw controlError(
    'idempotency_key_spent',
    'the branch that was made or changed under this Idempotency-Key is gone',
  );
}

/** Of a key and of whose it is. */
function digestOf({ actor }: Caller, text: string): string {
  return createHash('sha256').update(`${actor.token}\n${text}`).digest('hex');
}

function refuseOther(before: { readonly requestHash: string }, requestHash: string): void {
  if (before.requestHash === requestHash) return;
  throw controlError('idempotency_key_reused', 'this Idempotency-Key was sent with another request before');
}
