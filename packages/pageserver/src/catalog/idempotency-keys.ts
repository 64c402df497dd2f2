import type { CatalogTables } from './catalog-tables.js';
import type { BranchRecord, IdempotencyRecord } from './records.js';

/** A key that something is done under, as whoever does it gives it: written in the same transaction. */
export interface NewIdempotencyKey extends Omit<IdempotencyRecord, 'branch' | 'passwordSetAt'> {
  /** So many keys are known, the newest; this one included. */
  readonly keysMax: number;
}

/** The same where only the transaction knows what the answer says. */
export interface NewKeyOf<T> extends Omit<NewIdempotencyKey, 'answer'> {
  readonly answer: (done: T) => string;
}

/** Removed with one that comes; there may be many when the setting was lowered. */
const REMOVED_MAX = 100;

/** Runs inside a transaction: what is done to the branch and its key are there together, or neither is. */
export function putIdempotencyKey(
  tables: Pick<CatalogTables, 'idempotencyKeys' | 'idempotencyExpiries'>,
  { keysMax, ...key }: NewIdempotencyKey,
  branch: BranchRecord,
  now: Date,
): void {
  const { idempotencyKeys, idempotencyExpiries } = tables;
  const passwordSetAt = key.passwordNonce === undefined ? undefined : branch.role?.passwordSetAt;
  const former = idempotencyKeys.get(key.key);
  if (former !== undefined) idempotencyExpiries.remove([former.expiresAt, key.key]);
  const record = { ...key, branch: branch.id, ...(passwordSetAt === undefined ? {} : { passwordSetAt }) };
  idempotencyKeys.put(key.key, record);
  idempotencyExpiries.put([key.expiresAt, key.key], branch.name);
  const { entryCount } = idempotencyKeys.getStats() as Record<string, number>;
  let tooMany = (entryCount ?? 0) - keysMax;
  for (const { key: expiry } of [...idempotencyExpiries.getRange({ limit: REMOVED_MAX })]) {
    if (expiry[0] > now.toISOString() && tooMany <= 0) break;
    idempotencyExpiries.remove(expiry);
    idempotencyKeys.remove(expiry[1]);
    tooMany -= 1;
  }
}
