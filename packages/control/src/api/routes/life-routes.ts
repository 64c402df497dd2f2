import {
  branch,
  type Checkpoint,
  checkpoint,
  checkpointList,
  checkpointName,
  createCheckpointRequest,
  deletedBranch,
  type MovedBranch,
  movedBranch,
  renameBranchRequest,
  resetBranchRequest,
  restoreBranchRequest,
} from '@offshoot/client';
import { z } from 'zod';
import { changing, ofBranch, ofCompute, ofPlace, withBody } from '../error-groups.js';
import { branchOfKey, type KnownCall, writtenKey } from '../keyed-calls.js';
import { type Call, type Route, route } from '../route.js';
import { branchPath } from './parameters.js';

const deleteQuery = z.strictObject({
  recursive: z.enum(['true', 'false']).optional().describe('With the branches that start from it.'),
});

const checkpointPath = branchPath.extend({ checkpoint: checkpointName.describe("The checkpoint's name.") });

const moveErrors = [
  ...withBody,
  ...changing,
  ...ofBranch,
  ...ofPlace,
  ...ofCompute,
  'branch_is_root',
  'branch_protected',
  'branch_expired',
  'branch_changed',
  'checkpoint_not_found',
  'name_taken',
  'quota_reached',
  'idempotency_key_reused',
  'idempotency_key_spent',
] as const;

/** As the first call was answered, with the branch as it is now. */
function movedAgain(
  { place }: Pick<Call<unknown, unknown, unknown>, 'place'>,
  known: KnownCall,
): MovedBranch {
  const { name } = branchOfKey(known);
  const said = JSON.parse(known.record.answer) as Omit<MovedBranch, 'branch'>;
  return { ...said, branch: place.control.branch(name) };
}

/** What becomes of a branch: other points, other names, its end. */
export const lifeRoutes: readonly Route[] = [
  route({
    method: 'DELETE',
    path: '/v1/branches/{name}',
    id: 'deleteBranch',
    tag: 'Branches',
    summary: 'Delete a branch, its compute and what was written there',
    description: 'Refused while branches start from it, unless they may go too: `recursive=true`.',
    scopes: ['branch'],
    pathSchema: branchPath,
    querySchema: deleteQuery,
    responses: {
      200: { description: 'The branch as it was, and what went with it.', schema: deletedBranch },
    },
    errors: [
      ...changing,
      ...ofBranch,
      'branch_has_children',
      'branch_is_root',
      'branch_protected',
      'branch_changed',
    ],
    work: ({ place, path, query, caller }) =>
      place.control.deleteBranch(path.name, { recursive: query.recursive === 'true', by: caller.actor }),
  }),
  route({
    method: 'POST',
    path: '/v1/branches/{name}/rename',
    id: 'renameBranch',
    tag: 'Branches',
    summary: 'Call a branch by another name',
    description:
      'Its id, its children and the connections that it has stay; new ones name it by its new name.',
    scopes: ['branch'],
    pathSchema: branchPath,
    bodySchema: renameBranchRequest,
    responses: { 200: { description: 'The branch as it is now.', schema: branch } },
    errors: [
      ...withBody,
      ...changing,
      ...ofBranch,
      'name_taken',
      'branch_is_root',
      'branch_expired',
      'idempotency_key_reused',
      'idempotency_key_spent',
    ],
    work: ({ place, path, body, key }) => place.control.renameBranch(path.name, body, key && writtenKey(key)),
    again: ({ place }, known) => place.control.branch(branchOfKey(known).name),
  }),
  route({
    method: 'POST',
    path: '/v1/branches/{name}/reset',
    id: 'resetBranch',
    tag: 'Branches',
    summary: 'Have a branch go on from its parent, as that is now or was',
    description:
      'Its id, name and connection string stay; its sessions end. What was written there is gone, but for a branch ' +
      'that `preserve_as` names.',
    scopes: ['branch'],
    pathSchema: branchPath,
    bodySchema: resetBranchRequest,
    responses: { 200: { description: 'The branch goes on from there.', schema: movedBranch } },
    errors: moveErrors,
    work: ({ place, path, body, key }) => place.control.resetBranch(path.name, body, key && writtenKey(key)),
    again: movedAgain,
  }),
  route({
    method: 'POST',
    path: '/v1/branches/{name}/restore',
    id: 'restoreBranch',
    tag: 'Branches',
    summary: 'Have a branch go on from a point of its own history',
    description:
      'Its id, name and connection string stay; its sessions end. The state before stays as another branch.',
    scopes: ['branch'],
    pathSchema: branchPath,
    bodySchema: restoreBranchRequest,
    responses: { 200: { description: 'The branch goes on from there.', schema: movedBranch } },
    errors: moveErrors,
    work: ({ place, path, body, key }) =>
      place.control.restoreBranch(path.name, body, key && writtenKey(key)),
    again: movedAgain,
  }),
  route({
    method: 'GET',
    path: '/v1/branches/{name}/checkpoints',
    id: 'listCheckpoints',
    tag: 'Checkpoints',
    summary: "A branch's checkpoints",
    scopes: ['read', 'branch'],
    branchAccess: 'see',
    pathSchema: branchPath,
    responses: { 200: { description: 'The checkpoints.', schema: checkpointList } },
    errors: [...ofBranch],
    work: ({ place, path }) => ({ checkpoints: place.control.checkpoints(path.name) }),
  }),
  route({
    method: 'POST',
    path: '/v1/branches/{name}/checkpoints',
    id: 'createCheckpoint',
    tag: 'Checkpoints',
    summary: 'Give a point of a branch a name, and keep it',
    scopes: ['branch'],
    pathSchema: branchPath,
    bodySchema: createCheckpointRequest,
    responses: { 201: { description: 'The checkpoint is there.', schema: checkpoint } },
    errors: [
      ...withBody,
      ...changing,
      ...ofBranch,
      ...ofPlace,
      ...ofCompute,
      'branch_expired',
      'branch_changed',
      'checkpoint_exists',
      'checkpoint_not_found',
      'quota_reached',
      'idempotency_key_reused',
    ],
    work: ({ place, path, body, key }) =>
      place.control.createCheckpoint(path.name, body, key && writtenKey(key)),
    // Whatever has become of it since.
    again: (_call, { record }) => JSON.parse(record.answer) as Checkpoint,
  }),
  route({
    method: 'DELETE',
    path: '/v1/branches/{name}/checkpoints/{checkpoint}',
    id: 'deleteCheckpoint',
    tag: 'Checkpoints',
    summary: 'Let go of a checkpoint',
    scopes: ['branch'],
    pathSchema: checkpointPath,
    responses: { 200: { description: 'The checkpoint as it was.', schema: checkpoint } },
    errors: [...changing, ...ofBranch, 'checkpoint_not_found'],
    work: ({ place, path }) => place.control.deleteCheckpoint(path.name, path.checkpoint),
  }),
];
