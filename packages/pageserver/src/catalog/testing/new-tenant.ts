import { parseTenantName, randomTenantId } from '@offshoot/types';
import type { NewTenant } from '../catalog.js';

/** A tenant for a catalog, as an import of a small source would make it. */
export function newTenant(name: string, id = randomTenantId()): NewTenant {
  return {
    id,
    name: parseTenantName(name),
    source: { url: 'postgres://db', systemIdentifier: '7' },
    pgMajor: 15,
    pgVersionNum: 150018,
    walSegmentBytes: 16 * 1024 * 1024,
    blockBytes: 8192,
    dataChecksums: 'off',
    defaultUser: 'postgres',
    defaultDatabase: 'postgres',
    databases: [],
  };
}
