import {
  branch,
  branchLifeRecord,
  branchList,
  branchStorage,
  changedBranch,
  connectionString,
  connectVia,
  LABELS_MAX,
  name,
  newBranch,
  newBranchRequest,
  updateBranchRequest,
  wait,
} from '@offshoot/client';
import { baseError } from '@offshoot/types';
import { z } from 'zod';
import { controlError } from '../../control-errors.js';
import { type Made, wayFor } from '../branch-maker.js';
import { changing, ofBranch, ofCompute, ofPlace, ofTenant, withBody } from '../error-groups.js';
import { Answer, type Route, route } from '../route.js';
import { readCursor, writeCursor } from './cursor.js';
import { branchPath } from './parameters.js';

const LIMIT_DEFAULT = 100;
const LIMIT_MAX = 1000;

const label = z
  .string()
  .max(330)
  .regex(/^[^=]+=/, 'a label is given as NAME=VALUE');

/** The part before the first `=`, and what comes after it. */
function splitLabel(text: string): [string, string] {
  const at = text.indexOf('=');
  return [text.slice(0, at), text.slice(at + 1)];
}

const listQuery = z.strictObject({
  label: z
    .union([label, z.array(label).max(LABELS_MAX)])
    .optional()
    .describe('Only branches with this label, `NAME=VALUE`; given several times: with all of them.'),
  tenant: name.optional().describe('Only branches of this tenant.'),
  parent: name.optional().describe('Only branches that were made of this one.'),
  limit: z.coerce
    .number()
    .int()
    .min(1)
    .max(LIMIT_MAX)
    .optional()
    .describe(`As many in one answer; default ${LIMIT_DEFAULT}.`),
  cursor: z.string().min(1).max(128).optional().describe('`next_cursor` of the answer before.'),
});

const waitQuery = z.strictObject({ wait: wait.optional().describe('In place of `wait` in the body.') });

const connectionQuery = z.strictObject({
  database: z
    .string()
    .min(1)
    .max(63)
    .optional()
    .describe('Default: the one that its tenant was imported by.'),
  user: z.string().min(1).max(63).optional().describe("Default: the branch's own role, or the tenant's."),
  via: connectVia.optional().describe('Default: `gateway` where there is one.'),
});

export const creationErrors = [
  ...withBody,
  ...changing,
  ...ofBranch,
  ...ofTenant,
  ...ofPlace,
  'parent_needed',
  'template_not_made',
  'name_taken',
  'role_name_taken',
  'compute_setting_invalid',
  'branch_expired',
  'branch_changed',
  'checkpoint_not_found',
  'quota_reached',
] as const;

const created = { description: 'The branch is there, and its DSN works.', schema: newBranch };

export const branchRoutes: readonly Route[] = [
  route({
    method: 'GET',
    path: '/v1/branches',
    id: 'listBranches',
    tag: 'Branches',
    summary: 'Branches, by name',
    description: 'A token of scope `branch` is shown its parents and the branches that it works with.',
    scopes: ['read', 'branch'],
    querySchema: listQuery,
    responses: { 200: { description: 'Some of the branches.', schema: branchList } },
    errors: [],
    work: ({ place, caller, query }) => {
      const { tenant, parent, cursor, limit = LIMIT_DEFAULT } = query;
      const labels = [query.label ?? []].flat().map(splitLabel);
      const { branches, more } = place.control.branchPage({
        limit,
        after: cursor === undefined ? undefined : readCursor(cursor),
        shows: (record, view) =>
          (tenant === undefined || view.tenant === tenant) &&
          (parent === undefined || view.parent === parent) &&
          labels.every(([name, value]) => view.labels[name] === value) &&
          caller.reach?.sees(record) !== false,
      });
      const last = branches.at(-1);
      return { branches, ...(more && last !== undefined ? { next_cursor: writeCursor(last.name) } : {}) };
    },
  }),
  route({
    method: 'POST',
    path: '/v1/branches',
    id: 'createBranch',
    tag: 'Branches',
    summary: 'Make a branch',
    description:
      'One durable entry in the catalog, however large the database is. With an `Idempotency-Key` the same call again is ' +
      'answered as the first, also after a restart: with the same branch and password. A branch without `role: null` gets ' +
      'a role of its own, and `dsn` has its password, this once.',
    scopes: ['branch'],
    querySchema: waitQuery,
    bodySchema: newBranchRequest,
    unknownFields: 'reported',
    responses: { 201: created },
    errors: [...creationErrors, 'idempotency_key_reused', 'idempotency_key_spent'],
    work: ({ place, caller, body, query, key }) => place.maker.create(caller, { ...body, ...query }, key),
    again: ({ place, caller, body, query }, known) => place.maker.again(caller, { ...body, ...query }, known),
  }),
  route({
    method: 'PUT',
    path: '/v1/branches/{name}',
    id: 'createOrGetBranch',
    tag: 'Branches',
    summary: 'Make a branch of this name, or get the one that is there',
    description:
      'One that is there stays as it is: `created` is false, and `not_applied` names the settings that it has otherwise. ' +
      'It is refused when `from` is not its parent, or `at` neither `latest`, nor the LSN that it starts from, nor what it ' +
      'was asked for with. Its password was told when it was made: POST .../role/password makes another.',
    scopes: ['branch'],
    branchAccess: 'later',
    pathSchema: branchPath,
    querySchema: waitQuery,
    bodySchema: newBranchRequest,
    unknownFields: 'reported',
    responses: { 201: created, 200: { description: 'It was there before.', schema: newBranch } },
    errors: [...creationErrors, 'branch_differs'],
    work: async ({ place, caller, path, body, query }) => {
      if (body.name !== undefined && body.name !== path.name) {
        throw baseError('invalid_argument', `name: the path says ${path.name}, and the body ${body.name}`);
      }
      const made: Made = await place.maker.createOrGet(caller, path.name, { ...body, ...query });
      return new Answer(made.created ? 201 : 200, made);
    },
  }),
  route({
    method: 'GET',
    path: '/v1/branches/{name}',
    id: 'getBranch',
    tag: 'Branches',
    summary: 'One branch',
    scopes: ['read', 'branch'],
    branchAccess: 'see',
    pathSchema: branchPath,
    responses: { 200: { description: 'The branch.', schema: branch } },
    errors: [...ofBranch],
    work: ({ place, path }) => place.control.branch(path.name),
  }),
  route({
    method: 'GET',
    path: '/v1/branches/{name}/record',
    id: 'getBranchRecord',
    tag: 'Branches',
    summary: "A branch's life; also of one that is gone",
    description:
      'One that is gone is known by its last name (the last that had it) or its id, for as long as the event log has its end; ' +
      'to a token of scope `branch` it is not there any more.',
    scopes: ['read', 'branch'],
    branchAccess: 'later',
    pathSchema: branchPath,
    responses: { 200: { description: 'When what happened.', schema: branchLifeRecord } },
    errors: [...ofBranch],
    work: ({ place, caller, path }) => {
      if (caller.reach !== undefined) place.control.branchFor(caller, path.name, 'see');
      return place.control.branchRecord(path.name);
    },
  }),
  route({
    method: 'GET',
    path: '/v1/branches/{name}/storage',
    id: 'getBranchStorage',
    tag: 'Branches',
    summary: 'What a branch has stored, and what it keeps its ancestors from giving up',
    description:
      'What is its own is measured when it has changed; when that is not done in two seconds the answer has what was ' +
      'measured last.',
    scopes: ['read', 'branch'],
    branchAccess: 'see',
    pathSchema: branchPath,
    responses: { 200: { description: 'As of the times that it says.', schema: branchStorage } },
    errors: [...ofBranch, 'tenant_unavailable'],
    work: ({ place, path }) => place.control.branchStorage(path.name),
  }),
  route({
    method: 'PATCH',
    path: '/v1/branches/{name}',
    id: 'updateBranch',
    tag: 'Branches',
    summary: "Change a branch's settings",
    description: 'What is not given stays as it is.',
    scopes: ['branch'],
    pathSchema: branchPath,
    bodySchema: updateBranchRequest,
    unknownFields: 'reported',
    responses: { 200: { description: 'The branch as it is now.', schema: changedBranch } },
    errors: [
      ...withBody,
      ...changing,
      ...ofBranch,
      'compute_setting_invalid',
      'branch_protected',
      'branch_is_root',
      'branch_expired',
      'quota_reached',
    ],
    work: ({ place, caller, path, body }) => {
      if (caller.scope === 'branch' && body.protected === false) {
        throw controlError('forbidden', 'a token of scope branch takes no protection away');
      }
      return place.control.updateBranch(path.name, body);
    },
  }),
  route({
    method: 'GET',
    path: '/v1/branches/{name}/connection-string',
    id: 'getConnectionString',
    tag: 'Branches',
    summary: 'How to connect to a branch; without a password',
    description: 'By its socket, which asks for no password, for tokens of scope `admin` only.',
    scopes: ['read', 'branch'],
    pathSchema: branchPath,
    querySchema: connectionQuery,
    responses: { 200: { description: 'As a URL, and in parts.', schema: connectionString } },
    errors: [...ofBranch, ...ofCompute, 'gateway_off'],
    work: ({ place, caller, path, query: { database, user, via } }) => {
      const way = wayFor(caller, via);
      return place.control.connectionString(path.name, {
        ...(database === undefined ? {} : { database }),
        ...(user === undefined ? {} : { user }),
        ...(way === undefined ? {} : { via: way }),
      });
    },
  }),
];
