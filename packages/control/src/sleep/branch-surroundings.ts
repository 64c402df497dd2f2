import type { ComputeDriver, ComputeEnd, ComputeSpec } from '@offshoot/compute';
import type { BranchId, BranchRecord, BranchUse } from '@offshoot/pageserver';
import type { Lsn } from '@offshoot/types';
import type { Clock } from './clock.js';
import type { ComputeCounters } from './compute-counters.js';
import type { ComputeRoom } from './compute-room.js';
import type { WakeObserver } from './wake-observer.js';
import type { WakeSettings } from './wake-settings.js';

/** What has to be known of a branch. Its id: a name may be given to another branch. */
export type BranchKey = Pick<BranchRecord, 'id' | 'name' | 'tenant' | 'use'>;

/** What the computes of all branches share. */
export interface BranchSurroundings {
  readonly driver: ComputeDriver;
  readonly room: ComputeRoom;
  readonly clock: Clock;
  readonly settings: WakeSettings;
  readonly counters: ComputeCounters;
  readonly observer: WakeObserver;
  /** Asked when it is a start's turn; rejects when there can be no compute any more. */
  specOf(branch: BranchId): Promise<ComputeSpec>;
  /** How far the branch has come; undefined: not further than its compute, which writes it. */
  newestLsn(branch: BranchId): Lsn | undefined;
  /** As it is chosen now; 0: never. */
  idleTimeoutSeconds(branch: BranchId): number;
  /** A compute has started with these roles, or was told of them. Never rejects. */
  recordRoles(
    branch: BranchId,
    spec: Pick<ComputeSpec, 'roles' | 'durability' | 'timelineId'>,
  ): Promise<void>;
  /** Never rejects. */
  recordUse(branch: BranchId, use: BranchUse): Promise<void>;
  /** For the event log. */
  tell(
    event: 'woken' | 'slept' | 'crashed',
    branch: BranchId,
    facts: Readonly<Record<string, string | number>>,
  ): void;
  onCrash(branch: string, end: ComputeEnd): void;
  /** It cannot be asked whether there is work, and so is not put to sleep. */
  onUnanswered(branch: string, error: unknown): void;
  /** Nothing is left to know of it. */
  onGone(branch: BranchId): void;
}
