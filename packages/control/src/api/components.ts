import * as client from '@offshoot/client';
import { z } from 'zod';
import { describeSchema } from './describe-schema.js';

/** Schemas that the OpenAPI document names; what is not here stands where it is used. */
const named = {
  Activity: client.activity,
  Actor: client.actor,
  Branch: client.branch,
  BranchEvent: client.branchEvent,
  BranchCredentials: client.branchCredentials,
  BranchLifeRecord: client.branchLifeRecord,
  BranchList: client.branchList,
  BranchPoint: client.branchPoint,
  BranchRole: client.branchRole,
  BranchStorage: client.branchStorage,
  ChangedBranch: client.changedBranch,
  Check: client.check,
  Checkpoint: client.checkpoint,
  CheckpointList: client.checkpointList,
  Checkup: client.checkup,
  CheckupRequest: client.checkupRequest,
  Compute: client.compute,
  ComputeList: client.computeList,
  ConnectionString: client.connectionString,
  CreateCheckpointRequest: client.createCheckpointRequest,
  CreatedToken: client.createdToken,
  CreateTokenRequest: client.createTokenRequest,
  Credentials: client.credentials,
  DeletedBranch: client.deletedBranch,
  EventList: client.eventList,
  Garbage: client.garbage,
  History: client.history,
  ImportProgress: client.importProgress,
  ImportTenantRequest: client.importTenantRequest,
  LeftOnSource: client.leftOnSource,
  Load: client.load,
  LoadWarning: client.loadWarning,
  MovedBranch: client.movedBranch,
  NewBranch: client.newBranch,
  NewBranchRequest: client.newBranchRequest,
  NewDatabase: client.newDatabase,
  NewDatabaseRequest: client.newDatabaseRequest,
  Operation: client.operation,
  OperationList: client.operationList,
  OwnStorage: client.ownStorage,
  Problem: client.problem,
  Receiver: client.receiver,
  RenameBranchRequest: client.renameBranchRequest,
  ResetBranchRequest: client.resetBranchRequest,
  RestoreBranchRequest: client.restoreBranchRequest,
  RoleRequest: client.roleRequest,
  RotatePasswordRequest: client.rotatePasswordRequest,
  SnapshotPolicy: client.snapshotPolicy,
  Size: client.size,
  Status: client.status,
  StoppedCompute: client.stoppedCompute,
  Tenant: client.tenant,
  TenantList: client.tenantList,
  Token: client.token,
  TokenList: client.tokenList,
  UpdateBranchRequest: client.updateBranchRequest,
  UpdateTenantRequest: client.updateTenantRequest,
  Usage: client.usage,
} as const satisfies Readonly<Record<string, z.ZodType>>;

export type JsonSchema = Record<string, unknown>;

const refOf = (name: string) => `#/components/schemas/${name}`;

/** Whose fields that nobody knows are reported, and not refused: they may be there. */
export interface ComponentOptions {
  readonly open: ReadonlySet<z.ZodType>;
}

/** As JSON Schema 2020-12, which OpenAPI 3.1 takes as it is. */
export function componentSchemas({ open }: ComponentOptions): Record<string, JsonSchema> {
  const registry = z.registry<{ id: string }>();
  for (const [id, schema] of Object.entries(named)) registry.add(schema, { id });
  const { schemas } = z.toJSONSchema(registry, { uri: refOf, ...common });
  return Object.fromEntries(
    Object.entries(schemas).map(([id, schema]) => {
      const { $schema: _, $id: __, additionalProperties, ...rest } = schema as JsonSchema;
      const isOpen = open.has(named[id as keyof typeof named]);
      const closed = isOpen || additionalProperties === undefined ? {} : { additionalProperties };
      return [id, describeSchema({ ...rest, ...closed }, constantOf(id))];
    }),
  );
}

/** As the client calls it. */
function constantOf(id: string): string {
  const schema: unknown = named[id as keyof typeof named];
  return Object.entries(client).find(([, each]) => each === schema)?.[0] ?? '';
}

/** A reference to a named schema, or the schema itself. */
export function schemaOf(schema: z.ZodType): JsonSchema {
  const name = Object.entries(named).find(([, each]) => each === schema)?.[0];
  if (name !== undefined) return { $ref: refOf(name) };
  const { $schema: _, ...rest } = z.toJSONSchema(schema, common) as JsonSchema;
  return rest;
}

/** Requests and responses alike: a client must expect fields of later versions. */
const common = {
  io: 'input',
  override: ({ zodSchema, jsonSchema }: { zodSchema: z.core.$ZodType; jsonSchema: JsonSchema }) => {
    const description = z.globalRegistry.get(zodSchema)?.description;
    if (description !== undefined) jsonSchema.description ??= description;
    // A format says it better than the pattern that checks it.
    if (jsonSchema.format === 'date-time') delete jsonSchema.pattern;
  },
} as const;
