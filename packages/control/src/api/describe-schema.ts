import type { JsonSchema } from './components.js';
import { schemaDescriptions, schemaSpreads } from './schema-descriptions.js';

/** The schema of a constant, with what the constant's comments say of it and of its fields. */
export function describeSchema(schema: JsonSchema, constant: string): JsonSchema {
  const description = schemaDescriptions[constant];
  return {
    ...(description === undefined ? {} : { description }),
    ...describeFields(schema, constant, ''),
  };
}

function describeFields(schema: JsonSchema, constant: string, path: string): JsonSchema {
  const { properties, items } = schema as { properties?: Record<string, JsonSchema>; items?: JsonSchema };
  return {
    ...schema,
    ...(items === undefined ? {} : { items: describeFields(items, constant, path) }),
    ...(properties === undefined
      ? {}
      : {
          properties: Object.fromEntries(
            Object.entries(properties).map(([name, each]) => [
              name,
              describeField(each, constant, `${path}.${name}`),
            ]),
          ),
        }),
  };
}

function describeField(schema: JsonSchema, constant: string, path: string): JsonSchema {
  const description = schema.description ?? descriptionOf(constant, path);
  return {
    ...(description === undefined ? {} : { description }),
    ...describeFields(schema, constant, path),
  };
}

/** Its own, or that of a schema whose fields it has. */
function descriptionOf(constant: string, path: string): string | undefined {
  const own = schemaDescriptions[`${constant}${path}`];
  if (own !== undefined) return own;
  return (schemaSpreads[constant] ?? []).map((spread) => descriptionOf(spread, path)).find(Boolean);
}
