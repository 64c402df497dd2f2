import type { BranchId, BranchRecord } from '@offshoot/pageserver';
import type { RoleKeeper } from './branch-role/role-keeper.js';
import type { ComputeSpecs } from './compute-spec.js';
import type { ControlPlaneOptions } from './control-options.js';
import type { BranchEvents } from './events/branch-events.js';
import type { BranchSurroundings } from './sleep/branch-surroundings.js';
import type { Clock } from './sleep/clock.js';
import { ComputeCounters } from './sleep/compute-counters.js';
import type { ComputeRoom } from './sleep/compute-room.js';
import type { WakeObserver } from './sleep/wake-observer.js';
import type { WakeSettings } from './sleep/wake-settings.js';

/** Of what the computes' surroundings are made. */
export interface SurroundingParts {
  readonly options: ControlPlaneOptions;
  readonly clock: Clock;
  readonly room: ComputeRoom;
  readonly wake: WakeSettings;
  readonly specs: ComputeSpecs;
  readonly events: BranchEvents;
  readonly observer: WakeObserver;
  roles(): RoleKeeper;
  idleTimeoutSeconds(branch: BranchRecord | undefined): number;
  expectUsable(branch: BranchRecord | undefined): void;
}

/** What the computes of all branches share. */
export function surroundingsOf(parts: SurroundingParts): Omit<BranchSurroundings, 'onGone'> {
  const { clock, room, wake, specs, events, observer, roles, idleTimeoutSeconds, expectUsable } = parts;
  const { driver, pageServer, onComputeCrash, onTrouble } = parts.options;
  const { catalog } = pageServer;
  const trouble = (id: BranchId, message: string) => (error: unknown) => {
    const branch = catalog.findBranch(id);
    if (branch !== undefined) onTrouble?.(message, { branch: branch.name, error });
  };
  return {
    driver,
    room,
    clock,
    settings: wake,
    counters: new ComputeCounters(),
    observer,
    specOf: async (id) => {
      expectUsable(catalog.findBranch(id));
      return specs.of(id);
    },
    newestLsn: (id) => specs.newestLsn(id),
    idleTimeoutSeconds: (id) => idleTimeoutSeconds(catalog.findBranch(id)),
    recordRoles: (id, spec) =>
      roles().noteApplied(id, spec).catch(trouble(id, 'that a branch has its role was not written down')),
    recordUse: async (id, use) => {
      if (catalog.findBranch(id) === undefined) return;
      await catalog.recordUse(id, use).catch(trouble(id, 'the use of a branch was not written down'));
    },
    tell: (event, id, facts) => events.tellOf(event, id, facts),
    onCrash: onComputeCrash,
    onUnanswered: (branch, error) =>
      onTrouble?.('a compute does not say whether there is work, and is not put to sleep', {
        branch,
        error,
      }),
  };
}
