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
export async function newRole(
  branch: string,
  { name, rights = 'owner' }: RoleRequest,
  password = randomPassword(),
): Promise<NewRole> {
  const roleName = name === undefined ? roleNameFor(branch) : parseRoleName(name);
  return withPassword({ name: roleName, rights }, password);
}

export function withNewPassword(role: Pick<BranchRoleRecord, 'name' | 'rights'>): Promise<NewRole> {
  return withPassword(role, randomPassword());
}

async function withPassword(
  { name, rights }: Pick<BranchRoleRecord, 'name' | 'rights'>,
  password: string,
): Promise<NewRole> {
  return { role: { name, rights, verifier: await scramVerifier(password) }, password };
}

function randomPassword(): string {
  return randomBytes(PASSWORD_BYTES).toString('base64url');
}
