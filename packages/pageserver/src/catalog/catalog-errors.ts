import { defineErrors } from '@offshoot/types';

/** What the catalog refuses. */
export const catalogError = defineErrors({
  tenant_not_found: {
    kind: 'fix',
    sqlState: '3D000',
    httpStatus: 404,
    action: 'look which tenants there are: pageserver-ctl tenant list',
  },
  branch_not_found: {
    kind: 'fix',
    sqlState: '3D000',
    httpStatus: 404,
    action: 'look which branches there are: pageserver-ctl branch list',
  },
  timeline_not_found: { kind: 'fix', sqlState: '3D000', httpStatus: 404 },
  /** A tenant or a branch has that name; both share one set of names. */
  name_taken: {
    kind: 'fix',
    sqlState: '42710',
    httpStatus: 409,
    action: 'choose another name, or delete what has this one',
  },
  branch_has_children: {
    kind: 'fix',
    sqlState: '2BP01',
    httpStatus: 409,
    action: 'delete the branches that start from it, the youngest first, then this one',
  },
  /** A tenant's first branch goes with the tenant only. */
  branch_is_root: {
    kind: 'fix',
    sqlState: '2BP01',
    httpStatus: 409,
    action: 'delete its tenant if everything of it may go: pageserver-ctl tenant delete NAME',
  },
  branch_protected: {
    kind: 'fix',
    sqlState: '55006',
    httpStatus: 409,
    action: 'if it may go after all: pageserver-ctl branch unprotect NAME; then ask again',
  },
  /** Its time is over, and other branches start from it. */
  branch_expired: {
    kind: 'fix',
    sqlState: '55000',
    httpStatus: 410,
    action: 'give it more time: pageserver-ctl branch expire NAME --in 2h',
  },
  /** It was given more time before it could be deleted. */
  branch_not_expired: { kind: 'retry', sqlState: '55000', httpStatus: 409 },
  /** It was reset, restored or deleted while something else was under way on it. */
  branch_changed: {
    kind: 'retry',
    sqlState: '40001',
    httpStatus: 409,
    action: 'look what has become of it (pageserver-ctl branch show NAME), then send the same request again',
  },
  checkpoint_not_found: {
    kind: 'fix',
    sqlState: '42704',
    httpStatus: 404,
    action: 'look which there are: pageserver-ctl checkpoint list BRANCH',
  },
  checkpoint_exists: {
    kind: 'fix',
    sqlState: '42710',
    httpStatus: 409,
    action: 'choose another name, or delete that one: pageserver-ctl checkpoint delete BRANCH NAME',
  },
  /** As many branches, computes, checkpoints or bytes as there may be. */
  quota_reached: {
    kind: 'fix',
    sqlState: '53400',
    httpStatus: 429,
    action: 'delete what is not needed any more, or raise the limit that the message names',
  },
  /** The tenant is being imported or deleted. */
  tenant_not_active: {
    kind: 'retry',
    sqlState: '55000',
    httpStatus: 409,
    action:
      'wait until the tenant is active (pageserver-ctl tenant show NAME); one that is being deleted is gone soon',
  },
  /** A branch point outside what the parent can be read at. */
  branch_point_out_of_range: {
    kind: 'fix',
    sqlState: '22023',
    httpStatus: 422,
    action: 'choose an LSN between the readable ones: pageserver-ctl tenant show NAME',
  },
  token_not_found: {
    kind: 'fix',
    sqlState: '42704',
    httpStatus: 404,
    action: 'look which tokens there are: pageserver-ctl token list',
  },
  token_exists: {
    kind: 'fix',
    sqlState: '42710',
    httpStatus: 409,
    action: 'choose another name, or revoke the other: pageserver-ctl token revoke NAME',
  },
  tokens_exhausted: {
    kind: 'fix',
    sqlState: '54000',
    httpStatus: 409,
    action:
      'revoke those that nobody uses (pageserver-ctl token list shows the last use), or raise the setting access.tokensMax',
  },
  /** A later Offshoot wrote this catalog. */
  catalog_too_new: { kind: 'alert', sqlState: '0A000', httpStatus: 500 },
  /** The catalog could not be written; what was acknowledged before is intact. */
  catalog_write_failed: { kind: 'alert', sqlState: '58030', httpStatus: 500 },
});

export function branchChanged({ name }: { readonly name: string }) {
  return catalogError('branch_changed', `branch ${name} was reset, restored or deleted meanwhile`);
}
