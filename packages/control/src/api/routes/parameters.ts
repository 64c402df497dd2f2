import { name } from '@offshoot/client';
import { z } from 'zod';

export const branchPath = z.object({ name: name.describe("The branch's name.") });
export const tenantPath = z.object({ name: name.describe("The tenant's name.") });
export const operationPath = z.object({ id: z.string().max(64).describe("The operation's id.") });
export const tokenPath = z.object({ token: z.string().min(1).max(63).describe("The token's id or name.") });
