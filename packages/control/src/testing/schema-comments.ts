import { readFileSync } from 'node:fs';

const client = new URL('../../../client/src/', import.meta.url);

/** Where schemas of the API are declared. */
const files = [
  'schemas.ts',
  'branch-life.ts',
  'creation.ts',
  'databases.ts',
  'load-schemas.ts',
  'tokens.ts',
  'retention-schemas.ts',
  'schema-parts.ts',
];

interface Level {
  /** The constant or field that a bracket opened in. */
  readonly name: string;
  readonly bracket: string;
}

const token =
  /\/\*\*([\s\S]*?)\*\/|\/\/[^\n]*|'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|`(?:\\.|[^`\\])*`|\/\^(?:\\.|[^/\\\n])+\/[a-z]*|(?:export )?const (\w+) =|\.\.\.(\w+)(?:\.shape)?|(\w+)(?=\s*[:,}])|[{}()[\]]/g;

/**
 * The doc comments of the client's schemas, by where they stand: `branch`, `branch.idle_timeout`, `status.gateway.host`. So
 * each is written once, where people read it. `spreads`: whose fields a schema has besides its own.
 */
export function schemaComments(): {
  comments: ReadonlyMap<string, string>;
  spreads: ReadonlyMap<string, readonly string[]>;
} {
  const comments = new Map<string, string>();
  const spreads = new Map<string, string[]>();
  for (const file of files) {
    // What stands above the first constant is about the file.
    const text = readFileSync(new URL(file, client), 'utf8').replace(/^[\s\S]*?from 'zod';/, '');
    readComments(text.replace(/^(import|export) [^;]*from '[^']*';/gm, ''), comments, spreads);
  }
  return { comments, spreads };
}

function readComments(text: string, comments: Map<string, string>, spreads: Map<string, string[]>): void {
  const levels: Level[] = [];
  let constant = '';
  let field = '';
  let comment: string | undefined;
  for (const [all, doc, declared, spread, word] of text.matchAll(token)) {
    if (doc !== undefined) {
      comment = words(doc);
    } else if (declared !== undefined) {
      constant = declared;
      field = '';
      levels.length = 0;
      if (comment !== undefined) comments.set(constant, comment);
      comment = undefined;
    } else if (spread !== undefined) {
      spreads.set(constant, [...(spreads.get(constant) ?? []), spread]);
    } else if (word !== undefined && levels.at(-1)?.bracket === '{') {
      field = word;
      const path = [constant, ...levels.filter(({ name }) => name !== '').map(({ name }) => name), word];
      if (comment !== undefined) comments.set(path.join('.'), comment);
      comment = undefined;
    } else if ('{(['.includes(all)) {
      levels.push({ name: all === '{' ? fieldOf(levels, field) : '', bracket: all });
    } else if ('})]'.includes(all)) {
      const closed = levels.pop();
      if (closed?.bracket === '{') field = closed.name;
    }
  }
}

/** The first bracket of a constant opens its own fields. */
function fieldOf(levels: readonly Level[], field: string): string {
  return levels.some(({ bracket }) => bracket === '{') ? field : '';
}

function words(doc: string): string {
  return doc
    .replace(/^\s*\* ?/gm, '')
    .replace(/\s+/g, ' ')
    .replace(/\{@link (\w+)\}/g, '`$1`')
    .trim();
}
