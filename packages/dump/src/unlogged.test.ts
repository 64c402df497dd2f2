import { expect, test } from 'vitest';
import { ScriptScanner } from './script-scanner.js';
import { makesUnlogged } from './unlogged.js';

function isFound(text: string): boolean {
  const item = new ScriptScanner(10_000).scan(`${text};`, 0)?.item;
  if (item?.kind !== 'statement') throw new Error('no statement');
  return makesUnlogged(item);
}

test.each([
  'CREATE UNLOGGED TABLE public.sessions (id integer)',
  '-- Name: s\ncreate unlogged\n table s ()',
  'CREATE UNLOGGED SEQUENCE public.s START WITH 1',
  'ALTER TABLE IF EXISTS ONLY public.sessions SET UNLOGGED',
  'ALTER SEQUENCE public.s SET UNLOGGED',
])('%s', (text) => expect(isFound(text)).toBe(true));

test.each([
  'CREATE TABLE unlogged (id integer)',
  'CREATE TEMPORARY TABLE unlogged ()',
  "INSERT INTO t VALUES ('SET UNLOGGED')",
  'ALTER TABLE public.sessions SET LOGGED',
])('%s keeps what is in it', (text) => expect(isFound(text)).toBe(false));
