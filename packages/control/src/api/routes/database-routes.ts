import { newDatabase, newDatabaseRequest } from '@offshoot/client';
import { TEMPLATE_NAME } from '@offshoot/types';
import { sentKey } from '../idempotency-key.js';
import { Answer, type Route, route } from '../route.js';
import { creationErrors } from './branch-routes.js';

export const databaseRoutes: readonly Route[] = [
  route({
    method: 'POST',
    path: '/v1/databases',
    id: 'createDatabase',
    tag: 'Databases',
    summary: 'Make an empty database',
    description:
      `An empty Postgres: a branch of \`${TEMPLATE_NAME}\`, with all that branches have. The first one takes some seconds ` +
      `longer, since what they start from is made for it. A token of scope \`branch\` needs \`${TEMPLATE_NAME}\` among its ` +
      'parents. With an `Idempotency-Key` the same call again is answered as the first.',
    scopes: ['branch'],
    bodySchema: newDatabaseRequest,
    unknownFields: 'reported',
    idempotency: 'durable',
    responses: { 201: { description: 'The database is there, and its DSN works.', schema: newDatabase } },
    errors: [...creationErrors, 'idempotency_key_reused', 'idempotency_key_spent'],
    work: async ({ place, caller, body, idempotencyKey }) => {
      const request = { ...body, from: TEMPLATE_NAME };
      const key = idempotencyKey === undefined ? undefined : sentKey(idempotencyKey, request);
      const { made, replayed } = await place.maker.create(caller, request, key);
      return new Answer(201, made, replayed ? { 'idempotency-replayed': 'true' } : {});
    },
  }),
];
