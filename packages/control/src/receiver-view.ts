import type { Receiver, Status } from '@offshoot/client';
import type { ReceiverView } from '@offshoot/pageserver';
import { formatLsn, type Lsn } from '@offshoot/types';

/** A receiver as the management API shows it. */
export function receiverView(seen: ReceiverView): Receiver {
  const { slot } = seen;
  return withoutUndefined({
    state: seen.state,
    since: seen.since.toISOString(),
    reason: seen.reason && { code: seen.reason.code, message: seen.reason.message },
    retry_at: seen.retryAt?.toISOString(),
    received_lsn: lsnText(seen.receivedLsn),
    source_lsn: lsnText(seen.sourceLsn),
    lag_bytes: seen.lagBytes,
    lag_seconds: seen.lagSeconds,
    slot: withoutUndefined({
      name: seen.slotName,
      retained_bytes: slot?.retainedBytes,
      wal_status: slot?.walStatus,
      safe_wal_bytes: slot?.safeWalBytes,
    }),
  });
}

/** The same in short, for the page server's status. */
export function receiverStatus(
  tenant: string,
  seen: ReceiverView,
  slot?: Status['receivers'][number]['slot'],
): Status['receivers'][number] {
  return withoutUndefined({
    tenant,
    state: seen.state,
    lag_bytes: seen.lagBytes,
    lag_seconds: seen.lagSeconds,
    reason: seen.reason?.message,
    slot,
  });
}

function lsnText(lsn: Lsn | undefined): string | undefined {
  return lsn === undefined ? undefined : formatLsn(lsn);
}

type Present<T> = { [Key in keyof T]: Exclude<T[Key], undefined> };

/** What is undefined is left out, as it would be in JSON. */
function withoutUndefined<T extends object>(value: T): Present<T> {
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined)) as Present<T>;
}
