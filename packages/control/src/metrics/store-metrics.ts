import type { PageServer, TenantRecord } from '@offshoot/pageserver';
import type { Family, MetricGroup, Sample } from './metrics.js';

const STATES: readonly TenantRecord['state'][] = ['importing', 'active', 'deleting', 'failed'];

const families = {
  offshoot_store_used_bytes: { kind: 'gauge', help: "Bytes of a tenant's store in use", labels: ['tenant'] },
  offshoot_store_file_bytes: {
    kind: 'gauge',
    help: "Bytes of the store's file, room that is free in it included",
    labels: ['tenant'],
  },
  offshoot_store_free_bytes: {
    kind: 'gauge',
    help: 'Room in the file that deletions have left, and its list',
    labels: ['tenant'],
  },
  offshoot_store_map_bytes: { kind: 'gauge', help: "Bytes of the store's map", labels: ['tenant'] },
  offshoot_store_page_versions: {
    kind: 'gauge',
    help: 'Page versions stored one by one',
    labels: ['tenant'],
  },
  offshoot_store_extents: { kind: 'gauge', help: 'Runs of pages stored as one', labels: ['tenant'] },
  offshoot_catalog_free_bytes: { kind: 'gauge', help: "Room in the catalog's file that is free" },
  offshoot_catalog_used_bytes: { kind: 'gauge', help: 'Bytes of the catalog in use' },
  offshoot_tenants: { kind: 'gauge', help: 'Tenants by their state in the catalog', labels: ['state'] },
  offshoot_branches: { kind: 'gauge', help: 'Branches of all tenants' },
} satisfies Record<string, Family>;

/** What is stored. Of tenants whose store is open. */
export function storeMetrics(pageServer: PageServer): MetricGroup<keyof typeof families> {
  return {
    name: 'stores',
    families,
    read: async () => {
      const { catalogBytes, tenants: stats } = await pageServer.stats();
      const tenants = pageServer.catalog.tenants();
      const ofEach = (value: (of: NonNullable<ReturnType<typeof stats.get>>) => number): Sample[] =>
        tenants.flatMap(({ id, name }) => {
          const of = stats.get(id);
          return of === undefined ? [] : [{ labels: { tenant: name }, value: value(of) }];
        });
      return {
        offshoot_store_used_bytes: ofEach(({ usedBytes }) => usedBytes),
        offshoot_store_file_bytes: ofEach(({ fileBytes }) => fileBytes),
        offshoot_store_free_bytes: ofEach(({ fileBytes, usedBytes }) => Math.max(0, fileBytes - usedBytes)),
        offshoot_store_map_bytes: ofEach(({ mapBytes }) => mapBytes),
        offshoot_store_page_versions: ofEach(({ versions }) => versions),
        offshoot_store_extents: ofEach(({ extents }) => extents),
        offshoot_catalog_free_bytes: [{ value: pageServer.catalog.freeBytes() }],
        offshoot_catalog_used_bytes: [{ value: catalogBytes }],
        offshoot_tenants: STATES.map((state) => ({
          labels: { state },
          value: tenants.filter((tenant) => tenant.state === state).length,
        })),
        offshoot_branches: [{ value: pageServer.catalog.branchCount() }],
      };
    },
  };
}
