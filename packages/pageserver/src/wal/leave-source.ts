import { asOffshootError } from '@offshoot/types';
import type { TenantRecord } from '../catalog/records.js';
import { dropSlot, dropSlotSql } from '../import/replication-slot.js';
import type { FollowSettings } from './follow-settings.js';

/** What somebody has to remove from the source by hand. */
export interface LeftOnSource {
  readonly slot: string;
  /** Drops the slot. */
  readonly sql: string;
  /** Why it was left. */
  readonly reason: string;
}

/** Drops a tenant's slot, if the source can be reached soon; answers what is left there. Never throws. */
export async function leaveSource(
  { source, tli }: Pick<TenantRecord, 'source' | 'tli'>,
  url: () => Promise<string>,
  settings: FollowSettings,
): Promise<LeftOnSource | undefined> {
  const { slot, systemIdentifier } = source;
  if (slot === undefined) {
    return undefined;
  }
  try {
    await dropSlot(await url(), settings, { name: slot, systemIdentifier, tli }, settings.slotDropTimeoutMs);
    return undefined;
  } catch (thrown) {
    return { slot, sql: dropSlotSql(slot), reason: asOffshootError(thrown).message };
  }
}
