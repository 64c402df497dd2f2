import type { Tenant } from '@offshoot/client';

/** What to know about pages of which an import cannot be certain, or nothing. */
export function warningOfUnsupported({ unsupported_records: records }: Tenant): string | undefined {
  if (records.length === 0) return undefined;
  const count = records.reduce((sum, record) => sum + record.count, 0);
  const names = records.map((record) => `${record.name} (${record.count})`).join(', ');
  return (
    `warning: ${count} pages are uncertain: a database was copied by its files while the source was imported: ${names}.\n` +
    'Queries that need one of them fail with an I/O error; should that be a catalog, no connection to that copy succeeds.\n' +
    'Delete the tenant and import it again in a quiet moment.'
  );
}
