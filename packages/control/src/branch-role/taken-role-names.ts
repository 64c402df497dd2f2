import { isMarkOfBranch, roleNameTaken } from '@offshoot/compute';
import type { NamedRole, PageServer } from '@offshoot/pageserver';
import type { Lsn, TenantId, TimelineId } from '@offshoot/types';
import type { ControlPlaneOptions } from '../control-options.js';

/** Where a branch begins, or has come to. */
export interface RolePlace {
  /** The branch, in words for the log. */
  readonly branch: string;
  readonly tenant: TenantId;
  readonly timeline: TimelineId;
  readonly lsn: Lsn;
}

/**
 * Which names of roles a branch's own cannot have, as its pages tell before any compute runs: those that came with the data.
 * They are not made over. Of roles of other branches, which are in it too, it may have any.
 */
export class TakenRoleNames {
  constructor(
    private readonly pageServer: Pick<PageServer, 'timelineOf'>,
    private readonly onTrouble: NonNullable<ControlPlaneOptions['onTrouble']> = () => {},
  ) {}

  /** Throws `role_name_taken`. Where the pages cannot tell, the compute does when it starts. */
  async refuse(place: RolePlace, role: string | undefined): Promise<void> {
    if (role === undefined) return;
    const found = await this.#find(place, role);
    if (found !== undefined && !isMarkOfBranch(found.comment)) throw roleNameTaken(role);
  }

  async #find({ branch, tenant, timeline, lsn }: RolePlace, role: string): Promise<NamedRole | undefined> {
    try {
      return await this.pageServer.timelineOf(tenant, timeline).namedRole(lsn, role);
    } catch (error) {
      this.onTrouble('which roles a branch has could not be read: its compute looks when it starts', {
        branch,
        error,
      });
      return undefined;
    }
  }
}
