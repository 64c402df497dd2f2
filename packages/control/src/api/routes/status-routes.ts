import { status } from '@offshoot/client';
import { z } from 'zod';
import { Answer, type Route, route } from '../route.js';

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
