import type { Tenant } from '@offshoot/client';

/** What to know about pages that a busy source changed while it was imported, or nothing. */
export function warningOfUnsupported({ unsupported_records: records }: Tenant): string | undefined {
  if (records.length === 0) return undefined;
  const count = records.reduce((sum, record) => sum + record.count, 0);
  const names = records.map((record) => `${record.name} (${record.count})`).join(', ');
  return (
    `warning: the source wrote ${count} WAL records during the import that cannot be applied yet: ${names}.\n` +
    'Queries that need a page of theirs fail with an I/O error; should that be a catalog, no connection succeeds.\n' +
    'Delete the tenant and import it again in a quiet moment.'
  );
}
