import { setTimeout } from 'node:timers/promises';
import { OffshootError } from '@offshoot/types';
import type { RootDatabase } from 'lmdb';
import { catalogError } from './catalog-errors.js';

/**
 * Runs `change` in one durable transaction. When `change` throws, none of its writes stay and the error is the
 * caller's; a commit that fails (a full disk) rejects with `catalog_write_failed`.
 */
export async function inOneTransaction<T>(root: RootDatabase, change: () => T): Promise<T> {
  try {
    // A plain lmdb transaction keeps the writes made before a throw; a child transaction takes them back.
    return await root.childTransaction(change);
  } catch (thrown) {
    if (thrown instanceof OffshootError) {
      throw thrown;
    }
    const cause = await commitError(thrown);
    throw catalogError('catalog_write_failed', `the catalog could not be written: ${cause.message}`, {
      cause,
    });
  }
}

/** lmdb may have handed out its stand-in and never say more. */
const REASON_WAIT_MS = 1000;

/** lmdb rejects with a stand-in error that carries a promise, which rejects with the reason. */
async function commitError(thrown: unknown): Promise<Error> {
  const error = thrown instanceof Error ? thrown : new Error(String(thrown));
  const { commitError: reason } = error as { commitError?: Promise<never> };
  const given = reason?.catch((why: unknown) => (why instanceof Error ? why : error));
  return await Promise.race([given ?? error, setTimeout(REASON_WAIT_MS, error, { ref: false })]);
}
