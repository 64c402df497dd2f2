import { expect, test } from 'vitest';
import { schemaComments } from '../testing/schema-comments.js';
import { schemaDescriptions } from './schema-descriptions.js';

/** What the file should hold; `npx vitest run -u` of this test writes it anew. */
function fileText(): string {
  const { comments, spreads } = schemaComments();
  const entries = (map: ReadonlyMap<string, unknown>) =>
    [...map]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, value]) => `  ${JSON.stringify(name)}: ${JSON.stringify(value)},`)
      .join('\n');
  return `// biome-ignore-all format: made of the comments of the client's schemas by schema-descriptions.test.ts
// biome-ignore-all lint: as above

/** By constant and field. */
export const schemaDescriptions: Readonly<Record<string, string>> = {
${entries(comments)}
};

/** Whose fields a schema has besides its own. */
export const schemaSpreads: Readonly<Record<string, readonly string[]>> = {
${entries(spreads)}
};
`;
}

test('what the OpenAPI document says of fields is what the comments of the schemas say', async () => {
  await expect(fileText()).toMatchFileSnapshot('./schema-descriptions.ts');
});

test('it has comments of schemas, of their fields, and of fields of their fields', () => {
  expect(schemaDescriptions.checkpoint).toContain('LSN');
  expect(schemaDescriptions['branch.idle_timeout']).toBe("Its own, or the page server's setting.");
  expect(schemaDescriptions['status.gateway.public_host']).toContain('connection strings');
  expect(schemaDescriptions['tenant.needs_reimport.slot']).toContain('slot');
});
