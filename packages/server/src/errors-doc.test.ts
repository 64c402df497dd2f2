import { readFileSync } from 'node:fs';
import { allErrorDeclarations } from '@offshoot/types';
import { expect, test } from 'vitest';
// The daemon is made of every package that declares error codes.
import './daemon.js';

const text = readFileSync(new URL('../../../docs/errors.md', import.meta.url), 'utf8');

/** `- `code` (kind, SQLSTATE, status): meaning`, and what it goes on with on the next lines. */
const entry = /^- `(\w+)` \((\w+), (\w{5}), (\d{3})\): (.+(?:\n {2}.+)*)/gm;

const documented = [...text.matchAll(entry)].map(([, code, kind, sqlState, httpStatus, words]) => ({
  code,
  kind,
  sqlState,
  httpStatus: Number(httpStatus),
  words: words ?? '',
}));

test('docs/errors.md says of every code what its declaration says, and lists no other', () => {
  const inDocs = documented.map(({ words: _, ...facts }) => facts);
  const declared = [...allErrorDeclarations()].map(([code, { kind, sqlState, httpStatus }]) => ({
    code,
    kind,
    sqlState,
    httpStatus,
  }));
  const byCode = (a: { code: string | undefined }, b: { code: string | undefined }) =>
    String(a.code) < String(b.code) ? -1 : 1;
  expect(inDocs.sort(byCode)).toEqual(declared.sort(byCode));
});

test.each(documented)('docs/errors.md says what $code means and what to do', ({ words }) => {
  // At least two sentences: the meaning, and what to do.
  expect(words.split(/[.:;](?:\s|$)/).filter((sentence) => sentence !== '').length).toBeGreaterThan(1);
});

test('every bullet of docs/errors.md that names a code has the form of an entry', () => {
  expect(text.match(/^- `/gm)?.length).toBe(documented.length);
});
