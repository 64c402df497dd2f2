import { expect, test } from 'vitest';
import { mayFail } from './may-fail.js';
import { ScriptScanner } from './script-scanner.js';

function kindOf(text: string, sqlState = '42704') {
  const item = new ScriptScanner(10_000).scan(`${text};`, 0)?.item;
  if (item?.kind !== 'statement') throw new Error('no statement');
  return mayFail({ text: item.text, words: item.words, sqlState });
}

test.each([
  ['ALTER TABLE public.t OWNER TO app', 'owner'],
  ['ALTER FUNCTION public.f(a integer) OWNER TO "my app"', 'owner'],
  ['GRANT SELECT ON t TO app', 'privilege'],
  ['REVOKE ALL ON t FROM PUBLIC', 'privilege'],
  ['ALTER DEFAULT PRIVILEGES FOR ROLE app GRANT ALL ON TABLES TO x', 'privilege'],
  ['CREATE ROLE app', 'role'],
  ['CREATE EXTENSION IF NOT EXISTS postgis WITH SCHEMA public', 'extension'],
  ['COMMENT ON EXTENSION postgis IS $$x$$', 'extension'],
  ['SET transaction_timeout = 0', 'setting'],
])('%s', (text, kind) => expect(kindOf(text)).toBe(kind));

test('what only a superuser may', () => {
  expect(kindOf('CREATE PUBLICATION p FOR ALL TABLES', '42501')).toBe('replication');
  expect(kindOf('CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION f()', '42501')).toBe(
    'event_trigger',
  );
  expect(kindOf('CREATE PUBLICATION p FOR TABLE t', '42P01')).toBeUndefined();
});

test('what every cluster has', () => {
  expect(kindOf('CREATE DATABASE postgres WITH TEMPLATE = template0', '42P04')).toBe('exists');
  expect(kindOf('CREATE SCHEMA public', '42P06')).toBe('exists');
  expect(kindOf('CREATE DATABASE x', '42501')).toBeUndefined();
});

test.each([
  'CREATE TABLE t (a app)',
  'COPY t FROM stdin',
  "INSERT INTO t VALUES ('OWNER TO x')",
  'CREATE USER MAPPING FOR x SERVER y',
])('%s counts', (text) => expect(kindOf(text)).toBeUndefined());
