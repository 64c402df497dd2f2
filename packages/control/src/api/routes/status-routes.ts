import { checkup, checkupRequest, eventList, status } from '@offshoot/client';
import { z } from 'zod';
import { controlError } from '../../control-errors.js';
import { ofBranch, withBody } from '../error-groups.js';
import { Answer, type Route, route } from '../route.js';

const EVENTS_DEFAULT = 100;

const eventQuery = z.strictObject({
  branch: z.string().min(1).max(63).optional().describe("A branch's name at the time, or its id."),
  limit: z.coerce
    .number()
    .int()
    .min(1)
    .max(10_000)
    .optional()
    .describe(`So many, the newest; default ${EVENTS_DEFAULT}.`),
});

export const statusRoutes: readonly Route[] = [
  route({
    method: 'GET',
    path: '/v1/status',
    id: 'getStatus',
    tag: 'Status',
    summary: 'What the page server is doing',
    scopes: ['read'],
    responses: { 200: { description: 'The status.', schema: status } },
    errors: [],
    work: ({ place }) => place.control.status(),
  }),
  route({
    method: 'POST',
    path: '/v1/checkup',
    id: 'checkUp',
    tag: 'Status',
    summary: 'Look over the machine, and a Postgres that is to be imported',
    description:
      'What was looked at, and what mends what is in the way: SQL, to be run on the source. Nothing is changed there.',
    scopes: [],
    bodySchema: checkupRequest,
    responses: { 200: { description: 'What was found.', schema: checkup } },
    errors: [...withBody, 'source_url_invalid', 'page_server_closed'],
    work: ({ place, body }) => place.control.checkUp(body),
  }),
  route({
    method: 'GET',
    path: '/v1/events',
    id: 'listEvents',
    tag: 'Status',
    summary: 'What has become of branches, the oldest first; those that are gone too',
    description: 'A token of scope `branch` asks for one branch that it works with.',
    scopes: ['read', 'branch'],
    querySchema: eventQuery,
    responses: { 200: { description: 'The newest events.', schema: eventList } },
    errors: [...ofBranch],
    work: async ({ place, caller, query: { branch, limit = EVENTS_DEFAULT } }) => {
      if (caller.reach === undefined) return { events: await place.control.events({ branch, limit }) };
      if (branch === undefined) {
        throw controlError(
          'forbidden',
          'a token of scope branch asks for the events of one branch: ?branch=NAME',
        );
      }
      // Others may have had its name before it.
      const { id } = place.control.branchFor(caller, branch, 'use');
      return { events: await place.control.events({ branch: id, limit }) };
    },
  }),
  route({
    method: 'GET',
    path: '/metrics',
    id: 'getMetrics',
    tag: 'Status',
    summary: 'Metrics, as Prometheus reads them',
    scopes: ['read'],
    responses: { 200: { description: "Prometheus' text format." } },
    errors: [],
    work: async ({ place: { control, onFailure } }) => {
      const text = await control.metrics.text(onFailure);
      return new Answer(200, text, { 'content-type': control.metrics.contentType });
    },
  }),
  route({
    method: 'GET',
    path: '/v1/openapi.json',
    id: 'getOpenApi',
    tag: 'Status',
    summary: 'This document',
    description:
      'Needs no token: it says what every page server of this version can do, and nothing of what this one has; clients ' +
      'are generated, and agents find their way, before they hold a token.',
    scopes: 'public',
    responses: { 200: { description: 'OpenAPI 3.1.', schema: z.record(z.string(), z.unknown()) } },
    errors: [],
    work: ({ place }) => place.document(),
  }),
];
