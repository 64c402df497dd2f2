import type { Route } from '../route.js';
import { branchRoutes } from './branch-routes.js';
import { computeRoutes } from './compute-routes.js';
import { databaseRoutes } from './database-routes.js';
import { lifeRoutes } from './life-routes.js';
import { statusRoutes } from './status-routes.js';
import { tenantRoutes } from './tenant-routes.js';
import { tokenRoutes } from './token-routes.js';

/** The management API: what fastify serves and what the OpenAPI document says are both made of this. */
export const routes: readonly Route[] = [
  ...branchRoutes,
  ...lifeRoutes,
  ...databaseRoutes,
  ...computeRoutes,
  ...tenantRoutes,
  ...tokenRoutes,
  ...statusRoutes,
];
