import { createdToken, createTokenRequest, token, tokenList } from '@offshoot/client';
import { TEMPLATE_NAME } from '@offshoot/types';
import { controlError } from '../../control-errors.js';
import { changing, withBody } from '../error-groups.js';
import { type Route, route } from '../route.js';
import { tokenPath } from './parameters.js';

export const tokenRoutes: readonly Route[] = [
  route({
    method: 'GET',
    path: '/v1/tokens',
    id: 'listTokens',
    tag: 'Tokens',
    summary: 'All tokens, without their secrets, and when they were last used',
    scopes: [],
    responses: { 200: { description: 'The tokens.', schema: tokenList } },
    errors: [],
    work: ({ place }) => ({ tokens: place.control.tokens.list() }),
  }),
  route({
    method: 'POST',
    path: '/v1/tokens',
    id: 'createToken',
    tag: 'Tokens',
    summary: 'Make a token',
    description: 'The answer has its secret, this once; only a hash of it is kept.',
    scopes: [],
    bodySchema: createTokenRequest,
    responses: { 201: { description: 'The token and its secret.', schema: createdToken } },
    errors: [
      ...withBody,
      ...changing,
      'branch_not_found',
      'token_exists',
      'tokens_exhausted',
      'template_not_made',
      'name_taken',
      'tenant_not_active',
    ],
    work: async ({ place, caller, body }) => {
      // A token holds on to branches, and this one may not be there yet.
      if (body.parents?.includes(TEMPLATE_NAME)) await place.control.ensureTemplate();
      return place.control.tokens.create(body, caller.actor);
    },
  }),
  route({
    method: 'GET',
    path: '/v1/tokens/self',
    id: 'getOwnToken',
    tag: 'Tokens',
    summary: 'The token that this call is made with: what it is for, and until when',
    description: "The data directory's own is in no list, and not found here.",
    scopes: ['read', 'branch'],
    responses: { 200: { description: 'The token.', schema: token } },
    errors: ['token_not_found'],
    work: ({ place, caller }) => place.control.tokens.one(caller.actor.token),
  }),
  route({
    method: 'DELETE',
    path: '/v1/tokens/{token}',
    id: 'revokeToken',
    tag: 'Tokens',
    summary: 'Revoke a token: from this answer on it is refused',
    description: 'The branches that it made stay, and so do the passwords that it was told.',
    scopes: [],
    pathSchema: tokenPath,
    responses: { 200: { description: 'The token as it was.', schema: token } },
    errors: [...changing, 'token_not_found'],
    work: ({ place, path, caller }) => {
      if (path.token === 'self' || path.token === caller.actor.token) {
        throw controlError('forbidden', 'a token does not revoke itself');
      }
      return place.control.tokens.revoke(path.token);
    },
  }),
];
