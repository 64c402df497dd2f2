import {
  branch,
  branchCredentials,
  compute,
  computeList,
  roleRequest,
  rotatePasswordRequest,
  stoppedCompute,
} from '@offshoot/client';
import { computeFor, refuseSuperuser } from '../branch-maker.js';
import { changing, ofBranch, ofCompute, withBody } from '../error-groups.js';
import { type Route, route } from '../route.js';
import { branchPath } from './parameters.js';

const roleErrors = [
  ...changing,
  ...ofBranch,
  'branch_loading',
  'branch_role_not_applied',
  'role_name_taken',
  'compute_without_superuser',
] as const;

/** Computes, and the roles that they let in. */
export const computeRoutes: readonly Route[] = [
  route({
    method: 'GET',
    path: '/v1/computes',
    id: 'listComputes',
    tag: 'Computes',
    summary: 'Computes that run, and those of the last branches that did',
    description: 'A token of scope `branch` is shown those of the branches that it works with.',
    scopes: ['read', 'branch'],
    responses: { 200: { description: 'The computes.', schema: computeList } },
    errors: [],
    work: ({ place, caller }) => {
      const { reach } = caller;
      const shows = (name: string) => {
        const found = place.control.findBranch(name);
        return found !== undefined && reach?.uses(found) === true;
      };
      const all = place.control.computes().map((each) => computeFor(caller, each));
      return { computes: reach === undefined ? all : all.filter(({ branch }) => shows(branch)) };
    },
  }),
  route({
    method: 'POST',
    path: '/v1/branches/{name}/compute',
    id: 'startCompute',
    tag: 'Computes',
    summary: "Start a branch's compute",
    description: 'Answers when a query on it has succeeded; one that runs is answered as it is.',
    scopes: ['branch'],
    pathSchema: branchPath,
    responses: { 200: { description: 'The compute runs.', schema: compute } },
    errors: [...changing, ...ofBranch, ...ofCompute],
    work: async ({ place, caller, path }) => computeFor(caller, await place.control.startCompute(path.name)),
  }),
  route({
    method: 'DELETE',
    path: '/v1/branches/{name}/compute',
    id: 'stopCompute',
    tag: 'Computes',
    summary: "Stop a branch's compute; its sessions end",
    scopes: ['branch'],
    pathSchema: branchPath,
    responses: { 200: { description: 'The compute has stopped.', schema: stoppedCompute } },
    errors: [...ofBranch, ...ofCompute],
    work: async ({ place, caller, path }) => computeFor(caller, await place.control.stopCompute(path.name)),
  }),
  route({
    method: 'POST',
    path: '/v1/branches/{name}/role',
    id: 'createRole',
    tag: 'Roles',
    summary: 'Give a branch a role of its own',
    description: 'The answer has its password, this once.',
    scopes: ['branch'],
    pathSchema: branchPath,
    bodySchema: roleRequest,
    responses: { 201: { description: 'The role is there.', schema: branchCredentials } },
    errors: [...withBody, ...roleErrors, 'branch_role_exists', 'branch_read_only'],
    work: ({ place, caller, path, body }) => {
      refuseSuperuser(caller, body.rights);
      return place.control.createRole(path.name, body);
    },
  }),
  route({
    method: 'POST',
    path: '/v1/branches/{name}/role/password',
    id: 'rotatePassword',
    tag: 'Roles',
    summary: "Give a branch's own role a new password",
    description: 'The answer has it, this once; the old one is refused from now on.',
    scopes: ['branch'],
    pathSchema: branchPath,
    bodySchema: rotatePasswordRequest,
    responses: { 200: { description: 'The password is changed.', schema: branchCredentials } },
    errors: [...withBody, ...roleErrors, 'branch_role_absent'],
    work: ({ place, caller, path, body }) => {
      // Whoever gets its password is it.
      refuseSuperuser(caller, place.control.branch(path.name).role?.rights);
      return place.control.rotatePassword(path.name, body);
    },
  }),
  route({
    method: 'DELETE',
    path: '/v1/branches/{name}/role',
    id: 'deleteRole',
    tag: 'Roles',
    summary: "Take a branch's own role away; its sessions end",
    scopes: ['branch'],
    pathSchema: branchPath,
    responses: { 200: { description: 'The branch as it is now.', schema: branch } },
    errors: [...roleErrors, 'branch_role_absent'],
    work: ({ place, path }) => place.control.deleteRole(path.name),
  }),
];
