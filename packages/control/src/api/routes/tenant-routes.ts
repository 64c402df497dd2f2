import {
  importTenantRequest,
  operation,
  operationList,
  tenant,
  tenantList,
  updateTenantRequest,
} from '@offshoot/client';
import type { Actor } from '@offshoot/pageserver';
import type { Caller } from '../../access/caller.js';
import { changing, ofTenant, withBody } from '../error-groups.js';
import { type Route, route } from '../route.js';
import { operationPath, tenantPath } from './parameters.js';

/** Whose operations those must be that the caller is shown; undefined: anybody's. */
function ownerOf({ scope, actor }: Caller): Actor | undefined {
  return scope === 'branch' ? actor : undefined;
}

/** Tenants, and the long operations that make them. */
export const tenantRoutes: readonly Route[] = [
  route({
    method: 'GET',
    path: '/v1/tenants',
    id: 'listTenants',
    tag: 'Tenants',
    summary: 'All tenants',
    scopes: ['read'],
    responses: { 200: { description: 'The tenants.', schema: tenantList } },
    errors: [],
    work: async ({ place }) => ({ tenants: await place.control.tenants() }),
  }),
  route({
    method: 'POST',
    path: '/v1/tenants',
    id: 'importTenant',
    tag: 'Tenants',
    summary: 'Import a Postgres cluster',
    description:
      'Answers at once with an operation; GET it to see how far it is, DELETE it to cancel. The tenant gets a branch of ' +
      'its own name, which is the history of the source.',
    scopes: [],
    bodySchema: importTenantRequest,
    responses: { 202: { description: 'The import has begun.', schema: operation } },
    errors: [...withBody, ...changing, 'name_taken', 'source_url_invalid', 'too_many_imports'],
    work: ({ place, body }) => place.control.importTenant(body),
  }),
  route({
    method: 'GET',
    path: '/v1/tenants/{name}',
    id: 'getTenant',
    tag: 'Tenants',
    summary: 'One tenant',
    scopes: ['read'],
    pathSchema: tenantPath,
    responses: { 200: { description: 'The tenant.', schema: tenant } },
    errors: [...ofTenant],
    work: ({ place, path }) => place.control.tenant(path.name),
  }),
  route({
    method: 'PATCH',
    path: '/v1/tenants/{name}',
    id: 'updateTenant',
    tag: 'Tenants',
    summary: 'Change what history is kept of a tenant',
    description:
      'Holds from the next round of garbage collection on. What a shorter history does not keep is gone with it; branches ' +
      'and checkpoints stay what they are.',
    scopes: [],
    pathSchema: tenantPath,
    bodySchema: updateTenantRequest,
    responses: { 200: { description: 'The tenant as it is now.', schema: tenant } },
    errors: [...withBody, ...changing, ...ofTenant],
    work: ({ place, path, body }) => place.control.updateTenant(path.name, body),
  }),
  route({
    method: 'POST',
    path: '/v1/tenants/{name}/gc',
    id: 'collectGarbage',
    tag: 'Tenants',
    summary: 'Remove now what nobody can read any more',
    description:
      'Answers at once with an operation, the one under way if there is one; `garbage` of the tenant tells what was removed.',
    scopes: [],
    pathSchema: tenantPath,
    responses: { 202: { description: 'The round has begun, or is under way.', schema: operation } },
    errors: [...changing, ...ofTenant],
    work: ({ place, path }) => place.control.collectGarbage(path.name),
  }),
  route({
    method: 'DELETE',
    path: '/v1/tenants/{name}',
    id: 'deleteTenant',
    tag: 'Tenants',
    summary: 'Delete a tenant with all its branches, computes and pages',
    scopes: [],
    pathSchema: tenantPath,
    responses: { 200: { description: 'The tenant as it was.', schema: tenant } },
    errors: [...changing, ...ofTenant],
    work: ({ place, path }) => place.control.deleteTenant(path.name),
  }),
  route({
    method: 'GET',
    path: '/v1/operations',
    id: 'listOperations',
    tag: 'Operations',
    summary: 'Long operations: those that run, and the last that ended',
    scopes: ['read'],
    responses: { 200: { description: 'The operations.', schema: operationList } },
    errors: [],
    work: ({ place }) => ({ operations: place.control.operations() }),
  }),
  route({
    method: 'GET',
    path: '/v1/operations/{id}',
    id: 'getOperation',
    tag: 'Operations',
    summary: 'One long operation, with its progress',
    description: 'A token of scope `branch` finds those that it has begun.',
    scopes: ['read', 'branch'],
    pathSchema: operationPath,
    responses: { 200: { description: 'The operation.', schema: operation } },
    errors: ['operation_not_found'],
    work: ({ place, caller, path }) => place.control.operation(path.id, ownerOf(caller)),
  }),
  route({
    method: 'DELETE',
    path: '/v1/operations/{id}',
    id: 'cancelOperation',
    tag: 'Operations',
    summary: 'Cancel a long operation',
    description:
      'Answers when it has cleaned up after itself; one that has ended stays as it is. A token of scope `branch` finds those ' +
      'that it has begun.',
    scopes: ['branch'],
    pathSchema: operationPath,
    responses: { 200: { description: 'The operation.', schema: operation } },
    errors: ['operation_not_found'],
    work: ({ place, caller, path }) => place.control.cancelOperation(path.id, ownerOf(caller)),
  }),
];
