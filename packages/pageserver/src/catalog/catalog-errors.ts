import { defineErrors } from '@offshoot/types';

/** What the catalog refuses. */
export const catalogError = defineErrors({
  tenant_not_found: { kind: 'fix', sqlState: '3D000', httpStatus: 404 },
  branch_not_found: { kind: 'fix', sqlState: '3D000', httpStatus: 404 },
  timeline_not_found: { kind: 'fix', sqlState: '3D000', httpStatus: 404 },
  /** A tenant or a branch has that name; both share one set of names. */
  name_taken: { kind: 'fix', sqlState: '42710', httpStatus: 409 },
  branch_has_children: { kind: 'fix', sqlState: '2BP01', httpStatus: 409 },
  /** A tenant's first branch goes with the tenant only. */
  branch_is_root: { kind: 'fix', sqlState: '2BP01', httpStatus: 409 },
  /** The tenant is being imported or deleted. */
  tenant_not_active: { kind: 'retry', sqlState: '55000', httpStatus: 409 },
  /** A branch point outside what the parent can be read at. */
  branch_point_out_of_range: { kind: 'fix', sqlState: '22023', httpStatus: 422 },
  /** A later Offshoot wrote this catalog. */
  catalog_too_new: { kind: 'alert', sqlState: '0A000', httpStatus: 500 },
  /** The catalog could not be written; what was acknowledged before is intact. */
  catalog_write_failed: { kind: 'alert', sqlState: '58030', httpStatus: 500 },
});
