import { createHash, timingSafeEqual } from 'node:crypto';
import type { TenantId } from '@offshoot/types';

/** Which tenants a connection may ask for. */
export type TokenScope = 'all-tenants' | { readonly tenant: TenantId };

/** A token that was given out. */
export interface GrantedToken {
  readonly token: string;
  readonly scope: TokenScope;
}

/** The tokens that hold now; asked at each connection, so that a revoked one stops working at once. */
export type TokenProvider = () => Iterable<GrantedToken> | Promise<Iterable<GrantedToken>>;

/**
 * The scope of the token that a client presented, or undefined when nobody gave it out. Every granted token is
 * compared, by digest and in constant time, so that time tells nothing of any of them.
 */
export async function checkToken(
  presented: string,
  provider: TokenProvider,
): Promise<TokenScope | undefined> {
  const digest = digestOf(presented);
  let scope: TokenScope | undefined;
  for (const granted of await provider()) {
    if (timingSafeEqual(digest, digestOf(granted.token))) {
      scope = granted.scope;
    }
  }
  // An empty token is what a client without one sends.
  return presented === '' ? undefined : scope;
}

/** True when a connection of this scope may ask for the tenant. */
export function mayUse(scope: TokenScope, tenant: TenantId): boolean {
  return scope === 'all-tenants' || scope.tenant === tenant;
}

function digestOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
