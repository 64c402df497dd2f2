import { databaseFromDumpQuery, newDatabase, newDatabaseRequest } from '@offshoot/client';
import { TEMPLATE_NAME } from '@offshoot/types';
import { ofCompute } from '../error-groups.js';
import { Answer, type RawBody, type Route, route } from '../route.js';
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
    responses: { 201: { description: 'The database is there, and its DSN works.', schema: newDatabase } },
    errors: [...creationErrors, 'idempotency_key_reused', 'idempotency_key_spent'],
    work: ({ place, caller, body, key }) => place.maker.create(caller, { ...body, from: TEMPLATE_NAME }, key),
    again: ({ place, caller, body }, known) =>
      place.maker.again(caller, { ...body, from: TEMPLATE_NAME }, known),
  }),
  route({
    method: 'POST',
    path: '/v1/databases/from-dump',
    id: 'createDatabaseFromDump',
    tag: 'Databases',
    summary: 'Make a database of a dump',
    description:
      'The body is what pg_dump writes: plain, custom or tar, also in gzip; what it is, its bytes say. It is loaded as the ' +
      "database's own role, with no rights but there. 201 when all is loaded. A load that goes on for long after its last byte " +
      'has come is answered with 202 and its `operation`; until that has ended nobody can connect. One that fails leaves no ' +
      'database, and so does whoever hangs up before the answer. It has a checkpoint `loaded`, to be restored to.',
    scopes: ['branch'],
    querySchema: databaseFromDumpQuery,
    raw: 'the dump',
    responses: {
      201: { description: 'The dump is loaded, and the DSN works.', schema: newDatabase },
      202: { description: 'The load goes on.', schema: newDatabase },
    },
    errors: [
      ...creationErrors,
      ...ofCompute,
      'loads_exhausted',
      'load_cancelled',
      'load_interrupted',
      'upload_interrupted',
      'dump_format_unknown',
      'dump_damaged',
      'dump_refused',
      'dump_statement_failed',
      'dump_too_large',
      'pg_restore_not_found',
      'pg_restore_failed',
      'branch_role_absent',
      'checkpoint_exists',
    ],
    work: async ({ place, caller, query, raw }) => {
      const made = await place.dumps.load(caller, query, raw as RawBody);
      return new Answer(made.operation === undefined ? 201 : 202, { ...made, ignored_fields: [] });
    },
  }),
];
