import { randomBytes } from 'node:crypto';
import type { RoleRequest } from '@offshoot/client';
import type { BranchRoleRecord } from '@offshoot/pageserver';
import { parseRoleName, roleNameFor } from './role-name.js';
import { scramVerifier } from './scram-verifier.js';

/** A role as it is written down, and the password that is not. */
export interface NewRole {
  readonly role: Omit<BranchRoleRecord, 'passwordSetAt'>;
  readonly password: string;
}

/** Written in base64url, which every URL takes as it is. */
const PASSWORD_BYTES = 24;

/** Throws `invalid_argument`. */
export async function newRole(branch: string, { name, rights = 'owner' }: RoleRequest): Promise<NewRole> {
  const roleName = name === undefined ? roleNameFor(branch) : parseRoleName(name);
  return withNewPassword({ name: roleName, rights });
}

export async function withNewPassword({
  name,
  rights,
}: Pick<BranchRoleRecord, 'name' | 'rights'>): Promise<NewRole> {
  const password = randomBytes(PASSWORD_BYTES).toString('base64url');
  return { role: { name, rights, verifier: await scramVerifier(password) }, password };
}
