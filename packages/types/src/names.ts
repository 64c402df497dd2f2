import { baseError } from './base-errors.js';

declare const brand: unique symbol;

/** The user's name for a timeline. */
export type BranchName = string & { readonly [brand]: 'BranchName' };

/** The user's name for a tenant. */
export type TenantName = string & { readonly [brand]: 'TenantName' };

/**
 * What new databases start from: a tenant that the page server makes itself, and that tenant's first branch. Nobody else
 * may use the name.
 */
export const TEMPLATE_NAME = 'template0' as BranchName & TenantName;

/** 1 to 63 of a-z, 0-9, `.`, `_`, `-`; starts with a letter or digit. Throws `invalid_argument`. */
export function parseBranchName(text: string): BranchName {
  return parseName('branch', text) as BranchName;
}

/** The same form as a branch's name. Throws `invalid_argument`. */
export function parseTenantName(text: string): TenantName {
  return parseName('tenant', text) as TenantName;
}

function parseName(what: string, text: string): string {
  if (!/^[a-z0-9][a-z0-9._-]{0,62}$/.test(text)) {
    const form = '1 to 63 of a-z, 0-9, ".", "_" and "-", starting with a letter or digit';
    throw baseError('invalid_argument', `${JSON.stringify(text)} cannot name a ${what}: it takes ${form}`);
  }
  return text;
}
